//! local-dev as a program of its own.

use std::{
    ops::Deref,
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
        let mut child = command(world, port, settings)
            .env("LOG", "trace")
            .stderr(leaks::file("local-dev", Written::Log))
            .spawn()
            .unwrap();
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

    /// Ends it without a warning.
    pub async fn kill_9(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let id = self.child.id().expect("it runs").to_string();
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
    let child = command(world, 0, settings).stderr(Stdio::piped()).spawn().unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let text = |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        leaks::keep("local-dev", Written::Log, &text);
        text
    };
    (output.status, text(output.stdout), text(output.stderr))
}

fn command(world: &World, port: u16, settings: &[(&str, &str)]) -> Command {
    for (name, value) in settings {
        leaks::remember_setting(name, value);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-dev"));
    command
        .args(["--port", &port.to_string(), "--static-dir"])
        .arg(static_dir())
        .current_dir(world.directory())
        .env_clear()
        .envs(world.settings())
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    if let Some(dir) = world.compiled_functions() {
        command.arg("--functions").arg(dir);
    }
    command
}
