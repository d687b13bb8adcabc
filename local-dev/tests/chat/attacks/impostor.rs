//! A server in the chat's place: hostile histories, sign-ins and frames, and one that makes a send wait.

use std::time::{Duration, Instant};

use local_dev::static_files::StaticFiles;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{MARKUP, is_unharmed, texts};
use crate::{
    Needs,
    support::{
        World,
        browser::Chromium,
        site::{Answer, Site, tokens},
        static_dir,
    },
};

crate::stories! {
    Needs::ChromiumAlone;
    a_history_that_no_server_of_ours_would_send_harms_nothing,
    sign_ins_that_no_server_of_ours_would_answer_harm_nothing,
    frames_that_no_server_of_ours_would_send_harm_nothing,
    a_send_that_comes_too_soon_goes_by_itself_when_it_may,
}

/// A server in the chat's place, with the page as it is served.
async fn impostor() -> Site {
    Site::over(StaticFiles::open(&static_dir()).unwrap().router()).await
}

/// Whether the page says this.
fn says(words: &str) -> String {
    format!("document.body.innerText.includes({})", json!(words))
}

const GOOD: &str = "the good one";
const NONE_YET: &str = "No messages yet";
const NOT_LOADED: &str = "Messages could not be loaded. Trying again…";
const UNREACHABLE: &str = "The server cannot be reached. Check your connection and try again.";

fn good_message() -> Value {
    json!({"id": 1, "username": "bob", "text": GOOD, "sent_at": "2026-11-23T10:15:43.377Z"})
}

/// Values that are no message, though each nearly is one.
fn no_messages() -> Vec<Value> {
    let mut all = vec![json!(null), json!("text"), json!(7), json!([]), json!([[1]]), json!({})];
    for (field, values) in [
        (
            "id",
            vec![
                json!("2"),
                json!(-2),
                json!(0),
                json!(2.5),
                json!(9_007_199_254_740_992_u64),
                json!("__proto__"),
                json!([2]),
                json!(null),
                json!(true),
            ],
        ),
        ("username", vec![json!(null), json!(["bob"]), json!({"toString": "bob"})]),
        ("text", vec![json!(null), json!(7), json!({"__html": MARKUP})]),
        ("sent_at", vec![json!(1_700_000_000), json!(null), json!({})]),
    ] {
        for value in values {
            let mut message = good_message();
            message["id"] = json!(2);
            message[field] = value;
            all.push(message);
        }
        let mut message = good_message();
        message.as_object_mut().unwrap().remove(field);
        all.push(message);
    }
    all.push(json!({"__proto__": good_message(), "constructor": {"prototype": {"id": 3}}}));
    all
}

/// Whether the page shows exactly these messages.
fn shows_only(texts: &[&str]) -> String {
    let texts = json!(texts);
    let shown = "[...document.querySelectorAll('[data-message-id] [data-part=text]')].map((part) => part.textContent)";
    format!("JSON.stringify({shown}) === JSON.stringify({texts})")
}

/// Bodies in place of a history, and what the page makes of them.
fn hostile_bodies() -> Vec<(Answer, String)> {
    let hostile = json!({"id": 1, "username": MARKUP, "text": MARKUP, "sent_at": MARKUP, "client_id": MARKUP});
    let mut nearly = no_messages();
    nearly.push(good_message());
    let good = json!([good_message()]).to_string();
    let infinite = good.replace("\"id\":1,", "\"id\":1e999,");
    let long = "x".repeat(3_000_000);
    let mut long_message = good_message();
    long_message["text"] = json!(long);
    let crowd: Vec<Value> = (1..=100_000).map(|_| good_message()).collect();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = |body: &str| Answer::new(200, "application/json", body);
    vec![
        (Answer::json(&json!([hostile])), shows_only(&[MARKUP])),
        (Answer::json(&json!(nearly)), shows_only(&[GOOD])),
        (Answer::json(&json!([long_message])), shows_only(&[&long])),
        (Answer::json(&json!(crowd)), says(NOT_LOADED)),
        (Answer::json(&json!({"length": 1, "0": good_message()})), says(NOT_LOADED)),
        (Answer::json(&json!(null)), says(NOT_LOADED)),
        (Answer::json(&json!(MARKUP)), says(NOT_LOADED)),
        (text(""), says(NOT_LOADED)),
        (text("[NaN]"), says(NOT_LOADED)),
        (text(&infinite), says(NONE_YET)),
        (text(&"[".repeat(1_000_000)), says(NOT_LOADED)),
        (text(&deep), says(NONE_YET)),
        (Answer::html(format!("{MARKUP}<script>window.harmed=1</script>")), says(NOT_LOADED)),
        (Answer::html(good), shows_only(&[GOOD])),
    ]
}

/// Statuses and headers that would lead away, and what the page makes of them.
fn hostile_heads(far: &str) -> Vec<(Answer, String)> {
    let stolen = format!("{far}/stolen");
    let refresh = format!("0; url={far}");
    let links = format!(
        "<{far}/a.css>; rel=stylesheet, <{far}/b.js>; rel=preload; as=script, <{far}/auth/messages>; rel=next"
    );
    let page = || Answer::json(&json!([good_message()]));
    let pages = [
        page().with("link", &links),
        page().with("refresh", &refresh).with("location", far),
        page().with("content-security-policy", "default-src *").with("set-cookie", "a=b"),
    ];
    let errors = [
        Answer::redirect(302, &stolen),
        Answer::redirect(307, &stolen),
        Answer::redirect(308, "/auth/messages/elsewhere"),
        Answer::redirect(303, "javascript:window.harmed=1"),
        Answer::problem(401, &hostile_problem()),
        Answer::problem(403, &hostile_problem()),
        Answer::problem(422, &hostile_problem()),
        Answer::problem(500, &json!("x".repeat(3_000_000))),
    ];
    let pages = pages.map(|answer| (answer, shows_only(&[GOOD])));
    pages.into_iter().chain(errors.map(|answer| (answer, says(NOT_LOADED)))).collect()
}

fn hostile_problem() -> Value {
    json!({"type": "x", "title": MARKUP, "status": 403, "detail": MARKUP, "errors": [MARKUP]})
}

async fn a_history_that_no_server_of_ours_would_send_harms_nothing(_world: World) {
    let (site, elsewhere) = (impostor().await, Site::empty().await);
    let chromium = Chromium::start().await;
    let window = chromium.open(&site.origin()).await;
    window.sign_in("alice", World::PASSWORD).await;
    for (answer, expected) in
        hostile_bodies().into_iter().chain(hostile_heads(&elsewhere.foreign_origin()))
    {
        site.answers("/auth/messages", answer);
        window.client.goto(&site.origin()).await.unwrap();
        window.until(&expected).await;
        is_unharmed(&window, &site.origin()).await;
    }
    // Whoever may not renew has to sign in again.
    site.answers("/auth/messages", Answer::problem(401, &hostile_problem()));
    site.answers("/auth/refresh", Answer::problem(401, &hostile_problem()));
    window.until(&says("Your session has ended. Please sign in again.")).await;
    is_unharmed(&window, &site.origin()).await;
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
    assert!(!site.asked().contains(&"GET /auth/messages/elsewhere".to_owned()));
    window.has_clean_console(true).await;
    window.close().await;
}

async fn sign_ins_that_no_server_of_ours_would_answer_harm_nothing(_world: World) {
    let (site, elsewhere) = (impostor().await, Site::empty().await);
    let chromium = Chromium::start().await;
    let window = chromium.open(&site.origin()).await;
    let far = format!("{}/stolen", elsewhere.foreign_origin());
    let token = |token: Value| Answer::json(&json!({"access_token": token, "refresh_token": "r"}));
    let good = tokens("alice")["access_token"].as_str().unwrap().to_owned();
    let problem = |status: u16| {
        let errors =
            ["username", "__proto__"].map(|field| json!({"field": field, "detail": MARKUP}));
        Answer::problem(status, &json!({"detail": MARKUP, "errors": errors}))
    };
    for (answer, words) in [
        (token(json!({"toString": good})), UNREACHABLE),
        (token(json!("")), UNREACHABLE),
        (token(json!("a.b.c")), UNREACHABLE),
        (token(json!(format!("{good} {good}"))), UNREACHABLE),
        (token(json!(format!("{good}\r\nx-evil: 1"))), UNREACHABLE),
        (Answer::json(&json!({"access_token": good, "refresh_token": {}})), UNREACHABLE),
        (
            Answer::json(&json!({"__proto__": {"access_token": good, "refresh_token": "r"}})),
            UNREACHABLE,
        ),
        (Answer::json(&json!([good, "r"])), UNREACHABLE),
        (Answer::html(MARKUP), UNREACHABLE),
        (Answer::redirect(302, &far), UNREACHABLE),
        (Answer::redirect(307, &far), UNREACHABLE),
        (problem(400), MARKUP),
        (problem(401), MARKUP),
        (problem(422), MARKUP),
        (
            Answer::problem(401, &json!({"detail": "x".repeat(3_000_000)})),
            "The server could not do this (401). Please try again in a moment.",
        ),
        (problem(500), "The server could not do this (500). Please try again in a moment."),
        (problem(503).with("retry-after", "1"), "The server is busy. Try again in 1 second."),
        (problem(429).with("retry-after", "7"), "Too many attempts. Try again in 7 seconds."),
        (problem(429).with("retry-after", "600"), "Too many attempts. Try again in 10 minutes."),
        (problem(429).with("retry-after", "1e300"), "Too many attempts. Please try again later."),
        (
            problem(429).with("retry-after", "999999999"),
            "Too many attempts. Please try again later.",
        ),
    ] {
        site.answers("/auth/login", answer.clone());
        window.client.goto(&site.origin()).await.unwrap();
        window.until("document.querySelector('[data-view=sign-in]')").await;
        window.fill("username", "alice").await;
        window.fill("password", World::PASSWORD).await;
        window.click("sign-in").await;
        window.until(&says(words)).await;
        is_unharmed(&window, &site.origin()).await;
        assert_eq!(window.script("return localStorage.length").await, 0, "{answer:?}");
    }
    // A name that none of ours could be is still only a text.
    let name = "\"><img src=x onerror=window.harmed=1> \u{202E}__proto__";
    site.answers("/auth/login", Answer::json(&tokens(name)));
    window.click("sign-in").await;
    window.is_online().await;
    let shown =
        "const me = document.querySelector('[data-part=me]'); return [me.textContent, me.title]";
    assert_eq!(window.script(shown).await, json!([name, name]));
    is_unharmed(&window, &site.origin()).await;
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
    window.has_clean_console(true).await;
    window.close().await;
}

async fn frames_that_no_server_of_ours_would_send_harm_nothing(_world: World) {
    let (site, elsewhere) = (impostor().await, Site::empty().await);
    let mut frames: Vec<Message> = [
        "",
        "null",
        "[]",
        "7",
        "\"text\"",
        "{",
        "NaN",
        "{}",
        r#"{"type":{}}"#,
        r#"{"type":"constructor"}"#,
        r#"{"type":"__proto__"}"#,
        r#"{"type":["message"]}"#,
        r#"{"__proto__":{"type":"message","id":1}}"#,
        r#"{"type":"message"}"#,
        r#"{"type":"error"}"#,
        r#"{"type":"error","code":["text_"],"client_id":{},"detail":{"a":1}}"#,
        r#"{"type":"error","code":"rate_limited","retry_after":1e999,"client_id":"__proto__"}"#,
        r#"{"message":{"toString":1}}"#,
        r#"{"message":"<script>window.harmed=1</script>"}"#,
        r#"{"type":"pong","message":[]}"#,
    ]
    .map(Message::text)
    .into();
    frames.extend(no_messages().into_iter().map(|mut message| {
        if message.is_object() {
            message["type"] = json!("message");
        }
        Message::text(message.to_string())
    }));
    frames.push(Message::text("[".repeat(100_000)));
    frames.push(Message::text("x".repeat(3_000_000)));
    frames.push(Message::binary(vec![0xFF; 1000]));
    frames.push(Message::text(
        json!({"type": "error", "code": "invalid_frame", "detail": MARKUP}).to_string(),
    ));
    site.shows(frames.clone());
    let chromium = Chromium::start().await;
    let window = chromium.open(&site.origin()).await;
    window.sign_in("alice", World::PASSWORD).await;
    window.until(&says(MARKUP)).await;
    is_unharmed(&window, &site.origin()).await;

    // After all that a message is a message, and markup in it is a text.
    let hostile = json!({
        "type": "message", "id": 1, "username": MARKUP, "text": MARKUP, "sent_at": MARKUP, "client_id": MARKUP,
    });
    frames.push(Message::text(hostile.to_string()));
    site.shows(frames);
    window.client.refresh().await.unwrap();
    assert_eq!(window.shows(1).await, [(1, MARKUP.to_owned())]);
    window.is_online().await;
    is_unharmed(&window, &site.origin()).await;

    // A handshake leads nowhere else either.
    site.answers("/ws", Answer::redirect(302, &format!("{}/ws", elsewhere.foreign_origin())));
    window.client.refresh().await.unwrap();
    window.until(&says("Reconnecting…")).await;
    is_unharmed(&window, &site.origin()).await;
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
    window.has_clean_console(true).await;
    window.close().await;
}

async fn a_send_that_comes_too_soon_goes_by_itself_when_it_may(_world: World) {
    let site = impostor().await;
    let refusal = |code: &str, secs: u64| {
        let detail = "Later.";
        json!({"type": "error", "code": code, "detail": detail, "retry_after": secs})
    };
    let message = |id: u64| {
        let mut message = good_message();
        message["type"] = json!("message");
        message["id"] = json!(id);
        message["username"] = json!("alice");
        message["text"] = json!(format!("text {id}"));
        message
    };
    site.replies(vec![
        refusal("rate_limited", 4),
        refusal("unavailable", 1),
        message(1),
        message(2),
    ]);
    let chromium = Chromium::start().await;
    let window = chromium.open(&site.origin()).await;
    window.sign_in("alice", World::PASSWORD).await;
    let watch = "window.shown = [];
        window.told = [];
        const note = (list, part) => () => {
            const words = document.querySelector(part).textContent;
            if (words !== list.at(-1)) list.push(words);
        };
        for (const [list, part] of [[shown, '[data-list=pending]'], [told, '[data-part=wait-status]']]) {
            new MutationObserver(note(list, part))
                .observe(document.querySelector(part), { childList: true, subtree: true, characterData: true });
        }";
    window.script(watch).await;
    let began = Instant::now();
    window.say("text 1").await;
    window.say("text 2").await;
    assert_eq!(texts(window.shows(2).await), ["text 1", "text 2"]);
    assert!(began.elapsed() >= Duration::from_secs(4), "it was sent before its time");
    window.until("told.at(-1) === ''").await;

    // It counts down for the eye, and is told once to the ear.
    let words: Vec<String> =
        serde_json::from_value(window.script("return window.shown").await).unwrap();
    let was_shown = |part: &str| words.iter().any(|words| words.contains(part));
    assert!(was_shown("Too many messages at once. Sent by itself in 4 seconds."), "{words:?}");
    let smaller = ["in 3 seconds.", "in 2 seconds.", "in 1 second."];
    assert!(smaller.into_iter().any(was_shown), "{words:?}");
    assert!(was_shown("The server is busy. Sent by itself in "), "{words:?}");
    let mut told: Vec<String> =
        serde_json::from_value(window.script("return window.told").await).unwrap();
    told.retain(|words| !words.is_empty());
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], "Too many messages at once. Sent by itself in 4 seconds.");
    assert!(told[1].starts_with("The server is busy. Sent by itself in "), "{told:?}");

    let said = site.said();
    let sent: Vec<&str> = said.iter().map(|frame| frame["text"].as_str().unwrap()).collect();
    assert_eq!(sent, ["text 1", "text 1", "text 1", "text 2"]);
    assert!(said[..3].iter().all(|frame| frame["client_id"] == said[0]["client_id"]));
    window.has_clean_console(false).await;
    window.close().await;
}
