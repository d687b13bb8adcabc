//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use gateway::Limits;

/// Runs the chat on this machine: an emulation of API Gateway around the functions that run on AWS Lambda.
///
/// The first line on standard output is the address. The log goes to standard error. Ctrl-C ends in order.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// Host name or address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,

    /// Port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 3000)]
    pub port: u16,

    /// The database's URL. It goes before the setting `DATABASE_URL`.
    #[arg(
        long,
        value_name = "URL",
        help = "Database, as sqlite://FILE or postgres://USER:PASSWORD@HOST/NAME \
                [default: DATABASE_URL, or else sqlite://chat.db]"
    )]
    pub database_url: Option<String>,

    /// Folder of the web UI
    #[arg(long, value_name = "DIR", default_value = "static")]
    pub static_dir: PathBuf,

    /// Close a socket after so many seconds without a message
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = Limits::IDLE_TIMEOUT_SECS.into(),
        value_parser = |text: &str| parse_seconds(text, Limits::IDLE_TIMEOUT_SECS),
    )]
    pub idle_timeout: f64,

    /// Close a socket that is so many seconds old
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = Limits::MAX_DURATION_SECS.into(),
        value_parser = |text: &str| parse_seconds(text, Limits::MAX_DURATION_SECS),
    )]
    pub max_duration: f64,

    /// Give a function so many seconds to answer
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = Limits::INTEGRATION_TIMEOUT_SECS.into(),
        value_parser = |text: &str| parse_seconds(text, Limits::INTEGRATION_TIMEOUT_SECS),
    )]
    pub integration_timeout: f64,
}

impl Cli {
    /// The gateway's limits.
    pub fn limits(&self) -> Limits {
        Limits {
            idle_timeout: Duration::from_secs_f64(self.idle_timeout),
            max_duration: Duration::from_secs_f64(self.max_duration),
            integration_timeout: Duration::from_secs_f64(self.integration_timeout),
        }
    }
}

/// A number of seconds, fractions allowed, from a millisecond to `max`, which is what API Gateway allows.
fn parse_seconds(text: &str, max: u32) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_error| "not a number of seconds".to_owned())?;
    if (0.001..=f64::from(max)).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("must be from 0.001 to {max}, which is API Gateway's own limit"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["local-dev"].into_iter().chain(arguments.split_whitespace()))
    }

    #[test]
    fn the_defaults_are_api_gateways_limits() {
        Cli::command().debug_assert();
        let cli = parse("").unwrap();
        assert_eq!((cli.host.as_str(), cli.port), ("127.0.0.1", 3000));
        assert_eq!(cli.database_url, None);
        assert_eq!(cli.static_dir, PathBuf::from("static"));
        assert_eq!(format!("{:?}", cli.limits()), format!("{:?}", Limits::default()));
    }

    #[test]
    fn limits_are_seconds_with_fractions() {
        let limits = parse("--idle-timeout 1.5 --max-duration 60 --integration-timeout 0.05");
        let limits = limits.unwrap().limits();
        assert_eq!(limits.idle_timeout, Duration::from_millis(1500));
        assert_eq!(limits.max_duration, Duration::from_mins(1));
        assert_eq!(limits.integration_timeout, Duration::from_millis(50));
    }

    #[test]
    fn limits_out_of_range_are_refused_with_the_range() {
        for arguments in [
            "--idle-timeout=0",
            "--idle-timeout=-1",
            "--idle-timeout=601",
            "--idle-timeout=NaN",
            "--max-duration=inf",
            "--max-duration=7200.5",
            "--integration-timeout=30",
        ] {
            let error = parse(arguments).unwrap_err().to_string();
            assert!(error.contains("must be from 0.001 to "), "{arguments}: {error}");
        }
        let error = parse("--idle-timeout ten").unwrap_err().to_string();
        assert!(error.contains("not a number of seconds"), "{error}");
    }
}
