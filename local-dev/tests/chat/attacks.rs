//! The page under attack, in a real browser: hostile texts, hostile servers, hostile pages around it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use fantoccini::Locator;
use local_dev::static_files::StaticFiles;
use reqwest::{Method, redirect::Policy};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    Needs,
    support::{
        World,
        browser::{Chromium, Window},
        site::{Answer, Site, tokens},
        static_dir,
    },
};

crate::stories! {
    Needs::Chromium;
    texts_that_would_be_markup_stay_texts,
    texts_that_turn_or_pile_up_stay_in_their_place,
    a_history_that_no_server_of_ours_would_send_harms_nothing,
    sign_ins_that_no_server_of_ours_would_answer_harm_nothing,
    frames_that_no_server_of_ours_would_send_harm_nothing,
    a_send_that_comes_too_soon_goes_by_itself_when_it_may,
    no_address_leads_to_another_site,
    no_other_site_can_frame_the_page_or_the_inspector,
    what_is_slipped_into_the_page_does_not_run,
    the_inspector_shows_hostile_events_as_text,
    no_other_site_can_open_a_socket,
    no_other_site_can_make_a_browser_ask_for_anything;
    Needs::Nothing;
    every_answer_of_the_page_carries_what_protects_it,
}

/// Texts that would run a script, name an element or lead away, if a page took them for markup anywhere. Each that
/// runs says so in `window.harmed`.
const PAYLOADS: [&str; 35] = [
    "<script>window.harmed = 1</script>",
    "</p></li></ol><script>window.harmed = 1</script>",
    "<img src=x onerror=window.harmed=1>",
    "<img src=\"x\" onerror=\"window.harmed = 1\">",
    "<svg onload=window.harmed=1>",
    "<svg><script>window.harmed=1</script></svg>",
    "<svg><a xlink:href=\"javascript:window.harmed=1\"><text y=20>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.harmed=1>",
    "<noscript><p title=\"</noscript><img src=x onerror=window.harmed=1>\">",
    "<template><img src=x onerror=window.harmed=1></template>",
    "<iframe srcdoc=\"<script>parent.harmed=1</script>\"></iframe>",
    "<iframe src=\"javascript:parent.harmed=1\"></iframe>",
    "<object data=\"data:text/html,<script>parent.harmed=1</script>\"></object>",
    "<details open ontoggle=window.harmed=1>",
    "<input autofocus onfocus=window.harmed=1>",
    "<style>@import 'javascript:window.harmed=1'; * { display: none }</style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content=\"0; url=//evil.example\">",
    "<base href=//evil.example>",
    "<form action=//evil.example><button>Sign in</button></form>",
    "<a href=\"javascript:window.harmed=1\">click</a>",
    "javascript:window.harmed=1",
    "JaVaScRiPt&#58;window.harmed=1",
    "https://evil.example/?\"onmouseover=\"window.harmed=1",
    "\" onmouseover=\"window.harmed=1\" x=\"",
    "' autofocus onfocus='window.harmed=1' x='",
    "` onclick=window.harmed=1 ",
    "${window.harmed = 1} {{constructor.constructor('window.harmed=1')()}} <%= 1 %> #{1}",
    "&lt;script&gt;window.harmed = 1&lt;/script&gt; &amp;lt; &#x3C;b&#x3E;",
    "\\u003cscript\\u003ewindow.harmed=1\\u003c/script\\u003e",
    "<form id=location><input name=href><input id=cookie></form><img name=body id=documentElement>",
    "\u{2028}window.harmed=1//\u{2029}</script>",
    "]]><!--<script>--><img src=x onerror=window.harmed=1>-->",
    "<x:script xmlns:x=\"http://www.w3.org/1999/xhtml\">window.harmed=1</x:script>",
    "\u{FEFF}<script >window.harmed=1</script\t>\u{85}<ſcript>\r\n<SCRIPT/X>",
];

/// Fails when a script of theirs ran, a dialog is open, or an element, an attribute or an address is on the page that
/// the page does not have by itself.
async fn is_unharmed(window: &Window, origin: &str) {
    const LOOK: &str = r"
        const tags = 'html head meta title link script body div noscript template header img h1 p span button main ' +
            'ol li b time footer form label input textarea';
        const own = ['favicon.svg', 'style.css', 'app.js'];
        const found = window.harmed === undefined ? [] : ['a script ran'];
        for (const element of document.querySelectorAll('*')) {
            if (!tags.split(' ').includes(element.localName)) found.push(element.outerHTML);
            for (const { name, value } of element.attributes) {
                const leads = ['href', 'src', 'srcdoc', 'action', 'formaction', 'style', 'background'].includes(name);
                if (name.startsWith('on') || (leads && !own.includes(value))) found.push(`${name}=${value}`);
            }
        }
        for (const part of document.querySelectorAll('[data-message-id] *, [data-error], [data-notice]')) {
            if (part.matches('[data-part], [data-error], [data-notice]') && part.children.length > 0) {
                if (!part.matches('[data-part=actions]')) found.push(part.outerHTML);
            }
        }
        return [found, location.origin, document.title.replace('Sign in · ', '')]";
    assert!(window.client.get_alert_text().await.is_err(), "a dialog is open");
    assert_eq!(window.script(LOOK).await, json!([[], origin, "Lambda Chat"]));
}

/// Types a message as it is; keys could not say all of it.
async fn say_exactly(window: &Window, text: &str) {
    let script = "const field = document.querySelector('textarea[name=text]');
        field.value = arguments[0];
        field.dispatchEvent(new Event('input', { bubbles: true }));
        field.form.requestSubmit();";
    window.client.execute(script, vec![json!(text)]).await.unwrap();
}

fn texts(messages: Vec<(u64, String)>) -> Vec<String> {
    messages.into_iter().map(|(_, text)| text).collect()
}

async fn texts_that_would_be_markup_stay_texts(world: World) {
    let mallory = world.user("mallory").await;
    let mut socket = world.connect(&mallory).await;
    let origin = world.base_url();
    let chromium = Chromium::start().await;
    let alice = chromium.open(&origin).await;
    alice.register("alice", World::PASSWORD).await;

    // As they come, …
    let sent = PAYLOADS;
    for (number, text) in sent.iter().enumerate() {
        socket.say(text, &number.to_string()).await;
        socket.next_frame().await;
    }
    assert_eq!(texts(alice.shows(sent.len()).await), sent);
    is_unharmed(&alice, &origin).await;
    // … as history, …
    alice.client.refresh().await.unwrap();
    alice.is_online().await;
    assert_eq!(texts(alice.shows(sent.len()).await), sent);
    is_unharmed(&alice, &origin).await;
    // … and typed here.
    for text in ["<img src=x onerror=window.harmed=1>", "</textarea><svg onload=window.harmed=1>"] {
        say_exactly(&alice, text).await;
        assert_eq!(socket.next_frame().await["text"], text);
    }
    let shown = texts(alice.shows(sent.len() + 2).await);
    assert_eq!(shown[sent.len()..], [PAYLOADS[2], "</textarea><svg onload=window.harmed=1>"]);
    is_unharmed(&alice, &origin).await;
    alice.has_clean_console(false).await;
    alice.close().await;
}

async fn texts_that_turn_or_pile_up_stay_in_their_place(world: World) {
    // How far left each character of a message begins.
    const LEFTS: &str = "const row = document.querySelector(`[data-message-id='${arguments[0]}']`);
        const text = row.querySelector('[data-part=text]').firstChild;
        return [...text.data].map((_, i) => {
            const range = new Range();
            range.setStart(text, i);
            range.setEnd(text, i + 1);
            return range.getBoundingClientRect().left;
        })";
    const META_IN_ORDER: &str = "return [...document.querySelectorAll('[data-message-id] .meta')].every((meta) =>
        meta.children[0].getBoundingClientRect().right <= meta.children[1].getBoundingClientRect().left)";
    let heap = format!("Z{}", "\u{30D}\u{489}\u{334}\u{327}".repeat(200));
    let chromium = Chromium::start().await;
    let alice = chromium.open(&world.base_url()).await;
    alice.register("alice", World::PASSWORD).await;
    let mallory = world.user("mallory").await;
    let mut socket = world.connect(&mallory).await;
    let sent =
        ["abc", "\u{202E}abc\u{2066}", "\u{2067}\u{202D}x\u{202E}", "abc", "above", &heap, "below"];
    for (number, text) in sent.iter().enumerate() {
        socket.say(text, &number.to_string()).await;
        socket.next_frame().await;
    }
    assert_eq!(texts(alice.shows(sent.len()).await), sent);

    let lefts = async |id: u64| -> Vec<f64> {
        let lefts = alice.client.execute(LEFTS, vec![json!(id)]).await.unwrap();
        serde_json::from_value(lefts).unwrap()
    };
    for id in [1, 4] {
        assert!(lefts(id).await.is_sorted_by(|left, right| left < right), "message {id} is turned");
    }
    let turned = lefts(2).await;
    assert!(turned[1..4].is_sorted_by(|left, right| left > right), "the override does something");
    assert_eq!(alice.script(META_IN_ORDER).await, true);

    // A heap of accents leaves no ink outside of its message: with that covered, it makes no difference.
    let cover = "const text = document.querySelector('[data-message-id=\"6\"] [data-part=text]');
        // A caret blinks.
        document.activeElement.blur();
        const { left, top, width, height } = text.getBoundingClientRect();
        const cover = document.body.appendChild(document.createElement('div'));
        Object.assign(cover.style, { position: 'fixed', background: 'gray', left: `${left}px`, top: `${top}px`,
            width: `${width}px`, height: `${height}px` });";
    alice.script(cover).await;
    let with_ink = alice.client.screenshot().await.unwrap();
    alice.script("document.querySelector('[data-message-id=\"6\"] [data-part=text]').style.color = 'transparent'").await;
    assert!(alice.client.screenshot().await.unwrap() == with_ink, "the heap covers its neighbours");
    alice.has_clean_console(false).await;
    alice.close().await;
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
const MARKUP: &str = "<img src=x onerror=window.harmed=1>";

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

/// Asks for exactly this target, which an HTTP client would tidy up first. Says the head of the answer.
async fn head_of(origin: &str, method: &str, target: &str) -> String {
    let authority = origin.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase()
}

async fn no_address_leads_to_another_site(world: World) {
    let elsewhere = Site::empty().await;
    let (origin, far) = (world.base_url(), elsewhere.foreign_origin());
    let host = far.strip_prefix("http://").unwrap();
    let targets = [
        format!("/?next={far}"),
        format!("/?redirect_uri={far}&return_to=//{host}&url=%2f%2f{host}"),
        "/?next=javascript:window.harmed=1".to_owned(),
        format!("/index.html?continue=\\\\{host}"),
        format!("//{host}"),
        format!("//{host}/%2e%2e"),
        format!("///{host}/tests"),
        format!("/\\{host}"),
        format!("/\\/{host}/.."),
        format!("/%2f%2f{host}"),
        format!("/%5c{host}/"),
        format!("/.{host}"),
        format!("/@{host}/"),
        format!("/%0d%0aLocation:%20{far}"),
        format!("/tests/..//{host}"),
        format!("/_local/?next={far}"),
        format!("/auth/messages?next={far}"),
        format!("//{host}/auth/login"),
        format!("{far}/"),
    ];
    for target in &targets {
        for method in ["GET", "HEAD", "POST"] {
            let head = head_of(&origin, method, target).await;
            assert!(head.starts_with("http/1.1 "), "{method} {target}: {head}");
            assert!(!head.starts_with("http/1.1 3"), "{method} {target}: {head}");
            assert!(!head.contains("\r\nlocation:"), "{method} {target}: {head}");
            assert!(!head.contains("\r\nrefresh:"), "{method} {target}: {head}");
        }
    }

    let chromium = Chromium::start().await;
    let window = chromium.open(&origin).await;
    for target in targets.iter().filter(|target| target.starts_with('/')) {
        window.client.goto(&format!("{origin}{target}")).await.unwrap();
        assert_eq!(window.script("return location.origin").await, origin, "{target}");
    }
    // Signing in and out leads nowhere either.
    window.client.goto(&format!("{origin}/?next={far}#javascript:window.harmed=1")).await.unwrap();
    window.register("alice", World::PASSWORD).await;
    is_unharmed(&window, &origin).await;
    window.client.goto(&format!("{origin}/?next=//{host}#{far}")).await.unwrap();
    window.is_online().await;
    window.click("sign-out").await;
    window.until("document.querySelector('[data-view=sign-in]')").await;
    is_unharmed(&window, &origin).await;
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
    window.has_clean_console(true).await;
    window.close().await;
}

async fn no_other_site_can_frame_the_page_or_the_inspector(world: World) {
    let site = Site::empty().await;
    let origin = world.base_url();
    let frames = format!(
        "<iframe id=page src='{origin}/'></iframe><iframe id=missing src='{origin}/missing'></iframe>\
         <iframe id=inspector src='{origin}/_local'></iframe><iframe id=own src='/own'></iframe>"
    );
    site.answers("/", Answer::html(frames));
    site.answers("/own", Answer::html("<p>Framed</p>"));
    let chromium = Chromium::start().await;
    for outer in [site.origin(), site.foreign_origin()] {
        let window = chromium.open(&outer).await;
        for (frame, is_shown) in
            [("page", false), ("missing", false), ("inspector", false), ("own", true)]
        {
            let element = window.client.find(Locator::Id(frame)).await.unwrap();
            element.enter_frame().await.unwrap();
            let shows =
                "return location.protocol === 'http:' && document.body.innerText.trim() !== ''";
            assert_eq!(window.script(shows).await, is_shown, "{frame} in {outer}");
            window.client.enter_parent_frame().await.unwrap();
        }
        let complaints = window.complaints().await;
        let refused = complaints.iter().filter(|message| message.contains("frame-ancestors"));
        assert_eq!(refused.count(), 3, "{complaints:?}");
        window.close().await;
    }
}

async fn what_is_slipped_into_the_page_does_not_run(world: World) {
    let elsewhere = Site::empty().await;
    let far = elsewhere.foreign_origin();
    let slipped = format!(
        "<base href='{far}/'><style>body {{ display: none }}</style><link rel=stylesheet href='{far}/a.css'>\
         <script>window.harmed = 1</script><script src='{far}/b.js'></script>\
         <script type=module>import '{far}/c.js'</script>\
         <svg onload='window.harmed=1'></svg><img src='{far}/d.png' onerror='window.harmed=1'>\
         <iframe src='{far}/e.html'></iframe><iframe srcdoc='<script>parent.harmed=1</script>'></iframe>\
         <object data='{far}/f.swf'></object><embed src='{far}/g.swf'><video src='{far}/h.mp4' autoplay></video>\
         <form id=stolen action='{far}/i' method=post></form><a id=link href='javascript:window.harmed=1'>x</a>\
         <link rel=manifest href='{far}/j.json'><link rel=prefetch href='{far}/k'></head>"
    );
    let folder = world.directory().join("site");
    copy_page(&folder);
    let index = std::fs::read_to_string(folder.join("index.html")).unwrap();
    std::fs::write(folder.join("index.html"), index.replace("</head>", &slipped)).unwrap();
    let site = Site::over(StaticFiles::open(&folder).unwrap().router()).await;
    let chromium = Chromium::start().await;
    let window = chromium.open(&site.origin()).await;

    // The page itself is not held up.
    window.sign_in("alice", World::PASSWORD).await;
    let tries = format!(
        "document.querySelector('#link').click();
        document.querySelector('#stolen').submit();
        const refused = [];
        for (const attempt of [
            () => {{ document.body.innerHTML = '<p>x</p>'; }},
            () => document.body.insertAdjacentHTML('beforeend', '<p>x</p>'),
            () => document.write('<p>x</p>'),
            () => new DOMParser().parseFromString('<p>x</p>', 'text/html'),
            () => {{ document.createElement('script').src = '{far}/l.js'; }},
            () => {{ document.createElement('script').text = 'window.harmed = 1'; }},
            () => setTimeout('window.harmed = 1'),
            () => trustedTypes.createPolicy('default', {{ createHTML: (text) => text }}),
        ]) try {{ attempt(); }} catch (error) {{ refused.push(error.name); }}
        return refused"
    );
    assert_eq!(window.script(&tries).await, json!(vec!["TypeError"; 8]));
    let fetched = "const [far, done] = arguments; fetch(far).then(() => done('fetched'), () => done('refused'))";
    let fetched = window.client.execute_async(fetched, vec![json!(far)]).await.unwrap();
    assert_eq!(fetched, "refused");
    let state = "return [window.harmed ?? null, getComputedStyle(document.body).display, document.baseURI, location.origin]";
    let (base, origin) = (format!("{}/", site.origin()), site.origin());
    assert_eq!(window.script(state).await, json!([null, "block", base, origin]));
    assert_eq!(elsewhere.asked(), Vec::<String>::new());
    assert!(window.complaints().await.len() > 10, "the browser says what it has refused");
    window.close().await;
}

/// Copies what is served of the page.
fn copy_page(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for entry in std::fs::read_dir(static_dir()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
}

async fn every_answer_of_the_page_carries_what_protects_it(world: World) {
    let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    for (method, path, status) in [
        (Method::GET, "/", 200),
        (Method::GET, "/index.html", 200),
        (Method::GET, "/app.js", 200),
        (Method::GET, "/style.css", 200),
        (Method::GET, "/favicon.svg", 200),
        (Method::HEAD, "/", 200),
        (Method::GET, "/missing", 404),
        (Method::GET, "/tests/fakes.js", 404),
        (Method::GET, "/%00", 404),
        (Method::GET, "/%ff", 404),
        (Method::POST, "/", 405),
        (Method::OPTIONS, "/app.js", 405),
        (Method::GET, "/_local", 200),
        (Method::GET, "/_local/inspector.js", 200),
        (Method::GET, "/_local/invocations", 200),
        (Method::GET, "/_local/missing", 404),
        (Method::DELETE, "/_local/limits", 405),
    ] {
        let request = http.request(method.clone(), format!("{}{path}", world.base_url()));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
        let policy = header("content-security-policy").unwrap();
        let directives: Vec<&str> = policy.split("; ").collect();
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(directives.contains(&directive), "{path}: {directive} is not in {policy}");
        }
        for word in ["unsafe-", "*", "http:", "https:", "ws:", "wss:"] {
            assert!(!policy.contains(word), "{path}: {word} in {policy}");
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(name), Some(value), "{method} {path}: {name}");
        }
        assert!(header("permissions-policy").unwrap().contains("camera=()"), "{path}");
        assert_eq!(header("access-control-allow-origin"), None, "{path}");
        assert_eq!(header("set-cookie"), None, "{path}");
    }
    // A script, and nothing that a browser could take for one, has a script's type.
    let answer = http.get(format!("{}/app.js", world.base_url())).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/javascript");
}

async fn the_inspector_shows_hostile_events_as_text(world: World) {
    let mallory = world.user("mallory").await;
    let account = json!({"username": MARKUP, "password": World::PASSWORD, MARKUP: MARKUP});
    assert_eq!(world.http.post("/auth/register", &account).await.status, 422);
    let mut socket =
        world.handshake(&mallory.access).header("User-Agent", MARKUP).open().await.unwrap();
    for (number, text) in
        [MARKUP, "</pre><script>window.harmed=1</script>", "\u{202E}abc\u{2066}"].iter().enumerate()
    {
        socket.say(text, &number.to_string()).await;
        socket.next_frame().await;
    }

    let chromium = Chromium::start().await;
    let inspector = chromium.open(&format!("{}/_local", world.base_url())).await;
    inspector.until("document.querySelector('#connections-list [data-part=agent]')").await;
    let agent = "return document.querySelector('#connections-list [data-part=agent]').textContent";
    assert_eq!(inspector.script(agent).await, MARKUP);
    // Registered, logged in, refused, connected, three texts.
    inspector.until("document.querySelectorAll('#invocations-list .row').length === 7").await;
    for (row, shown) in [
        (0, "\\u202eabc\\u2066"),
        (1, "</pre><script>window.harmed=1</script>"),
        (2, MARKUP),
        (4, MARKUP),
    ] {
        inspector
            .script(&format!("document.querySelectorAll('#invocations-list .row')[{row}].click()"))
            .await;
        let texts = "[...document.querySelectorAll('#details-texts [data-part=text]')].map((part) => part.textContent)";
        inspector.until(&format!("{texts}.some((text) => text.includes({}))", json!(shown))).await;
        // What is shown is the event, character by character.
        let selected = "document.querySelector('#invocations-list .row[aria-current=true]').closest('li').dataset.id";
        let facts =
            "[...document.querySelectorAll('#details-facts dd')].map((fact) => fact.textContent)";
        inspector.until(&format!("{facts}.includes({selected})")).await;
        let exact = format!(
            "const done = arguments[0];
            const shown = document.querySelector('[data-text=Event] [data-part=text]').textContent;
            fetch(`/_local/invocations/${{{selected}}}`)
                .then((answer) => answer.json())
                .then(({{ event }}) => done([JSON.stringify(event), JSON.stringify(JSON.parse(shown))]));"
        );
        let exact = inspector.client.execute_async(&exact, Vec::new()).await.unwrap();
        assert_eq!(exact[0], exact[1]);
    }
    let foreign = "return [window.harmed ?? null, document.scripts.length,
        document.querySelectorAll('img, svg, iframe, object, embed, base, style, math, a').length,
        document.querySelectorAll('[onerror], [onload], [action], [srcdoc]').length]";
    assert_eq!(inspector.script(foreign).await, json!([null, 1, 0, 0]));
    inspector.has_clean_console(false).await;
    inspector.close().await;
}

async fn no_other_site_can_open_a_socket(world: World) {
    let alice = world.user("alice").await;
    let elsewhere = Site::empty().await;
    elsewhere.answers("/", Answer::html("<p>Win a prize</p>"));
    let open = "const [url, protocols, done] = arguments;
        const socket = protocols ? new WebSocket(url, protocols) : new WebSocket(url);
        socket.onopen = () => done('opened');
        socket.onclose = () => done('refused');";
    // It even has a good token.
    let ways = [
        vec![json!(world.socket_url()), json!(["chat.v1", format!("bearer.{}", alice.access)])],
        vec![json!(format!("{}?token={}", world.socket_url(), alice.access)), json!(null)],
    ];
    let chromium = Chromium::start().await;
    for outer in [elsewhere.origin(), elsewhere.foreign_origin()] {
        let window = chromium.open(&outer).await;
        for way in &ways {
            let opened = window.client.execute_async(open, way.clone()).await.unwrap();
            assert_eq!(opened, "refused", "from {outer}");
        }
        let refused = window.complaints().await;
        let with_403 =
            refused.iter().filter(|message| message.contains("Unexpected response code: 403"));
        assert_eq!(with_403.count(), 2, "{refused:?}");
        window.close().await;
    }
    assert_eq!(world.connection_ids().await, Vec::<String>::new());

    for origin in [
        "null",
        "file://",
        "https://evil.example",
        &elsewhere.foreign_origin(),
        &world.base_url().replace("http", "https"),
    ] {
        let refused = world.handshake(&alice.access).header("Origin", origin).open().await.err();
        assert_eq!(refused, Some(StatusCode::FORBIDDEN), "{origin}");
    }
    assert_eq!(world.connection_ids().await, Vec::<String>::new());

    // From the chat's own origin the very same script is let in.
    let own = chromium.open(&format!("{}/missing", world.base_url())).await;
    assert_eq!(own.client.execute_async(open, ways[0].clone()).await.unwrap(), "opened");
    assert_eq!(world.connection_ids().await.len(), 1);
    own.close().await;
}

async fn no_other_site_can_make_a_browser_ask_for_anything(world: World) {
    let alice = world.user("alice").await;
    let elsewhere = Site::empty().await;
    elsewhere.answers("/", Answer::html("<iframe name=target></iframe>"));
    let account = json!({"username": "mallory", "password": World::PASSWORD}).to_string();
    let session = json!({"refresh_token": alice.refresh}).to_string();
    let requests = [
        ("/auth/register", &account),
        ("/auth/login", &account),
        ("/auth/logout", &session),
        ("/auth/refresh", &session),
    ];
    // Without asking the server first, a browser sends no JSON; what it sends is refused. JSON it does not send at all.
    let fetched = "const [url, body, type, mode, done] = arguments;
        fetch(url, { method: 'POST', mode, headers: { 'content-type': type }, body })
            .then(({ type }) => done(type), () => done('refused'));";
    // A form of plain text can be made to look like JSON.
    let posted = "const [url, body, done] = arguments;
        const form = document.createElement('form');
        Object.assign(form, { action: url, method: 'post', enctype: 'text/plain', target: 'target' });
        const [name, value] = body.replace(/\\}$/, ',\"x\":\"=\"}').split('=');
        form.append(Object.assign(document.createElement('input'), { name, value }));
        document.body.append(form);
        document.querySelector('iframe').onload = () => done('posted');
        form.submit();";
    let chromium = Chromium::start().await;
    for outer in [elsewhere.origin(), elsewhere.foreign_origin()] {
        let window = chromium.open(&outer).await;
        for (path, body) in requests {
            let (url, body) = (json!(format!("{}{path}", world.base_url())), json!(body));
            for (content_type, mode, expected) in [
                ("text/plain", "no-cors", "opaque"),
                ("application/x-www-form-urlencoded", "no-cors", "opaque"),
                ("application/json", "no-cors", "opaque"), // which sends it as text/plain
                ("application/json", "cors", "refused"),
                ("text/plain", "cors", "refused"),
            ] {
                let arguments = vec![url.clone(), body.clone(), json!(content_type), json!(mode)];
                let outcome = window.client.execute_async(fetched, arguments).await.unwrap();
                assert_eq!(outcome, expected, "{path} as {content_type}, {mode}");
            }
            let outcome = window.client.execute_async(posted, vec![url, body]).await.unwrap();
            assert_eq!(outcome, "posted", "{path}");
        }
        // The answers of the API, too, are for nobody else to read.
        let read = "const [url, token, done] = arguments;
            fetch(url, { headers: { authorization: `Bearer ${token}` } }).then(() => done('read'), () => done('refused'));";
        let url = format!("{}/auth/messages", world.base_url());
        let outcome =
            window.client.execute_async(read, vec![json!(url), json!(alice.access)]).await.unwrap();
        assert_eq!(outcome, "refused");
        window.close().await;
    }

    // It did arrive, and was refused every time.
    let invocations = world.http.request(Method::GET, "/_local/invocations").send().await.unwrap();
    let invocations: Vec<Value> = invocations.json().await.unwrap();
    let refused = invocations.iter().filter(|invocation| invocation["status"] == 400).count();
    assert!(refused >= 2 * 4 * 4, "{refused} of {invocations:?}");
    let mallory = json!({"username": "mallory", "password": World::PASSWORD});
    assert_eq!(world.http.post("/auth/login", &mallory).await.status, 401);
    let session = json!({"refresh_token": alice.refresh});
    assert_eq!(world.http.post("/auth/refresh", &session).await.status, 200);
}
