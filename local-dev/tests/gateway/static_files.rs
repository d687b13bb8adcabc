//! The web UI.

use crate::support::World;

#[tokio::test]
async fn files_are_served_with_the_headers_that_protect_them() {
    let world = World::start().await;
    for (path, status, content_type, body) in [
        ("/", 200, "text/html", "<!doctype html>\n<title>A page</title>\n"),
        ("/index.html", 200, "text/html", "<!doctype html>\n<title>A page</title>\n"),
        ("/missing.js", 404, "text/plain; charset=utf-8", "Not Found\n"),
        ("/tests/page.test.js", 404, "text/plain; charset=utf-8", "Not Found\n"),
        ("/%74ests/page.test.js", 404, "text/plain; charset=utf-8", "Not Found\n"),
        (&format!("/{}", "a".repeat(256)), 404, "text/plain; charset=utf-8", "Not Found\n"),
        ("/../Cargo.toml", 404, "text/plain; charset=utf-8", "Not Found\n"),
    ] {
        let response = world.http.get(world.url(path)).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        for (name, value) in [
            (
                "content-security-policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                 connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            ),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
            ("cross-origin-opener-policy", "same-origin"),
            ("content-type", content_type),
        ] {
            assert_eq!(response.headers()[name], value, "{path}");
        }
        assert_eq!(response.text().await.unwrap(), body, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_has_not_changed_is_not_sent_again() {
    let world = World::start().await;
    let first = world.http.get(world.url("/")).send().await.unwrap();
    let again = world.http.get(world.url("/")).header("if-none-match", &first.headers()["etag"]);
    assert_eq!(again.send().await.unwrap().status(), 304);
}
