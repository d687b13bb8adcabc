//! Compiled functions, and a clock for them that stories can move.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

pub const HINT: &str = if cfg!(target_arch = "x86_64") {
    "needs the functions as Lambda runs them: cargo xtask build --x86-64"
} else {
    "needs the functions as Lambda runs them: cargo xtask build"
};

/// The chat's functions.
const FUNCTIONS: [&str; 11] = [
    "migrate",
    "register",
    "login",
    "messages",
    "presence",
    "connect",
    "message",
    "disconnect",
    "refresh",
    "logout",
    "broadcast",
];

/// Where `cargo xtask build` has put the bootstraps, if it has, and for this machine.
pub fn directory() -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lambda");
    FUNCTIONS.iter().all(|name| runs_here(&bootstrap(&directory, name))).then_some(directory)
}

pub fn bootstrap(directory: &Path, function: &str) -> PathBuf {
    directory.join(function).join("bootstrap")
}

/// Whether a file is a program for this machine's processor, by the ELF header's `e_machine`.
fn runs_here(file: &Path) -> bool {
    let mut header = [0; 20];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut header));
    let machine = match std::env::consts::ARCH {
        "x86_64" => 0x3E,
        "aarch64" => 0xB7,
        _ => return false,
    };
    read.is_ok() && header.starts_with(b"\x7fELF") && header[18] == machine
}

pub const FAKE_TIME_HINT: &str = "needs libfaketime: apt-get install libfaketime";

/// The library that shows programs another time, where Debian's package has it.
pub fn fake_time_library() -> Option<PathBuf> {
    let machine = format!("/usr/lib/{}-linux-gnu/faketime", std::env::consts::ARCH);
    Some(Path::new(&machine).join("libfaketime.so.1")).filter(|library| library.is_file())
}

/// A clock for compiled functions: they run on the machine's, so many seconds later.
#[derive(Clone)]
pub struct FakeTime {
    file: PathBuf,
    seconds: Arc<AtomicU64>,
}

impl FakeTime {
    /// A clock that is right. It is kept in `directory`.
    pub fn start(directory: &TempDir) -> Self {
        let file = directory.path().join("time");
        let time = Self { file, seconds: Arc::default() };
        time.advance(Duration::ZERO);
        time
    }

    pub fn advance(&self, by: Duration) {
        let seconds = self.seconds.fetch_add(by.as_secs(), Ordering::Relaxed) + by.as_secs();
        std::fs::write(&self.file, format!("+{seconds}")).unwrap();
    }

    /// What makes a program go by this clock, but not its timers.
    pub fn variables(&self) -> [(String, String); 4] {
        let library = fake_time_library().expect("the suite has looked for it");
        [
            ("LD_PRELOAD", library.as_path()),
            ("FAKETIME_TIMESTAMP_FILE", &self.file),
            ("FAKETIME_NO_CACHE", Path::new("1")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
        ]
        .map(|(name, value)| (name.to_owned(), value.display().to_string()))
    }
}
