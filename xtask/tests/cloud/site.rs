//! A place to deploy to: moto behind the proxy, local-dev as what a CDN and API Gateway would serve, and `cargo xtask`.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    aws,
    proxy::{Fault, Proxy},
};

/// What has to be there, where CI puts it, and how to get it.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("aws", "ci-venv", "needs the AWS CLI: pip install awscli"),
    ("sam", "ci-sam", "needs SAM, in an environment of its own: pip install aws-sam-cli"),
    (
        "moto_server",
        "ci-moto",
        "needs moto: python3 -m venv target/ci-moto && target/ci-moto/bin/pip install \
         'moto[server,s3,cloudformation,secretsmanager]==5.2.5'",
    ),
];

pub const REGION: &str = "eu-central-1";
pub const FUNCTIONS: &[&str] = &[
    "register",
    "login",
    "refresh",
    "logout",
    "messages",
    "presence",
    "connect",
    "message",
    "disconnect",
    "broadcast",
    "migrate",
];
const DATABASE_PASSWORD: &str = "the-password-of-the-database";
const SECRET_KEY: &str = "the-secret-access-key-of-the-test";

/// The folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A program of CI's environments, or of the machine.
pub fn program(name: &str, venv: &str) -> Option<PathBuf> {
    let ours = root().join("target").join(venv).join("bin").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).map(|folder| folder.join(name));
    [ours].into_iter().chain(places).find(|path| path.is_file())
}

fn local_dev() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("local-dev")
}

/// What this machine lacks.
pub fn missing() -> Option<&'static str> {
    let lacks = |(name, venv, _): &&(&str, &str, &str)| program(name, venv).is_none();
    let program = PROGRAMS.iter().find(lacks).map(|(_, _, hint)| *hint);
    program.or_else(|| (!local_dev().is_file()).then_some("needs local-dev: cargo build"))
}

/// What this machine lacks to deploy a function that is built.
pub fn not_built() -> Option<&'static str> {
    if program("cargo-lambda", "ci-venv").is_none() {
        return Some("needs cargo-lambda: pip install cargo-lambda");
    }
    let is_built = root().join("target/lambda/register/bootstrap").is_file();
    (!is_built).then_some("needs the functions as Lambda runs them: cargo xtask build")
}

/// What SAM says of a template.
pub fn sam_validates(template: &Path, folder: &Path) -> Said {
    let sam = program("sam", "ci-sam").unwrap();
    let path = format!("{}:/usr/bin:/bin", sam.parent().unwrap().display());
    let mut command = Command::new(&sam);
    command.args(["validate", "--lint", "--template"]).arg(template).env_clear();
    command.envs([
        ("PATH", path.as_str()),
        ("SAM_CLI_TELEMETRY", "0"),
        ("AWS_DEFAULT_REGION", REGION),
    ]);
    said(command.env("HOME", folder).output().unwrap())
}

/// A program that ends with the test, even if somebody kills the test.
pub struct Running {
    child: Child,
    /// Ends the program as soon as nobody holds its standard input any more.
    guard: Child,
    signal: &'static str,
}

impl Running {
    /// Starts it, and reads on until `find` finds what it says of its address.
    pub fn start(command: &mut Command, find: impl Fn(&str) -> Option<String>) -> (Self, String) {
        Self::start_for(command, "KILL", find)
    }

    /// The same of one that has to be told its end by a certain signal.
    pub fn start_for(
        command: &mut Command,
        signal: &'static str,
        find: impl Fn(&str) -> Option<String>,
    ) -> (Self, String) {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let guard = Command::new("sh")
            .args(["-c", r#"cat; kill -s "$1" "$0""#, &child.id().to_string(), signal])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Self { child, guard, signal };
        let found = lines.find_map(|line| find(&line.unwrap())).expect("it says where it listens");
        // Whoever can't write any more stops.
        std::thread::spawn(move || lines.for_each(drop));
        (running, found)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Before the program's number can be another's.
        self.guard.kill().ok();
        self.guard.wait().ok();
        let child = self.child.id().to_string();
        Command::new("kill").args(["-s", self.signal, &child]).status().ok();
        self.child.wait().ok();
    }
}

/// All of it.
pub struct Site {
    pub proxy: Proxy,
    pub stack: String,
    folder: TempDir,
    page: String,
    moto_url: String,
    secret: String,
    _moto: Running,
    _local_dev: Running,
}

/// What a command has said, and how it ended.
pub struct Said {
    pub text: String,
    pub ok: bool,
}

impl Said {
    #[track_caller]
    pub fn has(&self, expected: &str) -> &Self {
        assert!(self.text.contains(expected), "{expected:?} is not in:\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert!(self.ok, "it has failed:\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn failed(&self) -> &Self {
        assert!(!self.ok, "it should have failed:\n{}", self.text);
        self
    }
}

impl Site {
    /// Everything, for one stack of that name.
    pub fn start(stack: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("lambda-chat-deploy-").tempdir().unwrap();
        let (moto, moto_url) = moto(folder.path());
        let address: SocketAddr = moto_url.strip_prefix("http://").unwrap().parse().unwrap();
        let proxy = Proxy::start(address);
        let page_folder = folder.path().join("page");
        let made = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("site")
            .arg(&page_folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let (local_dev, page) = serve(&page_folder, folder.path());
        let built = folder.path().join("built");
        for function in FUNCTIONS {
            fs::create_dir_all(built.join(function)).unwrap();
            fs::write(built.join(function).join("bootstrap"), format!("the code of {function}"))
                .unwrap();
        }
        fs::write(
            folder.path().join("database"),
            format!("postgres://chat:{DATABASE_PASSWORD}@db.example.com/chat\n"),
        )
        .unwrap();
        let mut site = Self {
            proxy,
            stack: stack.to_owned(),
            folder,
            page,
            moto_url,
            secret: String::new(),
            _moto: moto,
            _local_dev: local_dev,
        };
        let made = site.aws(&[
            "secretsmanager",
            "create-secret",
            "--name",
            "jwt",
            "--secret-string",
            "a secret of this test",
        ]);
        made["ARN"].as_str().unwrap().clone_into(&mut site.secret);
        // moto knows no CDN of that id.
        let invalidated = r"<Invalidation><Id>I1</Id><Status>InProgress</Status></Invalidation>";
        let answer = Fault::Answer(201, invalidated.to_owned());
        site.proxy.inject("/invalidation ", usize::MAX, answer);
        site
    }

    /// Answers of the function `migrate`, one after the other.
    pub fn migrate_answers(&self, answers: &[Value]) {
        let answers: Vec<String> = answers.iter().map(Value::to_string).collect();
        self.moto(
            "moto-api/static/lambda-simple/response",
            &json!({"results": answers, "region": REGION}),
        );
    }

    fn moto(&self, path: &str, body: &Value) {
        ureq::post(format!("{}/{path}", self.moto_url)).send_json(body).unwrap();
    }

    /// What moto itself answers, where loading the CLI is not worth it.
    pub fn asked(&self, service: &str, path: &str) -> Value {
        let scope = format!("AKIDEXAMPLE/20261127/{REGION}/{service}/aws4_request");
        let signed =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let asked = ureq::get(format!("{}/{path}", self.moto_url)).header("authorization", signed);
        let asked = asked.config().http_status_as_error(false).build();
        asked.call().unwrap().body_mut().read_json().unwrap()
    }

    pub fn moto_has_functions_without_docker(&self) {
        self.moto("moto-api/config", &json!({"lambda": {"use_docker": false}}));
    }

    /// From now on the stack has a cluster, which moto's stacks don't have. What it is asked succeeds.
    pub fn has_cluster(&self, id: &str) {
        let cluster = format!(
            "<StackResourceSummaries><member><ResourceType>AWS::DSQL::Cluster</ResourceType>\
             <LogicalResourceId>Cluster</LogicalResourceId><PhysicalResourceId>{id}</PhysicalResourceId>\
             <ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>"
        );
        let with_cluster = Fault::replace("<StackResourceSummaries>", &cluster);
        self.proxy.inject("Action=ListStackResources", usize::MAX, with_cluster);
        let answer = Fault::Answer(200, json!({"identifier": id, "status": "ACTIVE"}).to_string());
        self.proxy.inject(&format!("/cluster/{id}"), usize::MAX, answer);
    }

    pub fn page(&self) -> &str {
        &self.page
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The arguments that name the template and the functions.
    pub fn what_is_deployed(&self) -> [String; 4] {
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cloud/template.yaml");
        let built = self.folder.path().join("built").display().to_string();
        ["--template".to_owned(), template.to_owned(), "--built".to_owned(), built]
    }

    /// The arguments of every deployment here.
    fn deploy_arguments(&self) -> Vec<String> {
        let set = |key: &str, value: &str| ["--parameter".to_owned(), format!("{key}={value}")];
        let mut arguments = vec!["deploy".to_owned()];
        arguments.extend(self.what_is_deployed());
        let database = self.folder.path().join("database").display().to_string();
        arguments.extend(["--database-url-from".to_owned(), database]);
        arguments.extend(set("Page", &self.page));
        arguments.extend(set("Secret", &self.secret));
        arguments
    }

    pub fn deploy(&self, more: &[&str]) -> Said {
        let mut arguments = self.deploy_arguments();
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        self.xtask(&arguments)
    }

    pub fn destroy(&self, more: &[&str]) -> Said {
        self.xtask(&[&["destroy"], more].concat())
    }

    pub fn doctor(&self) -> Said {
        self.xtask(&["doctor"])
    }

    /// Runs a command for this stack. What it says is searched for secrets.
    pub fn xtask<W: AsRef<str>>(&self, arguments: &[W]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    pub fn command<W: AsRef<str>>(&self, arguments: &[W]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments.iter().map(AsRef::as_ref)).args([
            "--stack",
            &self.stack,
            "--poll-ms",
            "50",
        ]);
        command.stdin(Stdio::null()).env_clear().envs(self.environment());
        command
    }

    /// What the AWS CLI finds.
    pub fn environment(&self) -> Vec<(String, String)> {
        let path = format!("{}:/usr/bin:/bin", aws::folder().display());
        let variables = [
            ("PATH", path.as_str()),
            ("HOME", self.folder.path().to_str().unwrap()),
            ("AWS_ENDPOINT_URL", &self.proxy.url()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            // What is injected is to be met, not retried.
            ("AWS_MAX_ATTEMPTS", "1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// Asks moto itself, without faults.
    pub fn aws(&self, arguments: &[&str]) -> Value {
        let output = Command::new(aws::folder().join("aws"))
            .args(arguments)
            .args(["--endpoint-url", &self.moto_url, "--output", "json"])
            .env_clear()
            .envs(self.environment())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}

/// What a command has said, without any secret.
#[track_caller]
pub fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ok = output.status.success();
    let text = format!("{}{}", text(output.stdout), text(output.stderr));
    for secret in [DATABASE_PASSWORD, SECRET_KEY, "a secret of this test"] {
        assert!(!text.contains(secret), "a secret is shown:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    Said { text, ok }
}

fn moto(folder: &Path) -> (Running, String) {
    let python = program("moto_server", "ci-moto").unwrap().with_file_name("python3");
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cloud/serve_moto.py");
    // It says where it listens on standard error: a shell joins the two.
    let line = format!("exec {} {server} -H 127.0.0.1 -p 0 2>&1", python.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).env("PYTHONUNBUFFERED", "1").env("HOME", folder);
    // Those that AWS has for everybody.
    shell.env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true");
    // It doesn't know yet that Aurora DSQL is there, too.
    shell.env("MOTO_ALLOW_NONEXISTENT_REGION", "true");
    Running::start(&mut shell, |line| {
        let address = line.split("Running on ").nth(1)?;
        Some(address.trim().to_owned())
    })
}

/// The chat itself, with the page as a CDN has it.
fn serve(page: &Path, folder: &Path) -> (Running, String) {
    let mut command = Command::new(local_dev());
    command.args(["--port", "0", "--static-dir"]).arg(page).current_dir(folder).env_clear();
    command.envs([
        ("LOG", "warn"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_REGION", REGION),
    ]);
    Running::start(&mut command, |line| line.strip_prefix("listening on ").map(str::to_owned))
}
