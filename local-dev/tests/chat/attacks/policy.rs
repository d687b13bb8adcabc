//! What the page and the inspector are protected by: headers, and texts that stay texts.

use std::path::Path;

use local_dev::static_files::StaticFiles;
use reqwest::{Method, redirect::Policy};
use serde_json::json;

use super::MARKUP;
use crate::{
    Needs,
    support::{World, browser::Chromium, site::Site, static_dir},
};

crate::stories! {
    Needs::ChromiumAlone;
    what_is_slipped_into_the_page_does_not_run,
    the_inspector_shows_hostile_events_as_text;
    Needs::Nothing;
    every_answer_of_the_page_carries_what_protects_it,
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
