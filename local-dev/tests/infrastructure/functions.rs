//! What functions are given, against what their code reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use shared::{
    clock::Clock,
    lambda::{HttpFunction, WebSocketFunction},
    settings::{Lookup, SettingError, Settings},
};

use super::{
    Test,
    stack::{EVERYTHING, POSTGRES, Stack, Template, references, text},
};

pub(crate) const TESTS: &[Test] = &[
    ("every_variable_has_its_reader_and_the_other_way_round", variables_have_readers),
    ("every_variable_is_one_that_the_code_takes", variables_are_taken),
    ("functions_are_built_and_run_as_lambda_wants", functions_are_built),
    ("functions_wait_for_the_schema", functions_wait_for_the_schema),
    ("a_secret_of_a_certain_version_is_used", a_version_of_the_secret),
    ("each_function_has_its_own_log", each_function_has_its_log),
];

/// Settings that the cloud leaves at their defaults.
const DEFAULTS: [&str; 7] = [
    "ACCESS_TOKEN_TTL",
    "BCRYPT_COST",
    "BROADCAST_CONCURRENCY",
    "CONNECTIONS_ENDPOINT", // of the WebSocket API's own functions: their events say where it is
    "LOG",
    "LOG_FORMAT",
    "REFRESH_TOKEN_TTL",
];

/// What Lambda sets, and this code reads.
const LAMBDAS_OWN: [&str; 4] =
    ["AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// For tests and local-dev, and what is there only while X-Ray is.
const OPTIONAL: [&str; 3] = ["AWS_ENDPOINT_URL_SQS", "AWS_XRAY_DAEMON_ADDRESS", "SSL_CERT_FILE"];

/// Builds the function `name` as its program does, from the variables that `function` has in the template, but for one.
/// Says which of them its code has asked for.
pub(crate) fn start_without(
    left_out: &str,
    name: &str,
    function: &Value,
) -> Result<BTreeSet<String>, SettingError> {
    let mut given: BTreeMap<String, String> =
        LAMBDAS_OWN.map(|name| (name.to_owned(), "something".to_owned())).into();
    let variables = variables(function);
    given.extend(variables.iter().map(|(name, value)| ((*name).clone(), sample(name, value))));
    given.remove(left_out);
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let lookup = Lookup::from_fn({
        let asked = Arc::clone(&asked);
        move |name| {
            asked.lock().unwrap().insert(name.to_owned());
            given.get(name).cloned()
        }
    });
    let settings = Settings::new(lookup, Clock::system(), 1)?;
    settings.watch("a function")?;
    match name {
        "register" => drop(register::Register::new(&settings)?),
        "login" => drop(login::Login::new(&settings)?),
        "refresh" => drop(refresh::Refresh::new(&settings)?),
        "logout" => drop(logout::Logout::new(&settings)?),
        "messages" => drop(messages::Messages::new(&settings)?),
        "presence" => drop(presence::Presence::new(&settings)?),
        "connect" => drop(connect::Connect::new(&settings)?),
        "message" => drop(message::Message::new(&settings)?),
        "disconnect" => drop(disconnect::Disconnect::new(&settings)?),
        "broadcast" => drop(broadcast::Broadcast::new(&settings)?),
        "migrate" => drop(migrate::Migrate::new(&settings)),
        name => panic!("the code has no function {name}"),
    }
    let asked = asked.lock().unwrap().clone();
    Ok(asked)
}

/// The same with all of them.
pub(crate) fn start(name: &str, function: &Value) -> Result<BTreeSet<String>, SettingError> {
    start_without("", name, function)
}

/// The variables that a function has in the template.
fn variables(function: &Value) -> Vec<(&String, &Value)> {
    function["Environment"]["Variables"].as_object().unwrap().iter().collect()
}

/// A value such as a variable has once the stack is there.
fn sample(name: &str, value: &Value) -> String {
    match name {
        "DATABASE_URL" => {
            let url = value["Fn::Sub"].as_str().map_or_else(|| text(value), str::to_owned);
            url.replace("${Cluster.Endpoint}", "4iabtwnq2j55iez4j4bkykghgm.dsql.eu-west-1.on.aws")
        }
        "JWT_SECRET" | "CDN_SECRET" => "s".repeat(48),
        "ALLOWED_ORIGINS" => "https://d111111abcdef8.cloudfront.net,https://a.example".to_owned(),
        "BROADCAST_QUEUE_URL" => {
            "https://sqs.eu-west-1.amazonaws.com/123456789012/chat-BroadcastQueue-1.fifo".to_owned()
        }
        "CONNECTIONS_ENDPOINT" => {
            "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/ws".to_owned()
        }
        "METRICS_NAMESPACE" => "lambda-chat".to_owned(),
        _ => text(value),
    }
}

fn variables_have_readers(template: &Template) {
    let stack = template.with(&POSTGRES);
    for (id, name, function) in stack.functions() {
        let given: BTreeSet<String> =
            variables(function).into_iter().map(|(name, _)| name.clone()).collect();
        let read = start(&name, function).unwrap();
        let unread: Vec<_> = given.difference(&read).collect();
        assert!(unread.is_empty(), "{id} has variables that its code doesn't read: {unread:?}");
        let lacking: Vec<_> = read
            .difference(&given)
            .filter(|name| {
                let known = [&DEFAULTS[..], &LAMBDAS_OWN, &OPTIONAL].concat();
                !known.contains(&name.as_str())
            })
            .collect();
        assert!(lacking.is_empty(), "the code of {id} reads what it isn't given: {lacking:?}");
    }
}

/// The lack of any of the variables that are secret or name the database is an error at start.
fn variables_are_taken(template: &Template) {
    let limits = &template.parameters()["BroadcastInlineLimit"];
    let [least, most] = ["MinValue", "MaxValue"].map(|limit| text(&limits[limit]));
    let limits = [&least, &most].map(|limit| template.with(&[("BroadcastInlineLimit", limit)]));
    let others = [template.plain(), template.with(&POSTGRES), template.with(&EVERYTHING)];
    for stack in limits.into_iter().chain(others) {
        for (id, name, function) in stack.functions() {
            let names = variables(function).into_iter().map(|(name, _)| name.as_str());
            for left_out in names.chain([""]) {
                let started = start_without(left_out, &name, function);
                let is_needed =
                    ["DATABASE_URL", "JWT_SECRET", "CONNECTIONS_ENDPOINT"].contains(&left_out);
                assert_eq!(started.is_err(), is_needed, "{id} without {left_out:?}: {started:?}");
            }
        }
    }
}

fn functions_are_built(template: &Template) {
    let stack = template.plain();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    let mut crates: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    crates.sort_unstable();
    let binaries: Vec<String> = stack.functions().map(|(_, binary, _)| binary).collect();
    assert_eq!(binaries, crates);
    for (id, function) in stack.of_kind("AWS::Lambda::Function") {
        assert_eq!(function.attributes["Metadata"]["BuildMethod"], "rust-cargolambda", "{id}");
        let properties = &function.properties;
        assert_eq!(properties["Runtime"], "provided.al2023", "{id}");
        assert_eq!(properties["Handler"], "bootstrap", "{id}");
        assert_eq!(properties["Architectures"], serde_json::json!(["arm64"]), "{id}");
        assert_eq!(properties["TracingConfig"]["Mode"], "PassThrough", "{id}");
        assert_eq!(properties["VpcConfig"], Value::Null, "{id}");
    }
    let traced = template.with(&EVERYTHING);
    for (id, _, function) in traced.functions() {
        assert_eq!(function["TracingConfig"]["Mode"], "Active", "{id}");
    }
}

fn functions_wait_for_the_schema(template: &Template) {
    let stack = template.plain();
    for (id, name, _) in stack.functions() {
        let waits = stack.needs_in_all(id).contains("Schema");
        assert_eq!(waits, name != "migrate", "{id}");
    }
    let schema = stack.properties("Schema");
    assert_eq!(schema["Revision"], "1");
    // Each function is another user of the cluster, and the migration gives its role to its IAM role.
    let roles = schema["Roles"].as_object().unwrap();
    for (id, name, function) in stack.functions() {
        let url = text(&function["Environment"]["Variables"]["DATABASE_URL"]["Fn::Sub"]);
        if name == "migrate" {
            assert_eq!(url, "dsql://admin@${Cluster.Endpoint}");
            continue;
        }
        assert_eq!(url, format!("dsql://{name}@${{Cluster.Endpoint}}"), "{id}");
        let role: Vec<String> = references(&roles[&name]).into_iter().collect();
        assert_eq!(role, [format!("{id}Role")]);
    }
    assert_eq!(roles.len() + 1, stack.functions().count());
    assert_eq!(template.with(&POSTGRES).properties("Schema")["Roles"], Value::Null);
    // Nothing is taken from a role while a function of before may run.
    let needed = stack.needs("SchemaTidied");
    assert!(stack.functions().all(|(id, ..)| needed.contains(id)), "{needed:?}");
    assert_eq!(stack.properties("SchemaTidied")["Tidy"], true);
    assert!(!template.with(&POSTGRES).resources.contains_key("SchemaTidied"));
    // CloudFormation must wait longer than the function may take.
    let timeout = stack.properties("Migrate")["Timeout"].as_u64().unwrap();
    assert!(schema["ServiceTimeout"].as_u64().unwrap() > timeout);
}

fn a_version_of_the_secret(template: &Template) {
    let secret = |stack: &Stack| {
        text(&stack.properties("Login")["Environment"]["Variables"]["JWT_SECRET"]["Fn::Sub"])
    };
    assert_eq!(secret(&template.plain()), "{{resolve:secretsmanager:${JwtSecret}}}");
    assert_eq!(
        secret(&template.with(&EVERYTHING)),
        "{{resolve:secretsmanager:${JwtSecret}:SecretString:::${JwtSecretVersion}}}"
    );
}

fn each_function_has_its_log(template: &Template) {
    let stack = template.with(&[("LogRetentionDays", "7")]);
    for (id, name, function) in stack.functions() {
        let group = format!("{id}Logs");
        assert_eq!(function["LoggingConfig"]["LogGroup"]["Ref"], group.as_str(), "{id}");
        let group = stack.properties(&group);
        assert_eq!(group["RetentionInDays"], "7", "{id}");
        let expected = format!("/aws/lambda/${{AWS::StackName}}-{name}");
        assert_eq!(group["LogGroupName"]["Fn::Sub"], expected.as_str(), "{id}");
    }
}
