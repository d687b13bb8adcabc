//! The command line.

mod limits;

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, CommandFactory, Parser, ValueEnum};
use clap_complete::Shell;
use gateway::{
    Assumptions, Faults,
    assumptions::{ASSUMPTIONS, AssumptionError},
    faults::FaultError,
};
use secrecy::SecretString;

pub use self::limits::LimitOptions;

const EXAMPLES: &str = "\
Examples:
  local-dev                                    the chat, on SQLite
  local-dev --functions target/lambda --database-url postgres://chat@localhost/chat
                                               the chat, its functions as Lambda runs them
  local-dev --template template.yaml --functions target/lambda
                                               another project

Settings of the chat are environment variables, see README.md. DATABASE_URL there keeps a password out of `ps`.";

/// API Gateway and Lambda on this machine: runs the chat, or any SAM project with compiled functions.
///
/// The first line on standard output is the address. The log goes to standard error. Ctrl-C ends in order. The inspector is
/// at /_local.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
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
        conflicts_with = "template",
        help = "Database, as sqlite://FILE or postgres://USER:PASSWORD@HOST/NAME \
                [default: DATABASE_URL, or else sqlite://chat.db]"
    )]
    pub database_url: Option<SecretString>,

    /// Folder of the web UI
    #[arg(long, value_name = "DIR", default_value = "static")]
    pub static_dir: PathBuf,

    /// How the chat's functions in this program post to sockets. sdk: signed as on Lambda, in memory
    #[arg(long, value_enum, value_name = "WAY", default_value = "direct",
        conflicts_with_all = ["template", "functions"])]
    pub push: PushWay,

    /// Put a few users who have talked for some days into an empty database. Their names and their password are shown
    #[arg(long, conflicts_with = "template")]
    pub demo: bool,

    /// Open the page in the browser, or the inspector where there is no page
    #[arg(long)]
    pub open: bool,

    /// Print what makes a shell complete these options
    #[arg(long, value_name = "SHELL", exclusive = true)]
    pub completions: Option<Shell>,

    /// What is served.
    #[command(flatten)]
    pub template: TemplateOptions,

    /// How functions are run.
    #[command(flatten)]
    pub functions: FunctionOptions,

    /// What the gateway allows.
    #[command(flatten)]
    pub limits: LimitOptions,

    /// What else differs from the real thing.
    #[command(flatten)]
    pub emulation: EmulationOptions,
}

impl Cli {
    /// What `shell` runs to complete the options.
    pub fn completions_for(shell: Shell) -> Vec<u8> {
        let (mut command, mut script) = (Self::command(), Vec::new());
        clap_complete::generate(shell, &mut command, "local-dev", &mut script);
        script
    }
}

/// How functions in this program post to sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PushWay {
    /// Without HTTP.
    Direct,
    /// By the AWS SDK.
    Sdk,
}

/// APIs, routes and functions
#[derive(Debug, Args)]
#[command(next_help_heading = "APIs, routes and functions")]
pub struct TemplateOptions {
    /// SAM template of another project, to be served in place of the chat
    #[arg(long, value_name = "FILE", requires = "functions")]
    pub template: Option<PathBuf>,

    /// Value of a template's parameter; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "template", value_parser = parse_pair)]
    pub parameter: Vec<(String, SecretString)>,

    /// JSON file with functions' environment variables: {"Function": {"NAME": "value"}}, "Parameters" are for all
    #[arg(long, value_name = "FILE", requires = "functions")]
    pub env_vars: Option<PathBuf>,
}

/// Compiled functions
#[derive(Debug, Args)]
#[command(next_help_heading = "Compiled functions")]
pub struct FunctionOptions {
    /// Run the bootstraps in this folder, DIR/NAME/bootstrap, as cargo lambda build leaves them in target/lambda. NAME is
    /// the function's BuildProperties.Binary, or its logical id
    #[arg(long, value_name = "DIR")]
    pub functions: Option<PathBuf>,

    /// Instances that may run at once, of all functions together
    // AWS allows an account 1,000, new accounts often 10.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, requires = "functions",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub concurrency: u32,

    /// Give an instance so many seconds to start
    #[arg(long, value_name = "SECONDS", default_value = "10", requires = "functions",
        value_parser = limits::seconds(10))]
    pub init_timeout: Duration,

    /// End an instance that had nothing to do for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "300", requires = "functions",
        value_parser = limits::seconds(3600))]
    pub instance_idle_time: Duration,

    /// Let instances run on between events, which Lambda does not
    #[arg(long, requires = "functions")]
    pub no_freeze: bool,
}

/// Faults and assumptions
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults and assumptions")]
pub struct EmulationOptions {
    /// Have something go wrong, for example post-410=0.1 for one post in ten; may be repeated. Shares from 0 to 1:
    /// drop-disconnect, post-410, post-429, post-500, cut, crash-before, crash-after. Milliseconds: post-delay,
    /// function-delay. Those of functions can name one: crash-after@Message=1
    #[arg(long, value_name = "FAULT=VALUE", action = ArgAction::Append)]
    pub fault: Vec<String>,

    /// Decide otherwise what is not known of API Gateway, see --assumptions; may be repeated
    #[arg(long, value_name = "NAME=VALUE", action = ArgAction::Append)]
    pub assume: Vec<String>,

    /// Let anybody call @connections: do not check signatures
    #[arg(long)]
    pub no_signatures: bool,

    /// Let the messages of one connection wait for each other, which API Gateway does not: for debugging
    #[arg(long)]
    pub serialize: bool,

    /// Print what can be assumed otherwise, with the defaults
    #[arg(long, exclusive = true)]
    pub assumptions: bool,
}

impl EmulationOptions {
    /// What goes wrong on demand.
    ///
    /// # Errors
    /// When a fault cannot be understood.
    pub fn faults(&self) -> Result<Faults, FaultError> {
        let mut faults = Faults::default();
        self.fault.iter().try_for_each(|pair| faults.set_pair(pair))?;
        Ok(faults)
    }

    /// What the gateway takes for granted.
    ///
    /// # Errors
    /// When an assumption cannot be understood.
    pub fn assume(&self) -> Result<Assumptions, AssumptionError> {
        let mut assumptions = Assumptions::default();
        self.assume.iter().try_for_each(|pair| assumptions.set_pair(pair))?;
        Ok(assumptions)
    }

    /// The table of what can be assumed otherwise.
    pub fn table() -> String {
        ASSUMPTIONS.iter().flat_map(|row| [row.to_string(), "\n".to_owned()]).collect()
    }
}

fn parse_pair(text: &str) -> Result<(String, SecretString), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.into()))
}

#[cfg(test)]
mod tests {
    use gateway::{Limits, Rate};

    use super::*;

    fn parse(arguments: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["local-dev"].into_iter().chain(arguments.split_whitespace()))
    }

    #[test]
    fn the_defaults_are_awss() {
        Cli::command().debug_assert();
        let cli = parse("").unwrap();
        assert_eq!((cli.host.as_str(), cli.port), ("127.0.0.1", 3000));
        assert!(cli.database_url.is_none());
        assert_eq!(cli.static_dir, PathBuf::from("static"));
        assert_eq!(cli.limits.limits(), Limits::default());
        assert_eq!(cli.limits.queue_visibility_timeout, None);
        assert_eq!(cli.emulation.faults(), Ok(Faults::default()));
        assert_eq!(cli.emulation.assume(), Ok(Assumptions::default()));
    }

    #[test]
    fn limits_are_seconds_with_fractions_bytes_and_rates() {
        let cli = parse(
            "--idle-timeout 1.5 --max-duration 60 --integration-timeout 0.05 --frame-bytes 7 \
             --connection-rate 3 --request-rate 20 --request-burst 10",
        );
        let limits = cli.unwrap().limits.limits();
        assert_eq!(limits.idle_timeout, Duration::from_millis(1500));
        assert_eq!(limits.max_duration, Duration::from_mins(1));
        assert_eq!(limits.integration_timeout, Duration::from_millis(50));
        assert_eq!(limits.frame_bytes_max, 7);
        assert_eq!(limits.connection_rate, Some(Rate { per_second: 3.0, burst: 3 }));
        assert_eq!(limits.request_rate, Some(Rate { per_second: 20.0, burst: 10 }));
    }

    #[test]
    fn rates_can_be_lifted_and_time_can_fly() {
        let limits = parse("--no-throttle --time-factor 3600").unwrap().limits.limits();
        assert_eq!((limits.connection_rate, limits.request_rate), (None, None));
        assert_eq!(limits.max_duration, Duration::from_secs(2));
        assert_eq!(limits.integration_timeout, Limits::INTEGRATION_TIMEOUT);
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_the_range() {
        for (arguments, problem) in [
            ("--idle-timeout=0", "must be from 0.001 to 600"),
            ("--idle-timeout=-1", "must be from 0.001 to 600"),
            ("--idle-timeout=NaN", "must be from 0.001 to 600"),
            ("--max-duration=inf", "must be from 0.001 to 7200"),
            ("--integration-timeout=30", "must be from 0.001 to 29"),
            ("--idle-timeout ten", "not a number of seconds"),
            ("--frame-bytes=0", "must be a whole number from 1 to 1048576"),
            ("--queue-visibility-timeout=43201", "must be from 0.001 to 43200"),
            ("--connection-rate=0", "0 is not in 1..=1000000"),
            ("--time-factor=0.5", "must be a number from 1 to 1000000"),
            ("--template=t --functions=d --parameter=Name", "must be NAME=VALUE"),
            ("--template=t", "--functions <DIR>"),
            ("--env-vars=e", "--functions <DIR>"),
            ("--no-freeze", "--functions <DIR>"),
        ] {
            let error = parse(arguments).unwrap_err().to_string();
            assert!(error.contains(problem), "{arguments}: {error}");
        }
    }

    #[test]
    fn faults_and_assumptions_can_be_repeated() {
        let cli = parse("--fault cut=0.5 --fault post-410=1 --assume ping-resets-idle=true");
        let emulation = cli.unwrap().emulation;
        let mut faults = Faults::default();
        faults.set_pair("post-410=1").unwrap();
        faults.set_pair("cut=0.5").unwrap();
        assert_eq!(emulation.faults(), Ok(faults));
        assert!(emulation.assume().unwrap().ping_resets_idle);
        assert!(EmulationOptions::table().contains("ping-resets-idle=false\n"));
    }
}
