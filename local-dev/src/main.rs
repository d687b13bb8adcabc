//! The program `local-dev`.

use std::{
    error::Error,
    io::{Write, stderr, stdout},
    process::ExitCode,
    time::Duration,
};

use axum::Router;
use clap::Parser;
use gateway::{Gateway, server::Bound};
use local_dev::{
    cli::{Cli, EmulationOptions},
    invocation,
    queues::Queues,
    setup,
    setup::Setup,
    static_files::StaticFiles,
    terminal::{self, Invocations, Screen},
};
use shared::settings::Lookup;
use tokio::{
    select,
    time::{Instant, timeout_at},
};
use tracing::Level;

/// The program ends within five seconds of being asked to.
const END_TIME_MAX: Duration = Duration::from_millis(4900);

/// The status of a program that Ctrl-C has ended: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.emulation.assumptions {
        // If standard output is gone, there is nobody to tell.
        write!(stdout(), "{}", EmulationOptions::table()).ok();
        return ExitCode::SUCCESS;
    }
    if let Some(shell) = cli.completions {
        stdout().write_all(&Cli::completions_for(shell)).ok();
        return ExitCode::SUCCESS;
    }
    let runtime = match invocation::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let result = runtime.block_on(run(&cli));
    // What has not ended by now is not waited for.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => fail(&*error),
    }
}

async fn run(cli: &Cli) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::listen()?;
    let limits = cli.limits.limits();
    let faults = cli.emulation.faults()?;
    let assumptions = cli.emulation.assume()?;
    let fallback = page(cli)?;
    let has_page = fallback.is_some();
    let (bound, setup) = select! {
        started = start(cli) => started?,
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    let screen = Screen::new(cli, &setup, bound.address(), has_page);
    let is_read_by_people = terminal::is_read_by_people(&Lookup::environment());
    // Who asks for less of a log than `info` doesn't want them.
    let shows_invocations = is_read_by_people && tracing::enabled!(target: "gateway", Level::INFO);
    let watcher = shows_invocations.then(|| Invocations::start().watcher());
    let Setup { http_api, websocket_apis, queues, credentials, direct, tls, runner, .. } = setup;
    let credentials = (!cli.emulation.no_signatures).then_some(credentials);
    let gateway = Gateway {
        http_api,
        websocket_apis,
        fallback,
        limits,
        assumptions,
        faults,
        queues: queues.as_ref().map(Queues::served),
        credentials,
        direct,
        watcher,
        tls,
    };
    let server = bound.serve(gateway);
    let polling = queues.map(|queues| queues.start(&server.invoker()));
    writeln!(stdout(), "listening on http://{}", server.local_addr())?;
    stdout().flush()?;
    if is_read_by_people {
        screen.show();
    } else {
        screen.log();
    }
    if cli.open {
        open(screen.address());
    }

    signals.next().await;
    tracing::info!("closing sockets; press Ctrl-C again to exit at once");
    let end_at = Instant::now() + END_TIME_MAX;
    let end = async {
        if let Some(polling) = &polling {
            polling.stop();
        }
        server.shutdown().await;
        if let Some(polling) = &polling {
            timeout_at(end_at, polling.ended()).await.ok();
            polling.warn_of_loss();
        }
        // A function that has not ended by now may still hold a connection: that is not waited for.
        timeout_at(end_at, runner.shutdown()).await.ok();
    };
    select! {
        () = end => Ok(ExitCode::SUCCESS),
        () = signals.next() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// The web UI. Somebody else's template need not have one.
fn page(cli: &Cli) -> Result<Option<Router>, Box<dyn Error>> {
    let is_default = cli.static_dir.as_os_str() == "static";
    match StaticFiles::open(&cli.static_dir) {
        Ok(files) => Ok(Some(files.router())),
        Err(_) if cli.template.template.is_some() && is_default => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes the port and sets up what is served. A name server or a database may keep it waiting.
async fn start(cli: &Cli) -> Result<(Bound, Setup), Box<dyn Error>> {
    let bound = Bound::to(&cli.host, cli.port).await?;
    let setup = setup::set_up(cli, bound.address()).await?;
    Ok((bound, setup))
}

/// Opens a browser, if there is one.
fn open(url: &str) {
    if let Err(error) = open::that_detached(url) {
        tracing::warn!("no browser can be opened ({error}); open {url} in one yourself");
    }
}

fn fail(error: &(impl Error + ?Sized)) -> ExitCode {
    // If standard error is gone, there is nobody to tell.
    writeln!(stderr(), "local-dev: {error}").ok();
    ExitCode::FAILURE
}

/// The signals that ask a program to end: Ctrl-C and, where it exists, SIGTERM.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Signals are caught from now on.
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        // If Ctrl-C cannot be caught, it ends the program anyway.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
