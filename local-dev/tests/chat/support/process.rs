//! local-dev as a program of its own.

use std::{
    collections::HashMap,
    ops::Deref,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::{
    World,
    leaks::{self, Written},
    room::Room,
    static_dir,
};

/// How long the program may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running local-dev.
pub struct Process {
    room: Room,
    child: Child,
}

impl Deref for Process {
    type Target = Room;

    fn deref(&self) -> &Room {
        &self.room
    }
}

impl Process {
    /// Starts the program on the database of `world`, on a free port.
    pub async fn start(world: &World, settings: &[(&str, &str)]) -> Self {
        Self::start_on(world, 0, settings).await
    }

    /// The same on a given port, one that a program before it had.
    pub async fn start_on(world: &World, port: u16, settings: &[(&str, &str)]) -> Self {
        Launch::of(world).start(port, settings, []).await
    }

    async fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(leaks::file("local-dev", Written::Log)).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = timeout(PATIENCE, lines.next_line()).await.expect("it starts in time");
        let first = first.unwrap().expect("it says where it listens");
        leaks::keep("local-dev", Written::Log, &first);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                leaks::keep("local-dev", Written::Log, &line);
            }
        });
        let base_url = first.strip_prefix("listening on ").expect("the first line is the address");
        Self { room: Room::new(base_url.to_owned()), child }
    }

    pub fn port(&self) -> u16 {
        url::Url::parse(&self.base_url()).unwrap().port().unwrap()
    }

    /// The operating system's number for it.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Ends it without a warning.
    pub async fn kill_9(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let id = self.id().to_string();
        let status = std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(status.success());
    }

    pub async fn ended(mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap()
    }

    pub async fn stop(self) {
        leaks::keep_inspector(&self.base_url()).await;
        self.terminate();
        assert_eq!(self.ended().await.code(), Some(0));
    }
}

/// Runs the program with settings that it should refuse: its status, standard output and standard error.
pub async fn run_to_end(world: &World, settings: &[(&str, &str)]) -> (ExitStatus, String, String) {
    let child = Launch::of(world).command(0, settings).stderr(Stdio::piped()).spawn().unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let text = |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        leaks::keep("local-dev", Written::Log, &text);
        text
    };
    (output.status, text(output.stdout), text(output.stderr))
}

/// Makes the page as `cargo xtask deploy` uploads it, with names that change with what files hold. Says where it is.
pub async fn page_for_a_cdn(world: &World) -> PathBuf {
    let page = world.directory().join("page");
    let mut make = Command::new(env!("CARGO"));
    make.args(["xtask", "site"]).arg(&page).current_dir(env!("CARGO_MANIFEST_DIR"));
    // What this test's cargo says of its package would have that cargo build some dependencies anew.
    for (name, _) in std::env::vars_os() {
        let is_of_package =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(is_of_package) {
            make.env_remove(name);
        }
    }
    let outcome = make.output().await.unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    page
}

/// What a local-dev is started with; can outlive the world that it comes from.
pub struct Launch {
    settings: HashMap<String, String>,
    directory: PathBuf,
    /// The folder of compiled functions, if they are what runs.
    pub functions: Option<PathBuf>,
    /// The folder of the page.
    page: PathBuf,
    /// How much it says of itself, which is searched for secrets in the end.
    log: &'static str,
}

impl Launch {
    /// On the database of `world`, with its settings.
    pub fn of(world: &World) -> Self {
        Self {
            settings: world.settings().clone(),
            directory: world.directory().to_owned(),
            functions: world.compiled_functions(),
            page: static_dir(),
            log: "trace",
        }
    }

    /// With another page.
    pub fn with_page(self, page: PathBuf) -> Self {
        Self { page, ..self }
    }

    /// Says less of itself: thousands of runs would fill the disk.
    pub fn quietly(self) -> Self {
        self.saying("warn")
    }

    /// Says of itself what `LOG` is to be.
    pub fn saying(self, log: &'static str) -> Self {
        Self { log, ..self }
    }

    /// Starts the program with more settings and options.
    pub async fn start(
        &self,
        port: u16,
        settings: &[(&str, &str)],
        options: impl IntoIterator<Item = &str>,
    ) -> Process {
        let mut command = self.command(port, settings);
        command.args(options).env("LOG", self.log);
        Process::spawn(command).await
    }

    fn command(&self, port: u16, settings: &[(&str, &str)]) -> Command {
        for (name, value) in settings {
            leaks::remember_setting(name, value);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_local-dev"));
        command
            .args(["--port", &port.to_string(), "--static-dir"])
            .arg(&self.page)
            .current_dir(&self.directory)
            .env_clear()
            .envs(&self.settings)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(dir) = &self.functions {
            command.arg("--functions").arg(dir);
        }
        command
    }
}
