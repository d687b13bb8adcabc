//! The chat's database as its user knows it: by its URL.

use percent_encoding::percent_decode_str;
use url::Url;

/// The demo's password is known to everybody, and Aurora DSQL is no database of this machine.
#[derive(Debug, thiserror::Error)]
#[error(
    "--demo takes a database on SQLite or PostgreSQL, and DATABASE_URL names one on Aurora DSQL: leave --demo out, or name \
     another, for example --database-url sqlite://demo.db"
)]
pub struct NoDemoOnDsql;

/// Refuses databases that a demo has no business in.
///
/// # Errors
/// When it is one on Aurora DSQL.
pub fn check_for_demo(url: &str) -> Result<(), NoDemoOnDsql> {
    if url.starts_with("dsql:") { Err(NoDemoOnDsql) } else { Ok(()) }
}

/// What is at a URL, without user and password: `SQLite, chat.db`, `PostgreSQL, chat on localhost`.
pub fn describe(url: &str) -> String {
    if let Some(file) = sqlite_file(url) {
        return format!("SQLite, {file}");
    }
    let kind = if url.starts_with("dsql:") { "Aurora DSQL" } else { "PostgreSQL" };
    let Ok(url) = Url::parse(url) else { return kind.to_owned() };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let host = url.host_str().map(decoded);
    let host = host.map(|host| url.port().map_or(host.clone(), |port| format!("{host}:{port}")));
    let parts = match (url.path().trim_start_matches('/'), host) {
        ("", host) => host,
        (name, None) => Some(decoded(name)),
        (name, Some(host)) => Some(format!("{} on {host}", decoded(name))),
    };
    parts.map_or(kind.to_owned(), |parts| format!("{kind}, {parts}"))
}

/// The file of a SQLite database; `None` for other databases.
pub fn sqlite_file(url: &str) -> Option<String> {
    let rest = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
    let file = rest.split('?').next().unwrap_or_default();
    Some(percent_decode_str(file).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_described_without_secrets() {
        for (url, text) in [
            ("sqlite://chat.db", "SQLite, chat.db"),
            ("sqlite:///a%20b/chat.db?mode=rwc", "SQLite, /a b/chat.db"),
            ("postgres://chat:secret@db.example.com/chat", "PostgreSQL, chat on db.example.com"),
            ("postgres://chat@localhost:5433/my%20chat?x=y", "PostgreSQL, my chat on localhost:5433"),
            ("postgresql:///chat?host=/run&password=secret", "PostgreSQL, chat"),
            ("postgres://:5433:secret", "PostgreSQL"),
            ("dsql://admin@abc.dsql.eu-west-1.on.aws", "Aurora DSQL, abc.dsql.eu-west-1.on.aws"),
        ] {
            assert_eq!(describe(url), text);
        }
    }
}
