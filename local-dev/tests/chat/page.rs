//! The page, as whoever opens the chat's address gets it.

use reqwest::Method;

use crate::{Needs, support::room::Room};

crate::anywhere! {
    Needs::Page;
    the_page_comes_with_its_security_headers,
}

async fn the_page_comes_with_its_security_headers(room: Room) {
    for (path, content_type) in
        [("/", "text/html"), ("/app.js", "text/javascript"), ("/style.css", "text/css")]
    {
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
        // Names of files are not hashed, so a browser must ask whether they are still the same.
        assert_eq!(header("cache-control"), "no-cache", "{path}");
        if room.base_url().starts_with("https://") && !room.base_url().contains("://127.0.0.1") {
            assert!(header("strict-transport-security").contains("max-age="), "{path}");
        }
        assert_eq!(answer.headers().get("set-cookie"), None, "{path}");
    }
}
