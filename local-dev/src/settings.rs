//! What local-dev puts in the place of settings that are not set, so that it runs without any.

use std::{
    fs,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use gateway::Credentials;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use secrecy::ExposeSecret;
use shared::settings::Lookup;

use crate::database;

const DATABASE_URL: &str = "sqlite://chat.db";

/// What has a meaning of its own in a URL.
const IN_PATHS: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');

/// The secret that signs tokens can be neither read nor kept.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot keep the secret for tokens in {} ({source}); make that possible, put the database elsewhere with \
     --database-url sqlite://FILE, or set JWT_SECRET to 32 characters or more",
    path.display()
)]
pub struct SecretError {
    path: PathBuf,
    source: io::Error,
}

/// The database's URL: that of the command line, or else of the environment, or else SQLite in the working directory.
pub fn database_url(environment: &Lookup, option: Option<&str>) -> String {
    option
        .map(str::to_owned)
        .or_else(|| environment.get("DATABASE_URL"))
        .unwrap_or_else(|| DATABASE_URL.to_owned())
}

/// The settings of `environment`, with defaults for a chat on this machine at `address`: a secret kept beside the
/// database, the gateway's own `@connections` API, and what that is signed with.
///
/// # Errors
/// When the secret can be neither read nor made.
pub fn with_local_defaults(
    environment: Lookup,
    database_url: String,
    address: SocketAddr,
    credentials: &Credentials,
) -> Result<Lookup, SecretError> {
    let secret = match environment.get("JWT_SECRET") {
        Some(secret) => secret,
        None => keep_secret(&secret_file(&database_url))?,
    };
    let endpoint = format!("http://{}/ws", reachable(address));
    let credentials = credentials.clone();
    Ok(Lookup::from_fn(move |name| match name {
        "DATABASE_URL" => Some(database_url.clone()),
        "JWT_SECRET" => Some(secret.clone()),
        "CONNECTIONS_ENDPOINT" => environment.get(name).or_else(|| Some(endpoint.clone())),
        "AWS_REGION" => Some(credentials.region.clone()),
        "AWS_ACCESS_KEY_ID" => Some(credentials.access_key_id.clone()),
        "AWS_SECRET_ACCESS_KEY" => Some(credentials.secret_access_key.expose_secret().to_owned()),
        "AWS_SESSION_TOKEN" => {
            credentials.session_token.as_ref().map(|token| token.expose_secret().to_owned())
        }
        _ => environment.get(name),
    }))
}

/// The same settings for functions that push directly: reading a queue costs more than to push to as many connections as a
/// setting may say, so only beyond that a message goes there.
pub fn for_direct_push(settings: Lookup) -> Lookup {
    Lookup::from_fn(move |name| match name {
        "BROADCAST_INLINE_LIMIT" => settings.get(name).or_else(|| Some("10000".to_owned())),
        _ => settings.get(name),
    })
}

/// The same settings for compiled functions. They work in folders of their own, so the path of a SQLite database is
/// absolute; and where the gateway is, their template knows better, unless `environment` says so.
///
/// # Errors
/// When the working directory is gone.
pub fn for_bootstraps(settings: Lookup, environment: Lookup) -> io::Result<Lookup> {
    let folder = std::env::current_dir()?;
    Ok(Lookup::from_fn(move |name| match name {
        "CONNECTIONS_ENDPOINT" => environment.get(name),
        "DATABASE_URL" => settings.get(name).map(|url| absolute(&url, &folder)),
        _ => settings.get(name),
    }))
}

fn absolute(database_url: &str, folder: &Path) -> String {
    let file = database_url
        .strip_prefix("sqlite://")
        .or_else(|| database_url.strip_prefix("sqlite:"))
        .filter(|file| !file.starts_with('/') && !file.starts_with(":memory:"));
    match file {
        Some(file) => {
            let folder = utf8_percent_encode(&folder.to_string_lossy(), IN_PATHS).to_string();
            format!("sqlite://{folder}/{file}")
        }
        None => database_url.to_owned(),
    }
}

/// An address by which this machine reaches a listener on `address`, which may stand for all addresses.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Beside SQLite's file; in the working directory for a database elsewhere.
fn secret_file(database_url: &str) -> PathBuf {
    let file = database::sqlite_file(database_url).unwrap_or_else(|| "chat".to_owned());
    PathBuf::from(format!("{file}.jwt-secret"))
}

/// Reads the secret, or makes one and keeps it so that only its owner can read it. Of two programs that make one at
/// once, both use the first.
fn keep_secret(path: &Path) -> Result<String, SecretError> {
    read_secret(path)
        .or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                // Temporary files are made with mode 0600.
                let mut file =
                    tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
                let secret: [u8; 32] = rand::random();
                file.write_all(BASE64_STANDARD_NO_PAD.encode(secret).as_bytes())?;
                match file.persist_noclobber(path) {
                    Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                        Err(error.error)
                    }
                    _ => read_secret(path),
                }
            }
            _ => Err(error),
        })
        .map_err(|source| SecretError { path: path.to_owned(), source })
}

fn read_secret(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path)?.trim() {
        "" => Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty")),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_lies_beside_the_database() {
        for (url, file) in [
            ("sqlite://chat.db", "chat.db.jwt-secret"),
            ("sqlite:///var/chat.db?mode=rwc", "/var/chat.db.jwt-secret"),
            ("sqlite:chat.db", "chat.db.jwt-secret"),
            ("sqlite:///a%20b/chat.db", "/a b/chat.db.jwt-secret"),
            ("postgres://chat:secret@db/chat", "chat.jwt-secret"),
        ] {
            assert_eq!(secret_file(url), PathBuf::from(file), "{url}");
        }
    }

    #[test]
    fn a_database_in_this_folder_is_found_from_others() {
        let folder = Path::new("/home/a b");
        for (url, expected) in [
            ("sqlite://chat.db", "sqlite:///home/a%20b/chat.db"),
            ("sqlite:data/chat.db?mode=rwc", "sqlite:///home/a%20b/data/chat.db?mode=rwc"),
            ("sqlite:///var/chat.db", "sqlite:///var/chat.db"),
            ("postgres://chat@db/chat", "postgres://chat@db/chat"),
        ] {
            assert_eq!(absolute(url, folder), expected);
        }
    }

    #[test]
    fn the_secret_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat.db.jwt-secret");
        let secret = keep_secret(&path).unwrap();
        assert!(secret.len() >= 32);
        assert_eq!(keep_secret(&path).unwrap(), secret);

        fs::write(&path, "\n").unwrap();
        let error = keep_secret(&path).unwrap_err().to_string();
        assert!(error.contains("chat.db.jwt-secret (the file is empty)"), "{error}");
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_the_local_one() {
        for (listens, reached) in [
            ("0.0.0.0:3000", "127.0.0.1:3000"),
            ("[::]:3000", "[::1]:3000"),
            ("192.0.2.7:80", "192.0.2.7:80"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
