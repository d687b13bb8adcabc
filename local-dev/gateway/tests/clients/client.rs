//! AWS's clients of the management API, as their users have them: one call, and what its caller gets to know.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use aws_sdk_apigatewaymanagement::{
    Client as Sdk, Config, Error,
    config::{self, BehaviorVersion, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    primitives::{Blob, DateTime, DateTimeFormat},
};
use gateway::Credentials;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

/// A client.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    /// The SDK for Rust, in this process.
    Rust,
    /// The AWS CLI.
    Cli(PathBuf),
    /// boto3, by its Python.
    Boto3(PathBuf),
    /// The SDK for JavaScript, by its folder.
    JavaScript(PathBuf),
}

/// A call, and who makes it.
#[derive(Clone, Serialize)]
pub(crate) struct Call {
    pub(crate) endpoint: String,
    pub(crate) operation: Operation,
    pub(crate) id: String,
    /// What a post says.
    pub(crate) data: String,
    pub(crate) sign: bool,
    #[serde(skip)]
    pub(crate) credentials: Credentials,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    Post,
    Get,
    Delete,
}

/// What came of a call.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Outcome {
    /// What there is to know of a connection, if that was the question.
    Done(Option<Description>),
    Refused(Refusal),
}

/// What `GetConnection` says, with times in milliseconds.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Description {
    pub(crate) source_ip: String,
    pub(crate) user_agent: String,
    pub(crate) connected_at: i64,
    pub(crate) last_active_at: i64,
}

/// An error that the gateway answered.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Refusal {
    /// `GoneException`, for example.
    pub(crate) code: String,
    pub(crate) message: String,
    /// The CLI doesn't show it.
    pub(crate) status: Option<u16>,
    /// Whether the client's language has a type for this error. The CLI has none.
    pub(crate) is_typed: Option<bool>,
}

/// Where CI puts Python's packages.
const VENV: &str = "../../target/ci-venv/bin";

/// Where CI puts Node's packages.
const NODE_MODULES: &str = "../../target/ci-node/node_modules/";

impl Client {
    /// Every client by its name: as it is on this machine, or how to get it.
    pub(crate) async fn find_all() -> [(&'static str, Result<Self, &'static str>); 4] {
        [
            ("rust", Ok(Self::Rust)),
            ("cli", Self::find_cli().await),
            ("boto3", Self::find_boto3().await),
            ("javascript", Self::find_javascript().await),
        ]
    }

    async fn find_cli() -> Result<Self, &'static str> {
        let cli = find("aws", &["--version"]).await.map(Self::Cli);
        cli.ok_or("needs the AWS CLI: pip install awscli")
    }

    async fn find_boto3() -> Result<Self, &'static str> {
        let python = find("python3", &["-c", "import boto3"]).await.map(Self::Boto3);
        python.ok_or("needs boto3: pip install boto3")
    }

    async fn find_javascript() -> Result<Self, &'static str> {
        const PACKAGE: &str = "@aws-sdk/client-apigatewaymanagementapi";
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join(NODE_MODULES);
        let has_node = runs(Path::new("node"), &["--version"]).await;
        if has_node && modules.join(PACKAGE).exists() {
            return Ok(Self::JavaScript(modules));
        }
        Err("needs Node 20 or newer and: \
             npm install --prefix target/ci-node @aws-sdk/client-apigatewaymanagementapi")
    }

    pub(crate) async fn call(&self, call: &Call) -> Outcome {
        match self {
            Self::Rust => call_by_sdk(call).await,
            Self::Cli(cli) => call_by_cli(cli, call).await,
            Self::Boto3(python) => call_by_script(python, &[script("client.py")], call).await,
            Self::JavaScript(modules) => {
                let arguments = [script("client.mjs"), modules.clone()];
                call_by_script(Path::new("node"), &arguments, call).await
            }
        }
    }
}

/// A program that runs with these arguments: CI's, or else the machine's.
async fn find(name: &str, arguments: &[&str]) -> Option<PathBuf> {
    for program in [Path::new(env!("CARGO_MANIFEST_DIR")).join(VENV).join(name), name.into()] {
        if runs(&program, arguments).await {
            return Some(program);
        }
    }
    None
}

async fn runs(program: &Path, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output().await;
    output.is_ok_and(|output| output.status.success())
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

async fn call_by_sdk(call: &Call) -> Outcome {
    let client = Sdk::from_conf(sdk_config(call));
    let id = &call.id;
    match call.operation {
        Operation::Post => {
            let post = client.post_to_connection().connection_id(id).data(Blob::new(&*call.data));
            post.send().await.map_or_else(sdk_refusal, |_done| Outcome::Done(None))
        }
        Operation::Delete => {
            let delete = client.delete_connection().connection_id(id);
            delete.send().await.map_or_else(sdk_refusal, |_done| Outcome::Done(None))
        }
        Operation::Get => {
            let get = client.get_connection().connection_id(id);
            get.send().await.map_or_else(sdk_refusal, |found| {
                let millis = |time: Option<&DateTime>| time.unwrap().to_millis().unwrap();
                let identity = found.identity().unwrap();
                Outcome::Done(Some(Description {
                    source_ip: identity.source_ip().unwrap().to_owned(),
                    user_agent: identity.user_agent().unwrap().to_owned(),
                    connected_at: millis(found.connected_at()),
                    last_active_at: millis(found.last_active_at()),
                }))
            })
        }
    }
}

fn sdk_config(call: &Call) -> Config {
    let Credentials { access_key_id, region, .. } = &call.credentials;
    let [secret, token] = secrets(&call.credentials);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.clone()))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(&call.endpoint);
    if call.sign {
        let token = (!token.is_empty()).then_some(token);
        let credentials = config::Credentials::new(access_key_id, secret, token, None, "test");
        config.credentials_provider(credentials).build()
    } else {
        config.allow_no_auth().build()
    }
}

fn sdk_refusal<E: fmt::Debug>(error: SdkError<E>) -> Outcome
where
    Error: From<SdkError<E>>,
{
    let Some(response) = error.raw_response() else { panic!("{error:?}") };
    let status = response.status().as_u16();
    let error = Error::from(error);
    let is_typed = matches!(
        error,
        Error::ForbiddenException(_)
            | Error::GoneException(_)
            | Error::LimitExceededException(_)
            | Error::PayloadTooLargeException(_)
    );
    Outcome::Refused(Refusal {
        code: error.code().unwrap_or_default().to_owned(),
        message: error.message().unwrap_or_default().to_owned(),
        status: Some(status),
        is_typed: Some(is_typed),
    })
}

async fn call_by_cli(cli: &Path, call: &Call) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut command = command(cli, &call.credentials);
    command.arg("apigatewaymanagementapi").arg(match call.operation {
        Operation::Post => "post-to-connection",
        Operation::Get => "get-connection",
        Operation::Delete => "delete-connection",
    });
    // An id may begin with a hyphen.
    command.arg(format!("--connection-id={}", call.id)).args(["--endpoint-url", &call.endpoint]);
    if !call.sign {
        command.arg("--no-sign-request");
    }
    if call.operation == Operation::Post {
        fs::write(&data, &call.data).unwrap();
        command.arg(format!("--data=fileb://{}", data.display()));
    }
    let output = command.output().await.unwrap();
    if output.status.success() {
        return Outcome::Done(cli_description(&output.stdout));
    }
    let error = String::from_utf8(output.stderr).unwrap();
    let refusal = cli_refusal(&error).unwrap_or_else(|| panic!("{error}"));
    Outcome::Refused(refusal)
}

/// `An error occurred (CODE) when calling the NAME operation: MESSAGE`, where the CLI may say how often it tried.
fn cli_refusal(error: &str) -> Option<Refusal> {
    let (_, error) = error.split_once("An error occurred (")?;
    let (code, error) = error.split_once(") when calling the ")?;
    let (_name, error) = error.split_once(" operation")?;
    let message = match error.strip_prefix(" (reached max retries: ") {
        Some(error) => error.split_once("): ")?.1,
        None => error.strip_prefix(": ")?,
    };
    let (code, message) = (code.to_owned(), message.trim_end().to_owned());
    Some(Refusal { code, message, status: None, is_typed: None })
}

fn cli_description(output: &[u8]) -> Option<Description> {
    if output.trim_ascii().is_empty() {
        return None;
    }
    let found: Value = serde_json::from_slice(output).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let millis = |value: &Value| {
        let time = DateTime::from_str(&text(value), DateTimeFormat::DateTimeWithOffset);
        time.unwrap().to_millis().unwrap()
    };
    Some(Description {
        source_ip: text(&found["Identity"]["SourceIp"]),
        user_agent: text(&found["Identity"]["UserAgent"]),
        connected_at: millis(&found["ConnectedAt"]),
        last_active_at: millis(&found["LastActiveAt"]),
    })
}

async fn call_by_script(program: &Path, arguments: &[PathBuf], call: &Call) -> Outcome {
    let mut script = command(program, &call.credentials)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = script.stdin.take().unwrap();
    stdin.write_all(json!(call).to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let output = script.wait_with_output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A program with these credentials, and with nothing else of what may be set up on this machine.
fn command(program: &Path, credentials: &Credentials) -> Command {
    let [secret, token] = secrets(credentials);
    let mut command = Command::new(program);
    for (name, _value) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.env("AWS_ACCESS_KEY_ID", &credentials.access_key_id);
    command.env("AWS_SECRET_ACCESS_KEY", secret);
    if !token.is_empty() {
        command.env("AWS_SESSION_TOKEN", token);
    }
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        command.env(name, &credentials.region);
    }
    for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        command.env(name, "/nonexistent");
    }
    for (name, value) in [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_MAX_ATTEMPTS", "1"),
        ("AWS_PAGER", ""),
        ("NO_PROXY", "127.0.0.1"),
        ("no_proxy", "127.0.0.1"),
    ] {
        command.env(name, value);
    }
    command.kill_on_drop(true);
    command
}

/// The secret key, and the session token or nothing.
fn secrets(credentials: &Credentials) -> [String; 2] {
    let token = credentials.session_token.as_ref();
    let token = token.map_or("", ExposeSecret::expose_secret);
    [credentials.secret_access_key.expose_secret().to_owned(), token.to_owned()]
}
