//! The web UI, served.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use local_dev::static_files::StaticFiles;
use tokio::net::TcpListener;

/// Serves the page of these tests, beside which lies a file that must not be served. Says at what URL.
async fn serve() -> String {
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/static_files/site");
    let files = StaticFiles::open(&site).unwrap().router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, files).await });
    url
}

#[tokio::test]
async fn files_are_served_with_the_headers_that_protect_them() {
    let url = serve().await;
    for (path, status, content_type, body) in [
        ("/", 200, "text/html", "<!doctype html>\n<title>A page</title>\n"),
        ("/index.html", 200, "text/html", "<!doctype html>\n<title>A page</title>\n"),
        ("/missing.js", 404, "text/plain; charset=utf-8", "Not Found\n"),
        ("/tests/page.test.js", 404, "text/plain; charset=utf-8", "Not Found\n"),
        ("/%74ests/page.test.js", 404, "text/plain; charset=utf-8", "Not Found\n"),
        (&format!("/{}", "a".repeat(256)), 404, "text/plain; charset=utf-8", "Not Found\n"),
        ("/../Cargo.toml", 404, "text/plain; charset=utf-8", "Not Found\n"),
    ] {
        let response = reqwest::get(format!("{url}{path}")).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        for (name, value) in [
            (
                "content-security-policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                 connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
                 require-trusted-types-for 'script'; trusted-types 'none'",
            ),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            (
                "permissions-policy",
                "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
            ),
            ("content-type", content_type),
        ] {
            assert_eq!(response.headers()[name], value, "{path}");
        }
        assert_eq!(response.text().await.unwrap(), body, "{path}");
    }
}

#[tokio::test]
async fn only_what_is_there_under_a_hashed_name_is_kept_for_ever() {
    let url = serve().await;
    let (ask, keep) = ("no-cache", "public, max-age=31536000, immutable");
    for (path, status, cache) in [
        ("/assets/0123456789abcdef/app.js", 200, keep),
        ("/assets/0123456789abcdef/missing.js", 404, ask),
        ("/assets/0123456789ABCDEF/app.js", 404, ask),
        ("/assets/unhashed/app.js", 200, ask),
    ] {
        let first = reqwest::get(format!("{url}{path}")).await.unwrap();
        assert_eq!(
            (first.status().as_u16(), &first.headers()["cache-control"]),
            (status, &cache.parse().unwrap()),
            "{path}"
        );
        let Some(tag) = first.headers().get("etag") else {
            assert_eq!(status, 404, "{path}");
            continue;
        };
        let client = reqwest::Client::new();
        let again = client.get(format!("{url}{path}")).header("if-none-match", tag);
        let again = again.send().await.unwrap();
        assert_eq!(again.status(), 304, "{path}");
        assert_eq!(again.headers()["cache-control"], cache, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_has_not_changed_is_not_sent_again() {
    let url = serve().await;
    let first = reqwest::get(&url).await.unwrap();
    let again = reqwest::Client::new().get(&url).header("if-none-match", &first.headers()["etag"]);
    assert_eq!(again.send().await.unwrap().status(), 304);
}
