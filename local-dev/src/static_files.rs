//! The web UI, which in the cloud comes from a CDN.

use std::path::{Component, Path, PathBuf};

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use tower_http::services::ServeDir;

/// Scripts, styles and connections come from the same origin, nobody may frame the page, no form
/// leaves it by itself, and no script may make markup of a text.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What a chat has no use for.
const PERMISSIONS_POLICY: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

/// What goes with every file, by name. The CDN sends the same.
pub const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-cache"),
    // What `frame-ancestors` says, for browsers that do not know it.
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY),
];

/// The longest name of a file on common file systems (POSIX calls it `NAME_MAX`).
const FILE_NAME_BYTES_MAX: usize = 255;

/// A folder of files to serve.
#[derive(Clone, Debug)]
pub struct StaticFiles {
    dir: PathBuf,
}

/// A folder that does not hold a web UI.
#[derive(Debug, thiserror::Error)]
#[error(
    "the folder {dir:?} holds no index.html; start local-dev where it does, or name the folder \
     with --static-dir"
)]
pub struct NoIndex {
    dir: PathBuf,
}

impl StaticFiles {
    /// The files in `dir`.
    ///
    /// # Errors
    /// When `dir` has no `index.html`.
    pub fn open(dir: &Path) -> Result<Self, NoIndex> {
        let dir = dir.to_owned();
        if dir.join("index.html").is_file() { Ok(Self { dir }) } else { Err(NoIndex { dir }) }
    }

    /// Answers any path with the file there, with `index.html` for a folder, or with 404.
    pub fn router(&self) -> Router {
        let not_found = Router::new().fallback(|| async { not_found() });
        let files = ServeDir::new(&self.dir).fallback(not_found);
        Router::new().fallback_service(files).layer(from_fn(protect))
    }
}

/// Keeps tests from being served, and adds the headers.
async fn protect(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_hashed = is_hashed(path);
    // No file has such a name, and asking for it is an error and not a miss.
    let too_long = path.split('/').any(|segment| segment.len() > FILE_NAME_BYTES_MAX);
    let mut response =
        if too_long || is_test(path) { not_found() } else { next.run(request).await };
    let is_there = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if is_hashed && is_there {
        let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(header::CACHE_CONTROL, forever);
    }
    response
}

/// Whether a file's name changes with what it holds: `cargo xtask site` puts such files into `/assets/HASH/`, HASH being 16
/// hexadecimal digits.
fn is_hashed(path: &str) -> bool {
    let Some((hash, name)) = path.strip_prefix("/assets/").and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    hash.len() == 16 && hash.bytes().all(is_digit) && !name.is_empty()
}

/// Whether a path is below `/tests`, however it is spelled.
fn is_test(path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    let mut components = Path::new(&*path).components();
    let first = components.find_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    first.is_some_and(|name| name.eq_ignore_ascii_case("tests"))
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "Not Found\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_hash_are_for_ever() {
        assert!(is_hashed("/assets/0123456789abcdef/app.js"));
        for path in [
            "/",
            "/config.js",
            "/app.js",
            "/assets/app.js",
            "/assets/logos/app.js",
            "/assets/0123456789abcde/app.js",
            "/assets/0123456789abcdef0/app.js",
            "/assets/0123456789ABCDEF/app.js",
            "/assets/0123456789abcdeg/app.js",
            "/assets/0123456789abcdef",
            "/assets/0123456789abcdef/",
            "/my/assets/0123456789abcdef/app.js",
        ] {
            assert!(!is_hashed(path), "{path}");
        }
    }

    #[test]
    fn tests_are_found_in_every_spelling() {
        for path in [
            "/tests",
            "/tests/a.js",
            "//tests/a.js",
            "/./tests/a.js",
            "/%74ests/a.js",
            "/TESTS/a.js",
        ] {
            assert!(is_test(path), "{path}");
        }
        for path in ["/", "/index.html", "/testsuite.js", "/a/tests"] {
            assert!(!is_test(path), "{path}");
        }
    }
}
