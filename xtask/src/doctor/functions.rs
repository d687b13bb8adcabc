//! The functions: whether they can be called, and whether their settings are there and well-formed. No value is shown.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::Findings;
use crate::{
    aws::{Aws, AwsError},
    stack::Stack,
};

/// The variables that a function can't do without. `METRICS_NAMESPACE` and others are optional.
const NEEDED: &[(&str, &[&str])] = &[
    ("Register", &["DATABASE_URL"]),
    ("Login", &["DATABASE_URL", "JWT_SECRET", "CDN_SECRET"]),
    ("Refresh", &["DATABASE_URL", "JWT_SECRET", "CONNECTIONS_ENDPOINT", "PRESENCE_LIMIT"]),
    ("Logout", &["DATABASE_URL", "JWT_SECRET", "CONNECTIONS_ENDPOINT", "PRESENCE_LIMIT"]),
    ("Messages", &["DATABASE_URL", "JWT_SECRET"]),
    ("Presence", &["DATABASE_URL", "JWT_SECRET", "CONNECTIONS_ENDPOINT", "PRESENCE_LIMIT"]),
    ("Connect", &["DATABASE_URL", "JWT_SECRET", "ALLOWED_ORIGINS", "PRESENCE_LIMIT"]),
    (
        "Message",
        &[
            "DATABASE_URL",
            "MESSAGE_RATE_LIMIT",
            "BROADCAST_QUEUE_URL",
            "BROADCAST_INLINE_LIMIT",
            "PRESENCE_LIMIT",
        ],
    ),
    ("Disconnect", &["DATABASE_URL", "PRESENCE_LIMIT"]),
    (
        "Broadcast",
        &["DATABASE_URL", "CONNECTIONS_ENDPOINT", "PRESENCE_LIMIT", "BROADCAST_CONCURRENCY"],
    ),
    ("Migrate", &["DATABASE_URL"]),
];

/// The shortest secret that functions take, in bytes.
const SECRET_BYTES_MIN: usize = 32;

pub(super) fn examine(findings: &mut Findings, aws: &Aws, stack: &Stack) {
    let functions = match list(aws, stack) {
        Ok(functions) => functions,
        Err(error) => return findings.unknown("functions", &error),
    };
    let mut secrets = BTreeMap::new();
    let mut well = 0;
    for (name, needed) in NEEDED {
        let deploy = format!("cargo xtask deploy --stack {}", stack.name);
        let Some(id) = functions.get(*name) else {
            findings.broken(&format!("function {name}: the stack has none"), &deploy);
            continue;
        };
        let get = ["lambda", "get-function-configuration", "--function-name", id];
        let configuration = match aws.call(&get) {
            Ok(configuration) => configuration,
            Err(error) if error.code() == "ResourceNotFoundException" => {
                let fix = format!(
                    "somebody has deleted it. cargo xtask destroy --stack {}, then deploy",
                    stack.name
                );
                findings.broken(&format!("function {name}: it is gone"), &fix);
                continue;
            }
            Err(error) => {
                findings.unknown(&format!("function {name}"), &error);
                continue;
            }
        };
        let problems = problems(&configuration, needed);
        if let Some(secret) = configuration["Environment"]["Variables"]["JWT_SECRET"].as_str() {
            secrets.entry(secret.to_owned()).or_insert_with(Vec::new).push(*name);
        }
        well += usize::from(problems.is_empty());
        for (what, fix) in problems {
            findings.broken(&format!("function {name}: {what}"), fix.unwrap_or(&deploy));
        }
    }
    if well == NEEDED.len() {
        findings.well(&format!("functions: all {well} are ready, their settings well-formed"));
    }
    if secrets.len() > 1 {
        let groups: Vec<String> = secrets.values().map(|names| names.join(" ")).collect();
        findings.broken(
            &format!("functions sign and verify with different secrets: {}", groups.join(" | ")),
            &format!("cargo xtask deploy --stack {} gives all of them the current one", stack.name),
        );
    }
}

/// The functions' own names by those in the template.
fn list(aws: &Aws, stack: &Stack) -> Result<BTreeMap<String, String>, AwsError> {
    let resources = stack.resources(aws)?.into_iter();
    let functions =
        resources.filter(|one| one.kind == "AWS::Lambda::Function" && !one.id.is_empty());
    Ok(functions.map(|one| (one.logical_id, one.id)).collect())
}

/// What is wrong with a function, and how to mend it where deploying again does not.
fn problems(configuration: &Value, needed: &[&str]) -> Vec<(String, Option<&'static str>)> {
    let mut problems = Vec::new();
    // An idle function is inactive for long; the next event wakes it.
    if let state @ ("Failed" | "Pending") = configuration["State"].as_str().unwrap_or_default() {
        problems.push((format!("its state is {state}"), None));
    }
    if configuration["LastUpdateStatus"] == "Failed" {
        problems.push(("its last update has failed".to_owned(), None));
    }
    let variables = &configuration["Environment"]["Variables"];
    for name in needed {
        match variables[name].as_str() {
            None => problems.push((format!("{name} is missing"), None)),
            Some(value) => {
                let problem = malformed(name, value);
                problems.extend(problem.map(|(what, fix)| (format!("{name} {what}"), Some(fix))));
            }
        }
    }
    problems
}

/// What is wrong with a setting's value, without telling it.
fn malformed(name: &str, value: &str) -> Option<(&'static str, &'static str)> {
    let after = |start: &str| value.strip_prefix(start);
    let is_good = match name {
        "DATABASE_URL" => ["dsql://", "postgres://", "postgresql://"]
            .into_iter()
            .any(|start| after(start).is_some_and(|rest| rest.contains('@'))),
        "JWT_SECRET" => {
            !value.contains("{{resolve")
                && value.split(',').all(|one| one.trim().len() >= SECRET_BYTES_MIN)
        }
        "CDN_SECRET" => {
            !value.contains("{{resolve") && !value.contains(',') && value.len() >= SECRET_BYTES_MIN
        }
        "BROADCAST_INLINE_LIMIT" => {
            value.parse::<u32>().is_ok_and(|count| (1..=10_000).contains(&count))
        }
        "BROADCAST_CONCURRENCY" => {
            value.parse::<u32>().is_ok_and(|count| (1..=1024).contains(&count))
        }
        "PRESENCE_LIMIT" => {
            value == "off" || value.parse::<u32>().is_ok_and(|count| (1..=1000).contains(&count))
        }
        "CONNECTIONS_ENDPOINT" => {
            after("http").is_some_and(|rest| rest.contains("://") && !rest.ends_with('/'))
        }
        "BROADCAST_QUEUE_URL" => after("http")
            .is_some_and(|rest| rest.contains("://") && rest.strip_suffix(".fifo").is_some()),
        "ALLOWED_ORIGINS" => {
            let is_origin = |one: &str| {
                let host = one.strip_prefix("https://").or_else(|| one.strip_prefix("http://"));
                host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*']))
            };
            value.split(',').map(str::trim).filter(|one| !one.is_empty()).all(is_origin)
        }
        "MESSAGE_RATE_LIMIT" => value == "off" || is_rate(value),
        _ => true,
    };
    let fix = match name {
        "DATABASE_URL" if !value.starts_with("dsql:") => {
            "cargo xtask deploy --database-url-from FILE"
        }
        "JWT_SECRET" => {
            "put secrets of at least 32 bytes, separated by commas, into Secrets Manager (the output \
             JwtSecretArn), then cargo xtask deploy"
        }
        "BROADCAST_INLINE_LIMIT" => {
            "cargo xtask deploy --parameter BroadcastInlineLimit=500 (a whole number from 1 to 10000)"
        }
        "PRESENCE_LIMIT" => {
            "cargo xtask deploy --parameter PresenceLimit=100 (a whole number from 1 to 1000), or off"
        }
        "ALLOWED_ORIGINS" => {
            "cargo xtask deploy --allowed-origins https://a.example.com,https://b.example.com: exact \
             origins, without a path or wildcard"
        }
        "MESSAGE_RATE_LIMIT" => {
            "cargo xtask deploy --parameter MessageRateLimit=30/10 (messages/seconds), or off"
        }
        _ => "it is set by the template: deploy again from an unchanged infra/template.yaml",
    };
    (!is_good).then_some(("is malformed", fix))
}

/// `30/10`.
fn is_rate(value: &str) -> bool {
    let positive = |part: &str| part.parse::<u32>().is_ok_and(|number| number > 0);
    value.split_once('/').is_some_and(|(messages, seconds)| positive(messages) && positive(seconds))
}

/// Calls a function and reads its answer, or its error.
pub(super) fn invoke(aws: &Aws, function: &str, event: &str) -> Result<Value, AwsError> {
    // Two versions of the CLI read an event on the command line in two ways, and one from a file in one.
    let folder = tempfile::tempdir().map_err(|error| AwsError::local("lambda invoke", &error))?;
    let (asked, answered) = (folder.path().join("event"), folder.path().join("answer"));
    fs::write(&asked, event).map_err(|error| AwsError::local("lambda invoke", &error))?;
    let payload = format!("fileb://{}", asked.display());
    let answer = answered.display().to_string();
    let name = ["--function-name", function, "--payload", &payload];
    aws.call(&[&["lambda", "invoke"][..], &name, &[&answer]].concat())?;
    let text = fs::read(&answered).map_err(|error| AwsError::local("lambda invoke", &error))?;
    Ok(serde_json::from_slice(&text).unwrap_or(Value::Null))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_well_formed_or_named_without_their_value() {
        let secret = "s".repeat(32);
        let cases = [
            ("DATABASE_URL", "dsql://login@abc.dsql.eu-central-1.on.aws", true),
            ("DATABASE_URL", "postgres://chat:pw@db.example.com/chat", true),
            ("DATABASE_URL", "sqlite://chat.db", false),
            ("DATABASE_URL", "", false),
            ("JWT_SECRET", &secret, true),
            ("JWT_SECRET", "short", false),
            ("JWT_SECRET", "{{resolve:secretsmanager:arn:aws:secretsmanager:x}}", false),
            ("DATABASE_URL", "dsql://", false),
            ("CDN_SECRET", &secret, true),
            ("CDN_SECRET", "short", false),
            ("CDN_SECRET", &format!("{secret},{secret}"), false),
            ("BROADCAST_INLINE_LIMIT", "1", true),
            ("BROADCAST_INLINE_LIMIT", "10000", true),
            ("BROADCAST_INLINE_LIMIT", "10001", false),
            ("BROADCAST_INLINE_LIMIT", "-7", false),
            ("BROADCAST_CONCURRENCY", "1024", true),
            ("BROADCAST_CONCURRENCY", "1025", false),
            ("PRESENCE_LIMIT", "1000", true),
            ("PRESENCE_LIMIT", "off", true),
            ("PRESENCE_LIMIT", "1001", false),
            ("PRESENCE_LIMIT", "-7", false),
            ("CONNECTIONS_ENDPOINT", "https://a.execute-api.eu-central-1.amazonaws.com/ws", true),
            ("CONNECTIONS_ENDPOINT", "wss://a/ws", false),
            ("BROADCAST_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/chat.fifo", true),
            ("BROADCAST_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/chat", false),
            ("ALLOWED_ORIGINS", "", true),
            ("ALLOWED_ORIGINS", "https://a.example.com, https://b.example.com", true),
            ("ALLOWED_ORIGINS", "https://*.example.com", false),
            ("ALLOWED_ORIGINS", "https://a.example.com/", false),
            ("MESSAGE_RATE_LIMIT", "30/10", true),
            ("MESSAGE_RATE_LIMIT", "off", true),
            ("MESSAGE_RATE_LIMIT", "77", false),
            ("MESSAGE_RATE_LIMIT", "0/77", false),
        ];
        for (name, value, is_good) in cases {
            let problem = malformed(name, value);
            assert_eq!(problem.is_none(), is_good, "{name}={value}");
            if let Some((what, fix)) = problem {
                assert!(value.is_empty() || !format!("{what} {fix}").contains(value), "{name}");
            }
        }
    }

    #[test]
    fn a_broken_url_of_the_cluster_is_mended_by_deploying() {
        let (_, fix) = malformed("DATABASE_URL", "dsql://").expect("it has no host");
        assert!(fix.contains("deploy again"), "{fix}");
        let (_, fix) = malformed("DATABASE_URL", "postgres://x").expect("it has no user");
        assert!(fix.contains("--database-url-from"), "{fix}");
    }

    /// The variables of each function in infra/template.yaml, by the lines' indentation.
    #[test]
    fn what_is_needed_is_what_the_template_gives() {
        let template = fs::read_to_string(crate::root().join("infra/template.yaml"));
        let template = template.expect("it is there");
        let (_, resources) = template.split_once("\nResources:\n").expect("it has resources");
        let mut given: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let (mut resource, mut is_inside) = ("", false);
        for line in resources.lines().filter(|line| !line.trim().is_empty()) {
            let indent = line.len() - line.trim_start().len();
            let key = line.trim().split(':').next().unwrap_or_default();
            match indent {
                2 if !key.starts_with('#') => resource = key,
                8 if key == "Variables" => is_inside = true,
                10 if is_inside && !key.starts_with('#') => {
                    given.entry(resource).or_default().push(key);
                }
                0..=8 => is_inside = false,
                _ => {}
            }
        }
        let needed = NEEDED.iter().map(|(name, variables)| (*name, variables.to_vec()));
        assert_eq!(given, needed.collect());
    }

    #[test]
    fn a_function_that_was_not_updated_is_broken() {
        let well = json!({"State": "Active", "LastUpdateStatus": "Successful"});
        assert_eq!(problems(&well, &[]), []);
        let idle = json!({"State": "Inactive"});
        assert_eq!(problems(&idle, &[]), []);
        for broken in
            [json!({"State": "Failed"}), json!({"State": "Active", "LastUpdateStatus": "Failed"})]
        {
            assert_eq!(problems(&broken, &[]).len(), 1);
        }
        assert_eq!(problems(&well, &["JWT_SECRET"]), [("JWT_SECRET is missing".to_owned(), None)]);
    }
}
