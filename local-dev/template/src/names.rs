//! What things are called that only exist once a template is deployed.

use crate::Options;

/// The id that stands for an API here: ten characters, as API Gateway's, the same at every start.
pub(crate) fn api_id(logical_id: &str) -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    // FNV-1a: nothing depends on it but that it stays the same.
    let mut hash = logical_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut id = String::new();
    for _ in 0..10 {
        let index = usize::try_from(hash % 36).expect("it is below 36");
        id.push(char::from(LETTERS[index]));
        hash /= 36;
    }
    id
}

/// The host of an API in the cloud.
pub(crate) fn api_host(api_id: &str, options: &Options) -> String {
    format!("{api_id}.execute-api.{}.{}", options.region, url_suffix(options))
}

/// The ARN of a function.
pub(crate) fn function_arn(name: &str, options: &Options) -> String {
    let Options { region, account_id, .. } = options;
    format!("arn:{}:lambda:{region}:{account_id}:function:{name}", partition(options))
}

/// The ARN of a queue.
pub(crate) fn queue_arn(name: &str, options: &Options) -> String {
    let Options { region, account_id, .. } = options;
    format!("arn:{}:sqs:{region}:{account_id}:{name}", partition(options))
}

/// The URL of a queue in the cloud.
pub(crate) fn queue_url(name: &str, options: &Options) -> String {
    let Options { region, account_id, .. } = options;
    format!("https://sqs.{region}.{}/{account_id}/{name}", url_suffix(options))
}

/// `AWS::Partition`.
pub(crate) fn partition(options: &Options) -> &'static str {
    match &options.region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// `AWS::URLSuffix`.
pub(crate) fn url_suffix(options: &Options) -> &'static str {
    if options.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}
