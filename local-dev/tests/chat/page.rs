//! The page, as whoever opens the chat's address gets it.

use reqwest::Method;

use crate::{Needs, support::room::Room};

crate::anywhere! {
    Needs::Page;
    the_page_comes_with_its_security_headers,
}

async fn the_page_comes_with_its_security_headers(room: Room) {
    let html = check(&room, "/", "text/html").await;
    check(&room, "/config.js", "text/javascript").await;
    let files = linked(&html);
    for end in [".js", ".css"] {
        assert!(files.iter().any(|file| file.ends_with(end)), "the page links no {end}: {files:?}");
    }
    for file in files {
        let content_type = match file.rsplit_once('.') {
            Some((_, "css")) => "text/css",
            Some((_, "js")) => "text/javascript",
            Some((_, "svg")) => "image/svg+xml",
            _ => panic!("the page links {file}"),
        };
        check(&room, &format!("/{file}"), content_type).await;
    }
}

/// The files that a page links, whose names a deployment changes with what they hold.
fn linked(html: &str) -> Vec<&str> {
    let links = ["href=\"", "src=\""].into_iter().flat_map(|start| html.split(start).skip(1));
    links
        .filter_map(|rest| rest.split('"').next())
        .map(|link| link.trim_start_matches('/'))
        .collect()
}

/// How long a browser may keep what has this path without asking.
fn cache_control(path: &str) -> &'static str {
    let folder = path.strip_prefix("/assets/").and_then(|rest| rest.split_once('/'));
    let is_hash = |hash: &str| {
        hash.len() == 16 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    match folder {
        Some((hash, _)) if is_hash(hash) => "public, max-age=31536000, immutable",
        _ => "no-cache",
    }
}

/// Gets a file with the headers that it has to have.
async fn check(room: &Room, path: &str, content_type: &str) -> String {
    let request = room.http.request(Method::GET, path).build().unwrap();
    let answer = room.http.execute(request).await;
    assert_eq!(answer.status(), 200, "{path}");
    let header = |name: &str| {
        let value = answer.headers().get(name).unwrap_or_else(|| panic!("{path}: no {name}"));
        value.to_str().unwrap()
    };
    assert!(header("content-type").starts_with(content_type), "{path}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cache-control", cache_control(path)),
    ] {
        assert_eq!(header(name), value, "{path}: {name}");
    }
    let policy = header("content-security-policy");
    let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
    for directive in
        ["default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
    {
        assert!(directives.contains(&directive), "{path}: {directive} is not in {policy}");
    }
    assert!(!policy.contains("unsafe-"), "{path}: {policy}");
    if room.base_url().starts_with("https://") && !room.base_url().contains("://127.0.0.1") {
        assert!(header("strict-transport-security").contains("max-age="), "{path}");
    }
    assert_eq!(answer.headers().get("set-cookie"), None, "{path}");
    answer.text().await.unwrap()
}
