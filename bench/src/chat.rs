//! Chats that run as programs, each with a database of its own: local-dev, in its two ways, and the bare one.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Failure, process::Process, program, wire::Client};

/// The user that all sockets belong to.
const CREDENTIALS: &str = r#"{"username":"ada","password":"correct horse battery staple"}"#;

/// What runs.
pub(crate) struct Chat {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// Of the user; none is needed by the bare chat.
    pub(crate) token: String,
    /// SQLite's file, where it is used.
    pub(crate) database: PathBuf,
    _folder: TempDir,
}

/// What local-dev is started with besides.
#[derive(Default)]
pub(crate) struct Options<'a> {
    /// Compiled functions and their database, in place of those that are linked in and SQLite.
    pub(crate) compiled: Option<(&'a Path, &'a str)>,
    /// Rounds of bcrypt, as a power of two: the least, where passwords are not what is measured.
    pub(crate) bcrypt_cost: Option<u32>,
}

impl Chat {
    /// local-dev, without limits on rates. It logs warnings only: the bare chat has no log.
    ///
    /// # Errors
    /// When it doesn't start.
    pub(crate) fn local_dev(local_dev: &Path, options: &Options<'_>) -> Result<Self, Failure> {
        let folder = TempDir::new()?;
        let database = folder.path().join("chat.db");
        let (url, cost) = match options.compiled {
            Some((_, url)) => (url.to_owned(), 10),
            None => (format!("sqlite://{}", database.display()), 4),
        };
        let mut command = Command::new(local_dev);
        command
            .args(["--port", "0", "--no-throttle", "--static-dir"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../static"))
            .current_dir(folder.path())
            .env_clear()
            .env("DATABASE_URL", url)
            .env("JWT_SECRET", "a secret of benchmarks that guards nothing")
            .env("BCRYPT_COST", options.bcrypt_cost.unwrap_or(cost).to_string())
            .env("MESSAGE_RATE_LIMIT", "off")
            .env("PRESENCE_LIMIT", "off")
            .env("LOG", "warn");
        if let Some((functions, _)) = options.compiled {
            command.arg("--functions").arg(functions);
        }
        let (process, address) = Process::serve(&mut command)?;
        let mut client = Client::connect(address)?;
        client.call("POST /auth/register", "", CREDENTIALS)?;
        let token = log_in(&mut client)?;
        Ok(Self { process, address, token, database, _folder: folder })
    }

    /// The bare one.
    ///
    /// # Errors
    /// When it doesn't start.
    pub(crate) fn bare() -> Result<Self, Failure> {
        let folder = TempDir::new()?;
        let database = folder.path().join("chat.db");
        let (process, address) = Process::serve(program()?.arg("bare").arg(&database))?;
        Ok(Self { process, address, token: "none".to_owned(), database, _folder: folder })
    }
}

/// Logs the user in.
///
/// # Errors
/// When that is refused.
pub(crate) fn log_in(client: &mut Client) -> Result<String, Failure> {
    let answer: Value =
        serde_json::from_slice(&client.call("POST /auth/login", "", CREDENTIALS)?)?;
    let token = answer["access_token"].as_str().ok_or("a login without a token")?;
    Ok(token.to_owned())
}
