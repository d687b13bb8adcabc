//! Input that makes no sense gets a clear error, never a 500.

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::{Needs, support::room::Room};

crate::anywhere! {
    Needs::Nothing;
    usernames_and_passwords_that_break_the_rules_are_named,
    a_body_that_is_no_json_object_is_refused,
    a_body_of_11_megabytes_is_refused,
    unknown_routes_are_the_gateways_404,
    pages_that_make_no_sense_are_refused,
    frames_that_make_no_sense_are_refused,
    a_frame_beyond_32_kib_closes_the_socket,
}

const POST_ROUTES: [&str; 4] = ["/auth/register", "/auth/login", "/auth/refresh", "/auth/logout"];

async fn usernames_and_passwords_that_break_the_rules_are_named(room: Room) {
    let good_password = "correct horse";
    for (username, password, fields) in [
        (json!("al"), json!(good_password), &["username"][..]),
        (json!("a".repeat(33)), json!(good_password), &["username"]),
        (json!("_alice"), json!(good_password), &["username"]),
        (json!("ali ce"), json!(good_password), &["username"]),
        (json!("älice"), json!(good_password), &["username"]),
        (json!("alice\0"), json!(good_password), &["username"]),
        (json!("System"), json!(good_password), &["username"]),
        (json!(7), json!(good_password), &["username"]),
        (json!(null), json!(good_password), &["username"]),
        (json!("alice"), json!("short"), &["password"]),
        (json!("alice"), json!("x".repeat(73)), &["password"]),
        (json!("alice"), json!("ä".repeat(37)), &["password"]),
        (json!("alice"), json!("nul\0nul\0nul"), &["password"]),
        (json!("alice"), json!(["correct horse"]), &["password"]),
        (json!(""), json!(""), &["username", "password"]),
    ] {
        let account = json!({"username": username, "password": password});
        let refused = room.http.post("/auth/register", &account).await;
        assert_eq!(refused.status, 422, "{account}");
        assert_eq!(refused.fields(), fields, "{account}");
    }
    // 72 bytes are not too many, and are all counted.
    let username = room.name("alice");
    let longest = json!({"username": username, "password": "x".repeat(72)});
    assert_eq!(room.http.post("/auth/register", &longest).await.status, 201);
    assert_eq!(room.http.post("/auth/login", &longest).await.status, 200);
    let shorter = json!({"username": username, "password": "x".repeat(71)});
    assert_eq!(room.http.post("/auth/login", &shorter).await.status, 401);
}

async fn a_body_that_is_no_json_object_is_refused(room: Room) {
    let required = |path: &str| match path {
        "/auth/register" | "/auth/login" => &["username", "password"][..],
        _ => &["refresh_token"],
    };
    for path in POST_ROUTES {
        for (body, status) in [
            (&b""[..], 400),
            (b"{", 400),
            (b"{\"username\":}", 400),
            (b"\xff\xfe", 400),
            (b"{\"username\":\"\xc3\x28\"}", 400),
            (b"\0", 400),
            (b"{} {}", 400),
            (b"[]", 422),
            (b"null", 422),
            (b"\"text\"", 422),
            (b"1e999", 400),
            (b"{}", 422),
        ] {
            let request = room.http.request(Method::POST, path);
            let request = request.header(CONTENT_TYPE, "application/json").body(body);
            let refused = room.http.send(request).await;
            assert_eq!(refused.status, status, "{path} {body:?}: {}", refused.body);
            if body == b"{}" {
                assert_eq!(refused.fields(), required(path));
            }
        }
        for (name, value) in [
            ("content-type", "text/plain"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("content-type", ""),
            ("content-encoding", "gzip"),
        ] {
            let mut request = room.http.request(Method::POST, path).header(name, value).body("{}");
            if name != "content-type" {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            assert_eq!(room.http.send(request).await.status, 400, "{path} {name}: {value}");
        }
        let nested = "[".repeat(100_000);
        let request =
            room.http.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
        assert_eq!(room.http.send(request.body(nested)).await.status, 400, "{path}");
    }
}

async fn a_body_of_11_megabytes_is_refused(room: Room) {
    for path in POST_ROUTES {
        let body = json!({"username": "x".repeat(11 * 1024 * 1024)});
        let refused = room.http.post(path, &body).await;
        assert_eq!(refused.status, 413, "{path}");
        assert_eq!(refused.body, json!({"message": "Request Entity Too Large"}));
    }
}

async fn unknown_routes_are_the_gateways_404(room: Room) {
    for (method, path) in [
        (Method::GET, "/auth/register"),
        (Method::POST, "/auth/messages"),
        (Method::POST, "/auth/register/"),
        (Method::GET, "/auth/"),
        (Method::DELETE, "/auth/login"),
    ] {
        let request = room.http.request(method.clone(), path);
        let response = room.http.execute(request.build().unwrap()).await;
        assert_eq!(response.status(), 404, "{method} {path}");
        assert_eq!(response.text().await.unwrap(), "{\"message\":\"Not Found\"}");
    }
}

async fn pages_that_make_no_sense_are_refused(room: Room) {
    let alice = room.user("alice").await;
    for (query, fields) in [
        ("limit=0", &["limit"][..]),
        ("limit=201", &["limit"]),
        ("limit=-1", &["limit"]),
        ("limit=ten", &["limit"]),
        ("limit=", &["limit"]),
        ("limit=1.5", &["limit"]),
        ("limit=%2B5", &["limit"]),
        ("limit=1&limit=2", &["limit"]),
        ("before=x", &["before"]),
        ("before=-1", &["before"]),
        ("before=9223372036854775808", &["before"]),
        ("after=%00", &["after"]),
        ("before=1&after=1", &["after"]),
        ("limit=x&before=y&after=z", &["limit", "before", "after"]),
    ] {
        let refused = room.http.get(&format!("/auth/messages?{query}"), &alice.access).await;
        assert_eq!(refused.status, 422, "{query}: {}", refused.body);
        assert_eq!(refused.fields(), fields, "{query}");
    }
    for query in [
        "limit=1",
        "limit=200",
        "before=0",
        "after=0",
        "after=9223372036854775807",
        "x=y",
        "limit=007",
    ] {
        let page = room.http.get(&format!("/auth/messages?{query}"), &alice.access).await;
        assert_eq!(page.status, 200, "{query}");
    }
}

async fn frames_that_make_no_sense_are_refused(room: Room) {
    let alice = room.user("alice").await;
    let too_long = "x".repeat(4097);

    let mut json_socket = room.connect(&alice).await;
    let send = |text: &Value| json!({"action": "send", "text": text, "client_id": "k"}).to_string();
    for (frame, code, client_id) in [
        ("hello".to_owned(), "invalid_frame", Value::Null),
        (" ".to_owned(), "invalid_frame", Value::Null),
        ("[]".to_owned(), "invalid_frame", Value::Null),
        ("null".to_owned(), "invalid_frame", Value::Null),
        ("{".to_owned(), "invalid_frame", Value::Null),
        ("{}".to_owned(), "unknown_action", Value::Null),
        (json!({"action": "shout"}).to_string(), "unknown_action", Value::Null),
        (json!({"action": "$connect"}).to_string(), "unknown_action", Value::Null),
        (json!({"action": "send"}).to_string(), "invalid_text", Value::Null),
        (send(&json!(1)), "invalid_text", json!("k")),
        (send(&json!("")), "text_empty", json!("k")),
        (send(&json!(" \n\t")), "text_blank", json!("k")),
        (send(&json!(too_long)), "text_too_long", json!("k")),
        (send(&json!("a\0b")), "text_has_nul", json!("k")),
        (
            json!({"action": "send", "text": "x", "client_id": ""}).to_string(),
            "invalid_client_id",
            Value::Null,
        ),
        (
            json!({"action": "send", "text": "x", "client_id": "k".repeat(65)}).to_string(),
            "invalid_client_id",
            Value::Null,
        ),
    ] {
        json_socket.send(frame.clone()).await;
        let refusal = json_socket.next_frame().await;
        assert_eq!(refusal["type"], "error", "{frame}");
        assert_eq!(refusal["code"], code, "{frame}");
        assert_eq!(refusal["client_id"], client_id, "{frame}");
    }

    let mut plain_socket = room.connect_plain(&alice).await;
    for (frame, why) in [
        (" ", "system: text must not be only white space."),
        ("a\0b", "system: text must not hold the character NUL."),
        (too_long.as_str(), "system: text must not be longer than 4096 characters."),
    ] {
        plain_socket.send(frame).await;
        assert_eq!(plain_socket.next_text().await, why);
    }
    assert_eq!(room.history(&alice).await, Vec::<Value>::new());
}

async fn a_frame_beyond_32_kib_closes_the_socket(room: Room) {
    let alice = room.user("alice").await;
    let mut socket = room.connect(&alice).await;
    socket.send("x".repeat(32 * 1024 + 1)).await;
    assert_eq!(socket.closed().await.0, 1009);
    assert_eq!(room.history(&alice).await, Vec::<Value>::new());
}
