//! `cargo xtask contract`: what clients are promised, held against a chat that runs somewhere.

use clap::{Args, ValueEnum};

use crate::{cargo, run};

/// Where it runs.
///
/// Each story registers users with random names of its own, which stay, as do their messages: a chat forgets neither. Stories run one at
/// a time, keep to 30 messages in ten seconds per user, and bear with others who talk.
/// Certificates are those that this machine trusts, or those of the file that `SSL_CERT_FILE` names.
#[derive(Args)]
pub(crate) struct Contract {
    /// The chat's address, as users open it: <https://chat.example.com>
    #[arg(long, value_parser = has_scheme(&["https://", "http://"]))]
    url: String,

    /// Where sockets are opened [default: /ws at the same address]
    #[arg(long, value_parser = has_scheme(&["wss://", "ws://"]))]
    ws_url: Option<String>,

    /// Which routes it should have
    #[arg(long, value_enum, default_value_t = Routes::All)]
    routes: Routes,

    /// The page is elsewhere: this is the address of the HTTP API alone
    #[arg(long)]
    without_page: bool,

    /// Only stories with this in their names
    filter: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Routes {
    /// All that infra/openapi.yaml and infra/asyncapi.yaml describe
    All,
    /// What the chat's ancestor answered as well
    Seed,
}

/// What is held against a chat.
const SUITE: [&str; 4] = ["--package", "local-dev", "--test", "chat"];

impl Contract {
    pub(crate) fn run(&self) -> Result<(), String> {
        let routes = match self.routes {
            Routes::All => "all",
            Routes::Seed => "seed",
        };
        // By itself, so that one sees how far it has come: the first time takes minutes.
        run(cargo(&["test", "--no-run"]).args(SUITE))?;
        let mut command = cargo(&["test", "--quiet"]);
        command.args(SUITE);
        command
            .arg("--")
            .args(&self.filter)
            .env("CHAT_URL", &self.url)
            .env("CHAT_ROUTES", routes)
            .env("CHAT_PAGE", if self.without_page { "off" } else { "on" });
        match &self.ws_url {
            Some(url) => command.env("CHAT_WS_URL", url),
            None => command.env_remove("CHAT_WS_URL"),
        };
        run(&mut command)
    }
}

/// Looks only at the beginning; the suite says what is wrong with the rest.
fn has_scheme(
    schemes: &'static [&'static str],
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync {
    move |url| {
        if schemes.iter().any(|scheme| url.starts_with(scheme)) {
            Ok(url.to_owned())
        } else {
            Err(format!("a URL begins with {}", schemes.join(" or ")))
        }
    }
}
