//! The chat's own template, as local-dev reads it. What a deployment makes of it is tested in local-dev/tests/infrastructure.

use template::{Options, Template, Variable, read};

const TEMPLATE: &str = include_str!("../../../../infra/template.yaml");

fn chat(parameters: &[(&str, &str)]) -> Template {
    let parameters =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let parameters = parameters.collect();
    read(TEMPLATE, &Options { parameters, ..Options::default() }).expect("it is good")
}

/// Each function: its binary, the megabytes and seconds that it has, its variables.
const FUNCTIONS: [(&str, u32, u32, &[&str]); 11] = [
    ("broadcast", 512, 60, &["CONNECTIONS_ENDPOINT", "PRESENCE_LIMIT", "BROADCAST_CONCURRENCY"]),
    ("connect", 256, 15, &["JWT_SECRET", "ALLOWED_ORIGINS", "PRESENCE_LIMIT"]),
    ("disconnect", 256, 15, &["PRESENCE_LIMIT"]),
    ("login", 1769, 15, &["JWT_SECRET", "CDN_SECRET"]),
    ("logout", 256, 15, &["JWT_SECRET", "CONNECTIONS_ENDPOINT", "PRESENCE_LIMIT"]),
    (
        "message",
        512,
        28,
        &["MESSAGE_RATE_LIMIT", "BROADCAST_QUEUE_URL", "BROADCAST_INLINE_LIMIT", "PRESENCE_LIMIT"],
    ),
    ("messages", 256, 15, &["JWT_SECRET"]),
    ("migrate", 256, 300, &[]),
    ("presence", 256, 15, &["JWT_SECRET", "CONNECTIONS_ENDPOINT", "PRESENCE_LIMIT"]),
    ("refresh", 256, 15, &["JWT_SECRET", "CONNECTIONS_ENDPOINT", "PRESENCE_LIMIT"]),
    ("register", 1769, 15, &[]),
];

#[test]
fn its_functions_have_what_they_need() {
    let template = chat(&[("DatabaseUrl", "postgres://chat@db/chat")]);
    let mut functions: Vec<_> = template.functions.iter().collect();
    functions.sort_unstable_by_key(|function| &function.binary);
    assert_eq!(functions.len(), FUNCTIONS.len());
    for (function, (binary, memory_mb, timeout_secs, variables)) in functions.iter().zip(FUNCTIONS)
    {
        assert_eq!(function.binary, binary);
        assert_eq!(function.memory_mb, memory_mb, "{binary}");
        assert_eq!(function.timeout_secs, timeout_secs, "{binary}");
        assert_eq!(function.reserved_concurrency, None, "{binary}");
        let names = function.environment.iter().map(|(name, _)| name.as_str());
        let expected = [&["METRICS_NAMESPACE", "DATABASE_URL"], variables].concat();
        assert_eq!(names.collect::<Vec<_>>(), expected, "{binary}");
        let url = Variable::Known("postgres://chat@db/chat".to_owned());
        assert_eq!(function.environment[1].1, url, "{binary}");
    }
    let endpoint = Variable::Endpoint {
        api: "ChatWebSocketApi".to_owned(),
        scheme: Some("https".to_owned()),
        path: "/ws".to_owned(),
    };
    for function in ["Logout", "Refresh", "Presence", "Broadcast"] {
        let variables = &template.function(function).unwrap().environment;
        let own = variables.iter().find(|(name, _)| name == "CONNECTIONS_ENDPOINT").unwrap();
        assert_eq!(own.1, endpoint, "{function}");
    }
}

#[test]
fn its_routes_lead_to_their_functions() {
    let template = chat(&[]);
    let api = template.http_api.unwrap();
    let routes: Vec<(String, &str)> =
        api.routes.iter().map(|route| (route.to_string(), route.function.as_str())).collect();
    let expected = [
        ("POST /auth/register", "Register"),
        ("POST /auth/login", "Login"),
        ("POST /auth/refresh", "Refresh"),
        ("POST /auth/logout", "Logout"),
        ("GET /auth/messages", "Messages"),
        ("GET /auth/presence", "Presence"),
    ];
    assert_eq!(routes, expected.map(|(key, function)| (key.to_owned(), function)));
    let [api] = template.websocket_apis.as_slice() else { panic!("there is one") };
    assert_eq!(api.stage, "ws");
    let routes: Vec<(&str, &str)> =
        api.routes.iter().map(|route| (route.key.as_str(), route.function.as_str())).collect();
    let expected =
        [("$connect", "Connect"), ("$default", "Message"), ("$disconnect", "Disconnect")];
    assert_eq!(routes, expected);
}

#[test]
fn it_has_a_queue_with_dead_letters_that_leads_to_broadcast() {
    let template = chat(&[]);
    let queue = template.queue("BroadcastQueue").unwrap();
    let redrive = queue.redrive.as_ref().unwrap();
    assert_eq!((redrive.queue.as_str(), redrive.receives_max), ("BroadcastDeadLetters", 3));
    let [source] = template.event_sources.as_slice() else { panic!("there is one") };
    assert_eq!((source.queue.as_str(), source.function.as_str()), ("BroadcastQueue", "Broadcast"));
    assert!(source.reports_failures);
    let timeout = template.function("Broadcast").unwrap().timeout_secs;
    // As much as Lambda asks for.
    assert!(queue.visibility_timeout_secs >= 6 * timeout);
}

/// What local-dev doesn't know, it leaves to its own settings and their defaults; nothing else of the template may be lost.
#[test]
fn what_is_warned_of_is_what_only_the_cloud_has() {
    for warning in chat(&[]).warnings {
        let known = match warning.path.rsplit_once('.').unwrap_or_default() {
            (api, "AccessLogSettings") => ["ChatHttpApi", "ChatWebSocketApi"].contains(&api),
            (_, "ALLOWED_ORIGINS") => warning.message.contains("Distribution.DomainName"),
            (_, "DATABASE_URL") => warning.message.contains("AWS::DSQL::Cluster"),
            (_, "CDN_SECRET" | "JWT_SECRET") => warning.message.contains("SecretsManager::Secret"),
            _ => warning.path == "Resources",
        };
        assert!(known, "{warning}");
        if warning.path == "Resources" {
            assert!(
                warning.message.ends_with(
                    "AWS::DSQL::Cluster (Cluster); \
                     AWS::S3::Bucket (SiteBucket); AWS::S3::BucketPolicy (SiteBucketPolicy); \
                     AWS::SecretsManager::Secret (CdnSecret, JwtSecret); Custom::Schema (Schema, SchemaTidied)"
                ),
                "{warning}"
            );
        }
    }
}

#[test]
fn it_has_cors_if_there_are_allowed_origins() {
    assert_eq!(chat(&[]).http_api.unwrap().cors, None);
    let template = chat(&[("AllowedOrigins", "https://a.example,https://b.example")]);
    let cors = template.http_api.unwrap().cors.unwrap();
    assert_eq!(cors.allow_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(cors.allow_methods, ["GET", "POST"]);
}

#[test]
fn passwords_cannot_take_all_of_the_account() {
    let template = chat(&[("LoginConcurrency", "50")]);
    for name in ["Login", "Register"] {
        assert_eq!(template.function(name).unwrap().reserved_concurrency, Some(50));
    }
    let api = template.http_api.unwrap();
    let hashes = |function: &str| ["Login", "Register"].contains(&function);
    for route in api.routes.iter().filter(|route| hashes(&route.function)) {
        assert_eq!((route.throttling.rate, route.throttling.burst), (Some(100.0), Some(200)));
    }
}
