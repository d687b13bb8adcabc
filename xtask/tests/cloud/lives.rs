//! A deployment's life: made, found well, updated, taken away.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    proxy::Fault,
    site::{FUNCTIONS, Site, program, root, said},
};

pub const STORIES: &[(&str, fn())] = &[
    ("a_chat_is_deployed_updated_and_destroyed", a_chat_is_deployed_updated_and_destroyed),
    ("a_deployment_runs_what_its_plan_shows", a_deployment_runs_what_its_plan_shows),
    ("doctor_finds_what_is_wrong", doctor_finds_what_is_wrong),
    ("destroy_goes_on_where_it_stopped", destroy_goes_on_where_it_stopped),
    ("destroy_wants_the_name_typed", destroy_wants_the_name_typed),
];

/// Of functions that are built.
pub const OF_BUILT: &[(&str, fn())] =
    &[("one_function_is_deployed_by_itself", one_function_is_deployed_by_itself)];

/// What `migrate` answers.
pub fn status(steps_pending: u64) -> Value {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    json!({"steps": 8, "steps_pending": steps_pending, "database": "postgres", "now": u64::try_from(now).unwrap()})
}

/// Lambda's account settings, which moto doesn't have.
pub fn concurrency(site: &Site, count: u32) {
    let limits = json!({"ConcurrentExecutions": count, "UnreservedConcurrentExecutions": count});
    let answer = json!({"AccountLimit": limits, "AccountUsage": {}}).to_string();
    site.proxy.inject("/2016-08-19/account-settings", usize::MAX, Fault::Answer(200, answer));
}

fn a_chat_is_deployed_updated_and_destroyed() {
    let site = Site::start("story");
    site.moto_has_functions_without_docker();
    concurrency(&site, 1000);

    let first = site.deploy(&[]);
    first.succeeded().has("[8/8]").has("there is no story yet").has("a message came to both");
    first.has("is online");
    assert!(first.text.ends_with(&format!("The chat is at {}\n", site.page())), "{}", first.text);
    the_page_is_there(&site);
    let functions = site.aws(&["lambda", "list-functions"]);
    assert_eq!(functions["Functions"].as_array().unwrap().len(), FUNCTIONS.len());

    // The secret's version, now that there is a secret, is the one change.
    site.deploy(&["--no-smoke"]).succeeded().has("CREATE_COMPLETE").has("UPDATE_COMPLETE");
    let again = site.deploy(&["--no-smoke"]);
    again.succeeded().has("is up to date already");
    let parameters = site.aws(&["cloudformation", "describe-stacks", "--stack-name", "story"]);
    let parameters = parameters["Stacks"][0]["Parameters"].as_array().unwrap();
    let version = parameters.iter().find(|one| one["ParameterKey"] == "JwtSecretVersion").unwrap();
    assert!(version["ParameterValue"].as_str().unwrap().len() >= 32, "{version}");

    fs::write(site.folder().join("built/login/bootstrap"), "other code").unwrap();
    site.deploy(&["--no-smoke"]).succeeded().has("UPDATE_COMPLETE");

    site.migrate_answers(&[status(0)]);
    site.doctor().succeeded().has("All 10 are well").has("all 8 steps of its migrations done");

    site.destroy(&[]).failed().has("--yes");
    site.destroy(&["--yes"]).succeeded().has("This will be lost").has("story is gone");
    assert_eq!(site.aws(&["s3api", "list-buckets"])["Buckets"], json!([]));
    assert_eq!(site.aws(&["lambda", "list-functions"])["Functions"], json!([]));
    site.destroy(&["--yes"]).succeeded().has("There is no stack story");
}

/// Every file of the page, with type and cache header.
fn the_page_is_there(site: &Site) {
    let outputs = site.aws(&["cloudformation", "describe-stacks", "--stack-name", &site.stack]);
    let outputs = outputs["Stacks"][0]["Outputs"].as_array().unwrap();
    let bucket = outputs.iter().find(|one| one["OutputKey"] == "SiteBucket").unwrap();
    let bucket = bucket["OutputValue"].as_str().unwrap();
    let list = site.aws(&["s3api", "list-objects-v2", "--bucket", bucket]);
    let keys: Vec<&str> = list["Contents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["Key"].as_str().unwrap())
        .collect();
    let of_page = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../static")).unwrap();
    let of_page = of_page.filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!(keys.len(), of_page, "{keys:?}");
    assert!(!keys.iter().any(|key| key.contains("test")), "{keys:?}");
    for key in keys {
        let object = site.aws(&["s3api", "head-object", "--bucket", bucket, "--key", key]);
        let content_type = match key.rsplit('.').next().unwrap() {
            "css" => "text/css; charset=utf-8",
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("{other} is no kind of file that the page has"),
        };
        assert_eq!(object["ContentType"], content_type, "{key}");
        let cache = if ["index.html", "config.js"].contains(&key) {
            "no-cache"
        } else {
            "public, max-age=31536000, immutable"
        };
        assert_eq!(object["CacheControl"], cache, "{key}");
    }
}

/// The commands that change something, in their order, up to what only a run knows.
fn changing(text: &str) -> Vec<String> {
    const CHANGING: &[&str] = &[
        " create-bucket ",
        " package ",
        " s3 cp ",
        " create-change-set ",
        " execute-change-set ",
        " create-invalidation ",
    ];
    let commands = text.lines().filter_map(|line| line.trim().strip_prefix("$ aws "));
    let commands =
        commands.filter(|line| CHANGING.iter().any(|one| format!(" {line}").contains(one)));
    commands
        .map(|line| {
            let words = line
                .split(' ')
                .map(|word| if word.contains('<') || word.contains("://") { "…" } else { word });
            words.take_while(|word| !word.contains("--region")).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn a_deployment_runs_what_its_plan_shows() {
    let site = Site::start("planned");
    let plan = site.deploy(&["--dry-run", "--verbose"]);
    plan.succeeded().has("DatabaseUrl=(not shown)").has("[8/8]");
    assert_eq!(site.proxy.count("Action=CreateChangeSet"), 0);
    let run = site.deploy(&["--verbose"]);
    run.succeeded();
    let normal = |text: &str| -> Vec<String> {
        changing(&text.replace("'<CREATE or UPDATE>'", "CREATE"))
            .into_iter()
            .map(|line| {
                let words = line.split_whitespace().map(|word| {
                    let is_known_later =
                        ["deploy-", "CREATE", "LocationConstraint=", "E1234567890ABC"]
                            .iter()
                            .any(|start| word.starts_with(start));
                    if is_known_later || word.contains("lambda-chat-deploy-") {
                        "…"
                    } else {
                        word
                    }
                });
                words.collect::<Vec<_>>().join(" ")
            })
            .collect()
    };
    assert_eq!(normal(&plan.text), normal(&run.text));
    assert_eq!(normal(&plan.text).len(), 11);
    // Neither on a command line nor in the plan.
    for said in [&plan, &run] {
        assert!(!said.text.contains("db.example.com"), "{}", said.text);
    }
    // What was set is kept.
    site.deploy(&["--no-smoke", "--alarm-mail", "a@example.com"]).succeeded();
    site.deploy(&["--no-smoke"]).succeeded();
    let stack = site.aws(&["cloudformation", "describe-stacks", "--stack-name", "planned"]);
    let parameters = stack["Stacks"][0]["Parameters"].as_array().unwrap();
    let mail = parameters.iter().find(|one| one["ParameterKey"] == "AlarmMail").unwrap();
    assert_eq!(mail["ParameterValue"], "a@example.com");
}

fn doctor_finds_what_is_wrong() {
    let site = Site::start("patient");
    site.moto_has_functions_without_docker();
    site.doctor()
        .failed()
        .has("there is no stack patient")
        .has("cargo xtask deploy --stack patient");
    site.deploy(&["--no-smoke"]).succeeded();

    // Two secrets, one of them too short; a database that lacks two steps; a new account.
    let stack =
        site.aws(&["cloudformation", "describe-stack-resources", "--stack-name", "patient"]);
    let resources = stack["StackResources"].as_array().unwrap();
    let login = resources.iter().find(|one| one["LogicalResourceId"] == "Login").unwrap();
    let login = login["PhysicalResourceId"].as_str().unwrap();
    site.aws(&[
        "lambda",
        "update-function-configuration",
        "--function-name",
        login,
        "--environment",
        "Variables={DATABASE_URL=mysql://x,JWT_SECRET=hunter2}",
    ]);
    site.migrate_answers(&[status(2)]);
    concurrency(&site, 10);
    let sick = site.doctor();
    sick.failed()
        .has("BROKEN  function Login: DATABASE_URL is malformed")
        .has("BROKEN  function Login: JWT_SECRET is malformed")
        .has("BROKEN  function Login: CDN_SECRET is missing")
        .has("different secrets")
        .has("BROKEN  database: postgres, 2 of 8 steps are not done")
        .has("doubt   quota of Lambda: 10 functions of 10")
        .has("request-service-quota-increase");
    for value in ["hunter2", "mysql://"] {
        assert!(!sick.text.contains(value), "{}", sick.text);
    }

    // A function that fails, a denied question, a callback URL that is somebody else's, a page that is gone.
    site.migrate_answers(&[json!({"errorMessage": "the database is away"})]);
    site.proxy.inject("Action=ListStackResources", 1, Fault::error(403, "AccessDenied"));
    site.deploy(&["--no-smoke", "--alarm-mail", "b@example.com"]).succeeded();
    let other = site.doctor();
    other
        .failed()
        .has("doubt   functions: can't be looked at")
        .has("can't tell: the database is away");
    site.proxy.inject(
        "Action=DescribeStacks",
        1,
        Fault::replace(site.page(), "http://127.0.0.1:1"),
    );
    site.migrate_answers(&[json!({}), status(0)]);
    let gone = site.doctor();
    gone.failed()
        .has("BROKEN  page:")
        .has("BROKEN  callback URL:")
        .has("its answer has no number of steps");
}

fn destroy_goes_on_where_it_stopped() {
    let site = Site::start("doomed");
    site.deploy(&["--no-smoke"]).succeeded();
    site.has_cluster("abc123");
    for (call, fault, expected) in [
        ("Action=DescribeStacks", Fault::error(400, "Throttling"), "Wait a minute"),
        ("Action=ListStackResources", Fault::error(403, "AccessDenied"), "--profile"),
        ("POST /cluster/abc123", Fault::json_error(403, "AccessDeniedException"), "--profile"),
        ("?versions", Fault::s3_error(503, "SlowDown"), "Wait a minute"),
        ("?delete", Fault::s3_error(403, "AccessDenied"), "--profile"),
        ("Action=DeleteStack", Fault::Reset, "network"),
        ("Action=DeleteStack", Fault::error(403, "ExpiredToken"), "Log in again"),
    ] {
        site.proxy.inject_first(call, 1, fault);
        site.destroy(&["--yes"]).failed().has(expected);
    }
    assert_eq!(site.proxy.count("DELETE /cluster/abc123"), 0);
    // The stack goes, its cluster stays behind.
    let denied = Fault::json_error(403, "AccessDeniedException");
    site.proxy.inject_first("DELETE /cluster/abc123", 1, denied);
    let stayed = site.destroy(&["--yes"]);
    stayed
        .failed()
        .has("Lifting the protection of the database, cluster abc123")
        .has("aws dsql delete-cluster --identifier abc123");
    site.destroy(&["--yes"]).succeeded();
    assert_eq!(site.aws(&["s3api", "list-buckets"])["Buckets"], json!([]));
}

fn destroy_wants_the_name_typed() {
    let site = Site::start("typed");
    site.deploy(&["--no-smoke"]).succeeded();
    let typed = |text: &str| {
        // A terminal, which destroy asks at.
        let line = format!("{} destroy --stack typed --poll-ms 50", env!("CARGO_BIN_EXE_xtask"));
        let mut terminal = Command::new("script");
        terminal.args(["-qec", &line, "/dev/null"]).env_clear().envs(site.environment());
        let mut child = terminal
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{text}").unwrap();
        said(child.wait_with_output().unwrap())
    };
    typed("other").failed().has("that is not its name; nothing was deleted");
    assert_eq!(site.proxy.count("Action=DeleteStack"), 0);
    typed("typed").succeeded().has("typed is gone");
}

/// As the README shows it, in a repository whose functions are built.
fn one_function_is_deployed_by_itself() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("`cargo lambda deploy NAME`"));
    let site = Site::start("single");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["lambda", "deploy", "register"]).current_dir(root());
    // Cargo finds the registry and the toolchain at home.
    cargo.envs(site.environment().into_iter().filter(|(name, _)| !is_own(name)));
    let cargo_lambda = program("cargo-lambda", "ci-venv").unwrap();
    let folder = cargo_lambda.parent().unwrap().display().to_string();
    cargo.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
    said(cargo.output().unwrap()).succeeded();

    let there = site.aws(&["lambda", "get-function", "--function-name", "register"]);
    let built = fs::metadata(root().join("target/lambda/register/bootstrap")).unwrap();
    let zipped = there["Configuration"]["CodeSize"].as_u64().unwrap();
    assert!(zipped > built.len() / 10 && zipped <= built.len(), "{there}");
    assert_eq!(there["Configuration"]["Handler"], "bootstrap");
    assert_eq!(site.aws(&["lambda", "list-functions"])["Functions"].as_array().unwrap().len(), 1);
}

/// Whether a variable says where this machine has its programs and settings.
fn is_own(name: &str) -> bool {
    ["HOME", "PATH"].contains(&name)
}
