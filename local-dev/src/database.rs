//! The chat's database as its user knows it: by its URL.

use std::{error::Error as _, fs::OpenOptions, io, path::PathBuf};

use percent_encoding::percent_decode_str;
use shared::{Error, error::causes, store::Trouble};
use url::Url;

/// Why a database cannot be used, by its URL alone.
#[derive(Debug, thiserror::Error)]
pub enum UnusableError {
    /// The file is in no folder.
    #[error(
        "the database cannot be used: there is no folder {}; make it, or name another file in DATABASE_URL or with \
         --database-url sqlite://FILE",
        folder.display()
    )]
    FolderMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// The file is a folder.
    #[error(
        "the database cannot be used: {} is a folder; name a file, for example --database-url sqlite://{}/chat.db",
        folder.display(), folder.display()
    )]
    IsFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The file may not be written.
    #[error(
        "the database cannot be used: {} cannot be written ({source}); make it writable, or name another file in \
         DATABASE_URL or with --database-url sqlite://FILE",
        file.display()
    )]
    ReadOnly {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The demo's password is known to everybody, and Aurora DSQL is no database of this machine.
    #[error(
        "--demo takes a database on SQLite or PostgreSQL, and DATABASE_URL names one on Aurora DSQL; leave --demo out, or \
         name another, for example --database-url sqlite://demo.db"
    )]
    DemoOnDsql,
}

/// Looks for what can be found out before anything is opened. `is_for_demo` says whether a demo is to go there.
///
/// # Errors
/// When the database could not be used.
pub fn check(url: &str, is_for_demo: bool) -> Result<(), UnusableError> {
    if is_for_demo && url.starts_with("dsql:") {
        return Err(UnusableError::DemoOnDsql);
    }
    // A URL without a file is refused by whoever opens it.
    match sqlite_file(url) {
        Some(file) if !file.is_empty() => check_file(file.into()),
        _ => Ok(()),
    }
}

fn check_file(file: PathBuf) -> Result<(), UnusableError> {
    if file.is_dir() {
        return Err(UnusableError::IsFolder { folder: file });
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(UnusableError::FolderMissing { folder: folder.to_owned() });
    }
    match OpenOptions::new().append(true).open(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(UnusableError::ReadOnly { file, source }),
        Ok(_) => Ok(()),
    }
}

/// Why the database at a URL failed, and what to do about it.
pub fn explain(error: &Error, url: &str) -> String {
    let cause = error.source().map_or_else(|| error.to_string(), causes);
    let (problem, remedy) = match Trouble::of(error) {
        None => (cause.as_str(), "check DATABASE_URL"),
        Some(Trouble::Locked) => (
            "another program has locked it",
            "end that, maybe another local-dev or an open sqlite3, or name another file in DATABASE_URL",
        ),
        Some(Trouble::NotADatabase) => (
            "the file is damaged, or no SQLite database",
            "move it away, or name another file in DATABASE_URL",
        ),
        Some(Trouble::NotOpened) => (
            "the file can be neither opened nor made",
            "make its folder writable, or name another file in DATABASE_URL",
        ),
        Some(Trouble::ReadOnly) => (
            "it can be read only",
            "make the file and its folder writable, or name another file in DATABASE_URL",
        ),
        Some(Trouble::NobodyThere) if url.starts_with("dsql:") => {
            (cause.as_str(), "check the endpoint in DATABASE_URL, and the credentials for AWS")
        }
        Some(Trouble::NobodyThere) => {
            (cause.as_str(), "start PostgreSQL there, or check host and port in DATABASE_URL")
        }
        Some(Trouble::NotLetIn) => {
            ("the server does not let this user in", "check user and password in DATABASE_URL")
        }
        Some(Trouble::NoSuchDatabase) => (
            "the server has no database of that name",
            "make it, for example with createdb, or check the name in DATABASE_URL",
        ),
        Some(Trouble::NotPermitted) => (
            "the user may not make tables there",
            "have the database's owner run: grant create on schema public to USER",
        ),
    };
    format!("the database cannot be used: {}: {problem}; {remedy}", describe(url))
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
            (
                "postgres://chat@localhost:5433/my%20chat?x=y",
                "PostgreSQL, my chat on localhost:5433",
            ),
            ("postgresql:///chat?host=/run&password=secret", "PostgreSQL, chat"),
            ("postgres://:5433:secret", "PostgreSQL"),
            ("dsql://admin@abc.dsql.eu-west-1.on.aws", "Aurora DSQL, abc.dsql.eu-west-1.on.aws"),
        ] {
            assert_eq!(describe(url), text);
        }
    }
}
