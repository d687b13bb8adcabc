//! Probes a target and says how it differs from AWS.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use aws_credential_types::Credentials;
use clap::Parser;
use conformance::{Probe, Target, all, report};
use serde_json::Value;
use url::Url;

/// Probes an emulation of API Gateway and Lambda, or AWS itself.
///
/// Deploy template.yaml, and named-stage.yaml if you like, then say where its APIs are. What has no address is skipped.
/// Management calls are signed with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. The exit code is 0
/// only if nothing differs.
#[derive(Parser)]
#[command(version)]
#[expect(clippy::doc_markdown, reason = "these texts are for a terminal")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
struct Options {
    /// HttpApi of template.yaml
    #[arg(long, value_name = "URL")]
    http: Option<Url>,
    /// HttpApi of named-stage.yaml, with its stage
    #[arg(long, value_name = "URL")]
    http_named: Option<Url>,
    /// SocketApi of template.yaml, for example wss://HOST/conformance
    #[arg(long, value_name = "URL")]
    websocket: Option<Url>,
    /// BareApi of template.yaml
    #[arg(long, value_name = "URL")]
    websocket_bare: Option<Url>,
    /// AuthorizedApi of template.yaml
    #[arg(long, value_name = "URL")]
    websocket_authorized: Option<Url>,
    /// NoConnectionsApi of template.yaml
    #[arg(long, value_name = "URL")]
    websocket_throttled: Option<Url>,
    /// NoMessagesApi of template.yaml
    #[arg(long, value_name = "URL")]
    messages_throttled: Option<Url>,
    /// A URL on which every GET is throttled: /throttled of HttpApi
    #[arg(long, value_name = "URL")]
    http_throttled: Option<Url>,
    /// Where @connections of SocketApi is, if not where its sockets are
    #[arg(long, value_name = "URL")]
    management: Option<Url>,
    /// The region that management calls are signed for [default: AWS_REGION or us-east-1]
    #[arg(long)]
    region: Option<String>,
    /// Wait for an idle socket to be closed: AWS does that after 600 s
    #[arg(long, value_name = "SECONDS")]
    idle_timeout: Option<f64>,
    /// Wait for a busy socket to be closed: AWS does that after 7200 s
    #[arg(long, value_name = "SECONDS")]
    max_duration: Option<f64>,
    /// The target runs functions in its own process: skip what only a process can show
    #[arg(long)]
    in_process: bool,
    /// How long to wait for what must come
    #[arg(long, value_name = "SECONDS", default_value = "20")]
    patience: f64,
    /// Only probes whose names begin with this
    #[arg(long, value_name = "PREFIX")]
    only: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print a table for a document, by area
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print what would be probed, and where each fact is known from
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    let probes: Vec<&Probe> = all()
        .filter(|probe| {
            let only = &options.only;
            only.is_empty() || only.iter().any(|prefix| probe.name.starts_with(&**prefix))
        })
        .collect();
    if options.list {
        return list(&probes, options.json).map(|()| ExitCode::SUCCESS);
    }
    let (json, markdown) = (options.json, options.markdown);
    let target = target(options)?;
    if let Some(problem) = target.unreachable().await {
        writeln!(io::stderr().lock(), "conformance: {problem}")?;
        return Ok(ExitCode::FAILURE);
    }
    let outcomes = conformance::run(&target, probes).await;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{:#}", report::to_json(&outcomes))?;
    } else if markdown {
        report::write_markdown(&mut out, &outcomes)?;
    } else {
        report::write_table(&mut out, &outcomes)?;
    }
    let differs = outcomes.iter().any(|(_, outcome)| outcome.is_difference());
    Ok(if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn list(probes: &[&Probe], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let probes: Value = probes.iter().map(|probe| report::describe(probe)).collect();
        writeln!(out, "{probes:#}")
    } else {
        report::write_list(&mut out, probes)
    }
}

fn target(options: Options) -> io::Result<Target> {
    let seconds = |seconds: f64| {
        Duration::try_from_secs_f64(seconds)
            .map_err(|error| io::Error::other(format!("{seconds} seconds: {error}")))
    };
    Ok(Target {
        idle_timeout: options.idle_timeout.map(seconds).transpose()?,
        max_duration: options.max_duration.map(seconds).transpose()?,
        patience: seconds(options.patience)?,
        has_processes: !options.in_process,
        credentials: credentials(),
        region: options
            .region
            .or_else(|| variable("AWS_REGION"))
            .unwrap_or_else(|| "us-east-1".to_owned()),
        http: options.http,
        http_named: options.http_named,
        websocket: options.websocket,
        websocket_bare: options.websocket_bare,
        websocket_authorized: options.websocket_authorized,
        websocket_throttled: options.websocket_throttled,
        messages_throttled: options.messages_throttled,
        http_throttled: options.http_throttled,
        management: options.management,
        ..Target::default()
    })
}

fn credentials() -> Option<Credentials> {
    let [id, secret] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(variable);
    let token = variable("AWS_SESSION_TOKEN");
    Some(Credentials::new(id?, secret?, token, None, "environment"))
}

fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is where settings are read")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
