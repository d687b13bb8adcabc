//! How a function is run.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// How a function is run. [`Config::new`] has what Lambda does when it is not told otherwise.
#[derive(Clone)]
pub struct Config {
    /// The function's name.
    pub name: String,
    /// The executable, as `cargo lambda build` leaves it at `NAME/bootstrap`.
    pub bootstrap: PathBuf,
    /// The function's own variables. They cannot replace those that Lambda reserves; region and credentials belong here.
    /// Of this process's variables instances get `PATH` and `LANG`, unless these are given here, and nothing else.
    pub environment: Vec<(String, String)>,
    /// The memory that the function is told it has, in MB. It is not enforced.
    pub memory_mb: u32,
    /// How long the function may take for an event: from 1 ms to 900 s.
    pub timeout: Duration,
    /// How long an instance may take for its start. One that takes longer is started again, and the second start counts
    /// as part of the event.
    pub init_timeout: Duration,
    /// The most instances of this function at once: at least 1.
    pub concurrency_max: usize,
    /// How long an instance is kept without an event.
    pub idle_time_max: Duration,
    /// Whether instances stand still between events. On systems other than Unix they never do.
    pub freeze: bool,
    /// The largest event and the largest response, in bytes.
    pub payload_bytes_max: usize,
}

/// Shows the names of variables, and no value: among them are secrets.
impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("Config")
            .field("name", &self.name)
            .field("bootstrap", &self.bootstrap)
            .field("environment", &variables)
            .finish_non_exhaustive()
    }
}

/// The longest time for an event. Source: Lambda quotas, "Function timeout".
const TIMEOUT_MAX: Duration = Duration::from_mins(15);

impl Config {
    /// The function `name` with Lambda's defaults: 128 MB, 3 s for an event and 10 s for a start, 6 MB for an event or a
    /// response, no variables of its own, and as many instances as an account has by default, 1000. Lambda doesn't say
    /// how long it keeps idle instances; observers report 5 to 15 minutes, and here it is 5.
    pub fn new(name: impl Into<String>, bootstrap: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            bootstrap: bootstrap.into(),
            environment: Vec::new(),
            memory_mb: 128,
            timeout: Duration::from_secs(3),
            init_timeout: Duration::from_secs(10),
            concurrency_max: 1000,
            idle_time_max: Duration::from_mins(5),
            freeze: true,
            payload_bytes_max: 6 * 1024 * 1024,
        }
    }

    /// The same, if it can be run, with an absolute path: instances work in the folder of the executable.
    pub(crate) fn checked(mut self) -> Result<Self, ConfigError> {
        self.bootstrap = find(&self.bootstrap)?;
        let within = |what, is_within| {
            if is_within { Ok(()) } else { Err(ConfigError::OutOfRange(what)) }
        };
        within("name: it is empty or holds characters other than a-z A-Z 0-9 - _", {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !self.name.is_empty() && self.name.bytes().all(allowed)
        })?;
        within("environment: a name is empty or holds = or NUL, or a value holds NUL", {
            let allowed = |(name, value): &(String, String)| {
                !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
            };
            self.environment.iter().all(allowed)
        })?;
        within(
            "timeout: it is not from 1 ms to 900 s",
            (Duration::from_millis(1)..=TIMEOUT_MAX).contains(&self.timeout),
        )?;
        within(
            "init_timeout: it is not from 1 ms to 900 s",
            (Duration::from_millis(1)..=TIMEOUT_MAX).contains(&self.init_timeout),
        )?;
        within("concurrency_max: it is 0", self.concurrency_max > 0)?;
        Ok(self)
    }
}

/// Why a function cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file, though there is the folder.
    #[error(
        "{} is not there ({source}); build it, for example with `cargo lambda build`",
        path.display()
    )]
    BootstrapMissing {
        /// The file as it was given.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is not even the folder of that file.
    #[error(
        "the folder {} is not there; build what belongs in it, for example with `cargo lambda build`",
        folder.display()
    )]
    FolderMissing {
        /// The folder as it was given.
        folder: PathBuf,
    },
    /// It is not a file, or nobody may execute it.
    #[error(
        "{} is not an executable file; build one, for example with `cargo lambda build`; a script needs `chmod +x`",
        path.display()
    )]
    BootstrapNotExecutable {
        /// The file as it was given.
        path: PathBuf,
    },
    /// A value is out of its range: which one, and why.
    #[error("{0}")]
    OutOfRange(&'static str),
}

/// Where the executable is.
fn find(bootstrap: &Path) -> Result<PathBuf, ConfigError> {
    let missing = |source| match bootstrap.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
            ConfigError::FolderMissing { folder: folder.to_owned() }
        }
        _ => ConfigError::BootstrapMissing { path: bootstrap.to_owned(), source },
    };
    let path = bootstrap.canonicalize().map_err(missing)?;
    let metadata = fs::metadata(&path).map_err(missing)?;
    if metadata.is_file() && may_be_executed(&metadata) {
        Ok(path)
    } else {
        Err(ConfigError::BootstrapNotExecutable { path: bootstrap.to_owned() })
    }
}

#[cfg(unix)]
fn may_be_executed(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    metadata.permissions().mode() & 0o111 != 0
}

/// Elsewhere a file doesn't say.
#[cfg(not(unix))]
fn may_be_executed(_metadata: &fs::Metadata) -> bool {
    true
}
