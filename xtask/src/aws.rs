//! The AWS command line: what everybody who deploys has, with the credentials it is set up with.

use std::{fmt, fs, process::Command};

use clap::Args;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::waiting::Waiting;

/// Which deployment, and as whom.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// The deployment's name: several can live in one account
    #[arg(long, default_value = "lambda-chat", value_parser = stack_name)]
    pub(crate) stack: String,

    /// Where, for example eu-central-1 [default: what the AWS CLI is set up with]
    #[arg(long)]
    pub(crate) region: Option<String>,

    /// A profile of the AWS CLI [default: what the AWS CLI is set up with]
    #[arg(long)]
    pub(crate) profile: Option<String>,

    /// Show every command that is run
    #[arg(long)]
    pub(crate) verbose: bool,

    /// How often a stack that is at work is looked at, in milliseconds
    #[arg(long, default_value_t = 4000, hide = true)]
    pub(crate) poll_ms: u64,
}

/// What CloudFormation takes as a stack's name, but short enough for what is named after it: of 64 characters that a
/// function of CloudFront has, `-REGION-viewer` takes 22 at most.
fn stack_name(name: &str) -> Result<String, String> {
    let is_good = (1..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '-');
    is_good.then(|| name.to_owned()).ok_or_else(|| {
        "a stack's name is 1 to 40 letters, digits and hyphens, and begins with a letter".to_owned()
    })
}

/// Who am I?
pub(crate) const IDENTITY: [&str; 2] = ["sts", "get-caller-identity"];

/// Runs `aws`.
pub(crate) struct Aws {
    options: Vec<String>,
    verbose: bool,
}

/// What `aws` has answered instead of a result.
#[derive(Debug)]
pub(crate) struct AwsError {
    /// AWS's name for it; empty when it was the CLI that gave up.
    code: String,
    /// What the CLI has said.
    said: String,
    /// `cloudformation describe-stacks`.
    command: String,
}

/// Codes and texts of what may be over in a moment.
const TRANSIENT: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
    "InternalFailure",
    "InternalError",
    "InternalServerError",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "500",
    "502",
    "503",
    "504",
];

/// What the CLI says when it has got no answer.
const NETWORK: &[&str] = &[
    "Could not connect to the endpoint",
    "Connection was closed",
    "Connection reset",
    "Connection aborted",
    "Connect timeout",
    "Read timeout",
    "Failed to connect to proxy",
];

impl Aws {
    pub(crate) fn new(target: &Target) -> Self {
        let mut options = Vec::new();
        for (name, value) in [("--profile", &target.profile), ("--region", &target.region)] {
            if let Some(value) = value {
                options.extend([name.to_owned(), value.clone()]);
            }
        }
        Self { options, verbose: target.verbose }
    }

    /// The same credentials in another region.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        // Of two options with one name the last counts.
        let options = [&self.options[..], &["--region".to_owned(), region.to_owned()]].concat();
        Self { options, verbose: self.verbose }
    }

    /// The command with all its arguments, as one would type it.
    pub(crate) fn line(&self, arguments: &[String]) -> String {
        let words = arguments.iter().chain(&self.options);
        words.fold("aws".to_owned(), |line, word| format!("{line} {}", quoted(word)))
    }

    /// Runs a command and reads its JSON. What is said to people (`s3 cp`, `cloudformation package`) is `null`.
    pub(crate) fn call<W: AsRef<str>>(&self, arguments: &[W]) -> Result<Value, AwsError> {
        let said = self.text(arguments)?;
        Ok(serde_json::from_str(&said).unwrap_or(Value::Null))
    }

    /// The account that the credentials belong to.
    pub(crate) fn account(&self) -> Result<String, AwsError> {
        let identity = self.call(&IDENTITY)?;
        Ok(identity["Account"].as_str().unwrap_or_default().to_owned())
    }

    /// Runs a command and gives what it has written.
    pub(crate) fn text<W: AsRef<str>>(&self, arguments: &[W]) -> Result<String, AwsError> {
        let words: Vec<String> = arguments.iter().map(|word| word.as_ref().to_owned()).collect();
        if self.verbose {
            crate::say(&format!("  $ {}", self.line(&words)));
        }
        let named = words.iter().take(2).cloned().collect::<Vec<_>>().join(" ");
        let fails =
            |said: String| AwsError { code: code(&said).to_owned(), said, command: named.clone() };
        let _waiting = Waiting::begin(&format!("aws {named}"));
        let output = Command::new("aws")
            .args(&words)
            .args(&self.options)
            .args(["--output", "json"])
            .env("AWS_PAGER", "")
            .output()
            .map_err(|error| fails(format!("cannot run aws: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(fails(said));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// `Throttling` of `An error occurred (Throttling) when calling the …`.
fn code(said: &str) -> &str {
    // `cloudformation package` says it in words of its own.
    if said.contains("S3 Bucket does not exist") {
        return "NoSuchBucket";
    }
    let rest = said.split_once("An error occurred (").and_then(|(_, rest)| rest.split_once(')'));
    rest.map_or("", |(code, _)| code)
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "-_./:=@,<>*+{}".contains(sign);
    if !word.is_empty() && word.chars().all(plain) && !word.contains(['*', '{', '<']) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A file for what is too long for an argument, or not for everybody's eyes: only its owner may read it.
pub(crate) fn private_file(contents: &Value) -> Result<NamedTempFile, String> {
    let write = |file: NamedTempFile| fs::write(&file, contents.to_string()).map(|()| file);
    NamedTempFile::new()
        .and_then(write)
        .map_err(|error| format!("cannot write a temporary file: {error}"))
}

impl AwsError {
    /// What went wrong on this machine.
    pub(crate) fn local(command: &str, error: &std::io::Error) -> Self {
        Self {
            code: String::new(),
            said: format!("a temporary file: {error}"),
            command: command.to_owned(),
        }
    }

    /// AWS's name for what went wrong.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Whether AWS's or the CLI's text holds `text`.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.said.contains(text)
    }

    /// Whether the same call may succeed in a moment.
    pub(crate) fn is_transient(&self) -> bool {
        TRANSIENT.contains(&self.code.as_str()) || self.is_network()
    }

    fn is_network(&self) -> bool {
        NETWORK.iter().any(|text| self.said.contains(text))
    }

    /// Whether the credentials don't allow it.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(
            self.code.as_str(),
            "AccessDenied"
                | "AccessDeniedException"
                | "UnauthorizedOperation"
                | "ForbiddenException"
                | "403"
        )
    }

    /// What to do next.
    fn advice(&self) -> &'static str {
        match self.code.as_str() {
            _ if self.is_denied() => {
                "The credentials may not do this. Have the permission that is named above added, or \
                 take other credentials: --profile NAME"
            }
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
                "The credentials have run out. Log in again (aws sso login, or as you got them), then \
                 run the same command: it goes on where it stopped"
            }
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "AuthFailure" => {
                "AWS doesn't know these credentials. Set up others with aws configure or aws sso \
                 login, or choose them: --profile NAME"
            }
            "SignatureDoesNotMatch" | "RequestTimeTooSkewed" | "InvalidSignatureException" => {
                "The secret key is wrong, or this machine's clock is. Look at the clock, then at aws \
                 configure"
            }
            "NoSuchBucket" => {
                "The bucket was deleted by somebody. Run the same command: a bucket for uploads is \
                 made again. If it is the stack's own, run cargo xtask destroy, then deploy again"
            }
            "OptInRequired" | "SubscriptionRequiredException" => {
                "The account may not use this service yet: finish signing up, or enable the region, in \
                 AWS's console"
            }
            "" => self.advice_without_code(),
            _ if self.is_transient() => {
                "AWS is busy or has trouble (https://health.aws.amazon.com/health/status). Wait a \
                 minute, then run the same command: it goes on where it stopped"
            }
            _ => {
                "Put right what is named above, then run the same command: it goes on where it stopped"
            }
        }
    }

    fn advice_without_code(&self) -> &'static str {
        if self.says("credentials") || self.says("SSO") || self.says("sso") {
            "Set them up: aws configure sso, or aws configure with an access key, or the variables \
             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. They need the rights of an administrator"
        } else if self.says("config profile") {
            "aws configure list-profiles shows those there are; aws configure --profile NAME adds one"
        } else if self.says("region") {
            "Name one: --region eu-central-1, or aws configure set region eu-central-1"
        } else if self.is_network() {
            "AWS can't be reached, or has broken off. Look at the network, at HTTPS_PROXY and at the \
             region's name, then run the same command: it goes on where it stopped"
        } else if self.says("cannot run aws") {
            crate::tools::AWS.remedy
        } else {
            "Put right what is named above, then run the same command: it goes on where it stopped"
        }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, command, .. } = self;
        write!(f, "aws {command} has failed.\n  {}\n{}", said.replace('\n', "\n  "), self.advice())
    }
}

impl From<AwsError> for String {
    fn from(error: AwsError) -> Self {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(said: &str) -> AwsError {
        AwsError { code: code(said).to_owned(), said: said.to_owned(), command: "s3 cp".to_owned() }
    }

    #[test]
    fn a_code_is_found_in_what_the_cli_says() {
        let cases = [
            (
                "An error occurred (Throttling) when calling the X operation: Rate exceeded",
                "Throttling",
            ),
            (
                "\naws: [ERROR]: An error occurred (AccessDenied) when calling the X operation: no",
                "AccessDenied",
            ),
            (
                "upload failed: a to s3://b/c An error occurred (NoSuchBucket) when calling",
                "NoSuchBucket",
            ),
            ("fatal error: An error occurred (404) when calling the HeadObject operation", "404"),
            ("Unable to upload artifact x\nS3 Bucket does not exist. Execute", "NoSuchBucket"),
            ("Unable to locate credentials.", ""),
        ];
        for (said, expected) in cases {
            assert_eq!(code(said), expected, "{said}");
        }
    }

    #[test]
    fn every_error_names_what_to_do() {
        let cases = [
            ("Unable to locate credentials. You can configure", "aws configure"),
            ("The config profile (x) could not be found", "list-profiles"),
            ("You must specify a region.", "--region"),
            ("Could not connect to the endpoint URL: \"https://…\"", "network"),
            ("An error occurred (ExpiredToken) when calling", "Log in again"),
            ("An error occurred (AccessDenied) when calling", "--profile"),
            ("An error occurred (Throttling) when calling", "Wait a minute"),
            ("An error occurred (500) when calling", "Wait a minute"),
            ("An error occurred (NoSuchBucket) when calling", "made again"),
            ("An error occurred (RequestTimeTooSkewed) when calling", "clock"),
            ("An error occurred (Never) when calling", "named above"),
        ];
        for (said, expected) in cases {
            assert!(failed(said).to_string().contains(expected), "{said}: {}", failed(said));
        }
    }

    #[test]
    fn a_line_can_be_pasted_into_a_shell() {
        for (word, expected) in
            [("s3", "s3"), ("a b", "'a b'"), ("*", "'*'"), ("it's", r"'it'\''s'"), ("", "''")]
        {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn a_stack_has_a_name_that_cloudformation_takes() {
        for name in ["lambda-chat", "a", "Chat2"] {
            assert_eq!(stack_name(name).as_deref(), Ok(name));
        }
        for name in ["", "2chat", "chat_2", "a chat", &"a".repeat(41)] {
            assert!(stack_name(name).is_err(), "{name}");
        }
    }
}
