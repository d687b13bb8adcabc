//! The first screen: where everything is, and what differs from the usual.

use std::{fmt::Write as _, io::Write as _, net::SocketAddr};

use anstyle::{AnsiColor, Style};

use crate::{
    cli::Cli,
    demo::{self, Demo},
    settings::reachable,
    setup::Setup,
};

const LABEL: Style = Style::new().dimmed();
const LINK: Style = AnsiColor::Cyan.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();

/// What there is to say, line by line.
pub struct Screen {
    address: String,
    rows: Vec<Row>,
}

struct Row {
    label: &'static str,
    text: String,
    style: Style,
    /// What only people are shown.
    aside: String,
}

impl Screen {
    /// What is served at `address`. `has_page` says whether the web UI is.
    pub fn new(cli: &Cli, setup: &Setup, address: SocketAddr, has_page: bool) -> Self {
        let address = reachable(address);
        let path = if has_page { "" } else { "/_local" };
        let mut screen = Self { address: format!("http://{address}{path}"), rows: Vec::new() };
        if has_page {
            screen.row("page", format!("http://{address}"), LINK);
        } else if setup.http_api.is_some() {
            screen.row("HTTP API", format!("http://{address}"), LINK);
        }
        for api in &setup.websocket_apis {
            screen.row("WebSocket", format!("ws://{address}/{}", api.stage), LINK);
        }
        screen.row("inspector", format!("http://{address}/_local"), LINK);
        if let Some(database) = &setup.database {
            screen.row("database", database.clone(), Style::new());
        }
        screen.row("functions", functions(cli, setup.posts_by_sdk), Style::new());
        if cli.limits.no_throttle {
            screen.row("throttling", "off (--no-throttle)".to_owned(), WARNING);
        }
        if !cli.emulation.fault.is_empty() {
            screen.row("faults", cli.emulation.fault.join(", "), WARNING);
        }
        if let Some(demo) = setup.demo {
            screen.demo(demo);
        }
        screen
    }

    fn row(&mut self, label: &'static str, text: String, style: Style) {
        self.rows.push(Row { label, text, style, aside: String::new() });
    }

    fn demo(&mut self, demo: Demo) {
        if demo == Demo::LeftAlone {
            let text = "left out: the database has users of its own".to_owned();
            self.row("demo", text, WARNING);
            return;
        }
        let text = format!("sign in as {}", demo::USERNAMES.join(", "));
        let aside = format!(" (password: {})", demo::PASSWORD);
        self.rows.push(Row { label: "demo", text, style: Style::new(), aside });
    }

    /// Where a browser is best sent: to the page, or to the inspector where there is none.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Shows it to people.
    pub fn show(&self) {
        let mut text = String::from("\n");
        for Row { label, text: what, style, aside } in &self.rows {
            writeln!(text, "  {LABEL}{label:<12}{LABEL:#}{style}{what}{style:#}{aside}")
                .expect("text can be written to a string");
        }
        // If standard error is gone, there is nobody to tell.
        writeln!(anstream::stderr(), "{text}\n  Ctrl-C stops it.\n").ok();
    }

    /// Writes it to the log, as one line.
    pub fn log(&self) {
        let facts = self.rows.iter().map(|Row { label, text, .. }| format!("{label} {text}"));
        tracing::info!("ready: {}", facts.collect::<Vec<_>>().join("; "));
    }
}

/// What runs the functions, and how those in this program post.
fn functions(cli: &Cli, posts_by_sdk: bool) -> String {
    match &cli.functions.functions {
        Some(folder) => format!("compiled, in {}", folder.display()),
        None if posts_by_sdk => "in this program, posting by the SDK".to_owned(),
        None => "in this program, posting directly".to_owned(),
    }
}
