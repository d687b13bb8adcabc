//! What local-dev puts in the place of settings that are not set, so that it runs without any.

use std::{
    fs,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use percent_encoding::percent_decode_str;
use shared::settings::Lookup;

const DATABASE_URL: &str = "sqlite://chat.db";

/// The secret that signs tokens can be neither read nor kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the secret for tokens in {} ({source}); make that possible, or set JWT_SECRET", path.display())]
pub struct SecretError {
    path: PathBuf,
    source: io::Error,
}

/// The settings of `environment`, with defaults for a chat on this machine at `address`: SQLite in the working
/// directory unless `database_url` says otherwise, a secret kept beside the database, and the gateway's own
/// `@connections` API.
///
/// # Errors
/// When the secret can be neither read nor made.
pub fn with_local_defaults(
    environment: Lookup,
    database_url: Option<&str>,
    address: SocketAddr,
) -> Result<Lookup, SecretError> {
    let database_url = database_url
        .map(str::to_owned)
        .or_else(|| environment.get("DATABASE_URL"))
        .unwrap_or_else(|| DATABASE_URL.to_owned());
    let secret = match environment.get("JWT_SECRET") {
        Some(secret) => secret,
        None => keep_secret(&secret_file(&database_url))?,
    };
    let endpoint = format!("http://{}/ws", reachable(address));
    Ok(Lookup::from_fn(move |name| match name {
        "DATABASE_URL" => Some(database_url.clone()),
        "JWT_SECRET" => Some(secret.clone()),
        "CONNECTIONS_ENDPOINT" => environment.get(name).or_else(|| Some(endpoint.clone())),
        _ => environment.get(name),
    }))
}

/// An address by which this machine reaches a listener on `address`, which may stand for all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Beside SQLite's file; in the working directory for a database elsewhere.
fn secret_file(database_url: &str) -> PathBuf {
    let file = database_url
        .strip_prefix("sqlite://")
        .or_else(|| database_url.strip_prefix("sqlite:"))
        .and_then(|rest| rest.split('?').next())
        .unwrap_or("chat");
    PathBuf::from(format!("{}.jwt-secret", percent_decode_str(file).decode_utf8_lossy()))
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
