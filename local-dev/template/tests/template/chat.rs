//! The chat's own template.

use std::collections::BTreeMap;

use template::{Options, Template, Variable, read};

const TEMPLATE: &str = include_str!("../../../../infra/template.yaml");

fn chat(allowed_origins: Option<&str>) -> Template {
    let mut parameters = BTreeMap::from([
        ("DatabaseUrl".to_owned(), "sqlite://chat.db".to_owned()),
        ("JwtSecret".to_owned(), "a secret of at least 32 characters".to_owned()),
    ]);
    parameters.extend(allowed_origins.map(|list| ("AllowedOrigins".to_owned(), list.to_owned())));
    read(TEMPLATE, &Options { parameters, ..Options::default() }).expect("it is good")
}

#[test]
fn nothing_in_it_is_warned_of() {
    assert_eq!(chat(None).warnings, []);
}

#[test]
fn its_functions_are_those_of_the_workspace() {
    let template = chat(None);
    let mut binaries: Vec<&str> =
        template.functions.iter().map(|function| function.binary.as_str()).collect();
    binaries.sort_unstable();
    let expected = [
        "connect",
        "disconnect",
        "login",
        "logout",
        "message",
        "messages",
        "migrate",
        "refresh",
        "register",
    ];
    assert_eq!(binaries, expected);
}

#[test]
fn its_routes_lead_to_their_functions() {
    let template = chat(None);
    let api = template.http_api.unwrap();
    let routes: Vec<(String, &str)> =
        api.routes.iter().map(|route| (route.to_string(), route.function.as_str())).collect();
    let expected = [
        ("POST /auth/register", "Register"),
        ("POST /auth/login", "Login"),
        ("POST /auth/refresh", "Refresh"),
        ("POST /auth/logout", "Logout"),
        ("GET /auth/messages", "Messages"),
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
fn functions_have_the_settings_that_they_read() {
    let template = chat(None);
    for function in &template.functions {
        let names: Vec<&str> = function.environment.iter().map(|(name, _)| name.as_str()).collect();
        let expected: &[&str] = match function.binary.as_str() {
            "connect" => &["DATABASE_URL", "JWT_SECRET", "ALLOWED_ORIGINS"],
            "login" | "messages" => &["DATABASE_URL", "JWT_SECRET"],
            "message" => &["DATABASE_URL", "MESSAGE_RATE_LIMIT"],
            "logout" | "refresh" => &["DATABASE_URL", "JWT_SECRET", "CONNECTIONS_ENDPOINT"],
            _ => &["DATABASE_URL"],
        };
        assert_eq!(names, expected, "{}", function.binary);
    }
    let endpoint = Variable::Endpoint {
        api: "ChatWebSocketApi".to_owned(),
        scheme: Some("https".to_owned()),
        path: "/ws".to_owned(),
    };
    assert_eq!(template.function("Logout").unwrap().environment[2].1, endpoint);
}

#[test]
fn it_has_cors_if_there_are_allowed_origins() {
    assert_eq!(chat(None).http_api.unwrap().cors, None);
    let template = chat(Some("https://a.example,https://b.example"));
    let connect = template.function("Connect").unwrap();
    let listed = Variable::Known("https://a.example,https://b.example".to_owned());
    assert_eq!(connect.environment[2].1, listed);
    let cors = template.http_api.unwrap().cors.unwrap();
    assert_eq!(cors.allow_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(cors.allow_methods, ["GET", "POST"]);
}
