//! What an instance finds when it starts.

use std::{collections::BTreeMap, path::Path};

use serde_json::json;

use crate::support::{Tested, config};

#[tokio::test]
async fn a_function_has_its_own_variables_and_lambdas_and_no_others() {
    // Cargo sets this one for tests.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let mut config = config();
    config.name = "with-variables".to_owned();
    config.memory_mb = 512;
    for (name, value) in
        [("AWS_REGION", "eu-west-1"), ("GREETING", "Grüße=👋"), ("_HANDLER", "mine"), ("LANG", "C")]
    {
        config.environment.push((name.to_owned(), value.to_owned()));
    }
    let bootstrap = Path::new(&config.bootstrap).canonicalize().unwrap();
    let folder = bootstrap.parent().unwrap().to_str().unwrap();

    let response = Tested::new(config).response(json!({ "do": "environment" })).await;
    assert_eq!(response["folder"], folder);
    let mut variables: BTreeMap<String, String> =
        serde_json::from_value::<Vec<_>>(response["variables"].clone())
            .unwrap()
            .into_iter()
            .collect();
    variables.remove("PATH").unwrap();
    assert!(variables.remove("AWS_LAMBDA_RUNTIME_API").unwrap().starts_with("127.0.0.1:"));
    let log_stream = variables.remove("AWS_LAMBDA_LOG_STREAM_NAME").unwrap();
    let (date, instance) = log_stream.split_once("/[$LATEST]").unwrap();
    assert_eq!((date.len(), instance.len()), ("2026/11/23".len(), 32));
    let expected = [
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_FUNCTION_NAME", "with-variables"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/with-variables"),
        ("AWS_REGION", "eu-west-1"),
        ("GREETING", "Grüße=👋"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", folder),
        ("LANG", "C"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ];
    let expected =
        expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(variables, expected);
}
