//! Other sites: addresses that lead to one, and what one can do with a browser that knows the chat.

use axum::http::StatusCode;
use fantoccini::Locator;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::is_unharmed;
use crate::{
    Needs,
    support::{
        World,
        browser::Chromium,
        site::{Answer, Site},
    },
};

crate::stories! {
    Needs::ChromiumAlone;
    no_address_leads_to_another_site,
    no_other_site_can_frame_the_page_or_the_inspector,
    no_other_site_can_open_a_socket,
    no_other_site_can_make_a_browser_ask_for_anything,
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
