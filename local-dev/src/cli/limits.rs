//! The gateway's limits as options. The defaults are AWS's values.

use std::time::Duration;

use clap::Args;
use gateway::{Limits, Rate};

/// Limits of the gateway
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits (the defaults are AWS's, where AWS has one)")]
pub struct LimitOptions {
    /// Close a socket after so many seconds without a message
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds(600))]
    pub idle_timeout: Duration,

    /// Close a socket that is so many seconds old
    #[arg(long, value_name = "SECONDS", default_value = "7200", value_parser = seconds(7200))]
    pub max_duration: Duration,

    /// Let sockets age so many times faster: with 3600, their two hours last two seconds and the idle
    /// timeout a sixth of one
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = parse_factor)]
    pub time_factor: f64,

    /// Give a function of a WebSocket API so many seconds to answer
    #[arg(long, value_name = "SECONDS", default_value = "29", value_parser = seconds(29))]
    pub integration_timeout: Duration,

    /// Give a function of the HTTP API so many seconds to answer
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds(30))]
    pub http_integration_timeout: Duration,

    /// Largest WebSocket frame from a client
    #[arg(long, value_name = "BYTES", default_value = "32768", value_parser = bytes(1 << 20))]
    pub frame_bytes: usize,

    /// Largest WebSocket message in either direction
    #[arg(long, value_name = "BYTES", default_value = "131072", value_parser = bytes(16 << 20))]
    pub message_bytes: usize,

    /// Longest URL of a WebSocket upgrade
    #[arg(long, value_name = "CHARACTERS", default_value = "4096", value_parser = bytes(1 << 16))]
    pub upgrade_url_chars: usize,

    /// What may wait for a client that reads slowly; posts beyond that are answered 429
    #[arg(long, value_name = "BYTES", default_value = "1048576", value_parser = bytes(1 << 30))]
    pub outbound_bytes: usize,

    /// What functions may be handling of one client's messages; beyond that, its socket is not read
    #[arg(long, value_name = "BYTES", default_value = "4194304", value_parser = bytes(1 << 30))]
    pub inbound_bytes: usize,

    /// Largest request body of the HTTP API
    #[arg(long, value_name = "BYTES", default_value = "10485760", value_parser = bytes(1 << 30))]
    pub http_body_bytes: usize,

    /// Largest request line and headers of the HTTP API together
    #[arg(long, value_name = "BYTES", default_value = "10240", value_parser = bytes(1 << 20))]
    pub http_head_bytes: usize,

    /// Largest event or response of a function
    #[arg(long, value_name = "BYTES", default_value = "6291456", value_parser = bytes(1 << 30))]
    pub payload_bytes: usize,

    /// New WebSocket connections per second, and as many at once
    #[arg(long, value_name = "NUMBER", default_value = "500", value_parser = rate())]
    pub connection_rate: u32,

    /// Requests, messages and posts per second
    #[arg(long, value_name = "NUMBER", default_value = "10000", value_parser = rate())]
    pub request_rate: u32,

    /// Requests, messages and posts at once
    #[arg(long, value_name = "NUMBER", default_value = "5000", value_parser = rate())]
    pub request_burst: u32,

    /// Let a message that was taken from a queue and not deleted show again after so many seconds, whatever its queue says
    #[arg(long, value_name = "SECONDS", value_parser = seconds(43200))]
    pub queue_visibility_timeout: Option<Duration>,

    /// Lift the limits per second
    #[arg(long)]
    pub no_throttle: bool,
}

impl LimitOptions {
    /// The gateway's limits.
    pub fn limits(&self) -> Limits {
        let rate = |per_second: u32, burst| {
            (!self.no_throttle).then_some(Rate { per_second: per_second.into(), burst })
        };
        Limits {
            idle_timeout: self.idle_timeout.div_f64(self.time_factor),
            max_duration: self.max_duration.div_f64(self.time_factor),
            integration_timeout: self.integration_timeout,
            http_integration_timeout: self.http_integration_timeout,
            frame_bytes_max: self.frame_bytes,
            message_bytes_max: self.message_bytes,
            upgrade_url_chars_max: self.upgrade_url_chars,
            inbound_bytes_max: self.inbound_bytes,
            outbound_bytes_max: self.outbound_bytes,
            http_body_bytes_max: self.http_body_bytes,
            http_head_bytes_max: self.http_head_bytes,
            payload_bytes_max: self.payload_bytes,
            connection_rate: rate(self.connection_rate, self.connection_rate),
            request_rate: rate(self.request_rate, self.request_burst),
        }
    }
}

/// Reads a number of seconds, fractions allowed, from a millisecond to `max`.
pub(super) fn seconds(max: u32) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    move |text| {
        let seconds: f64 = text.parse().map_err(|_error| "not a number of seconds".to_owned())?;
        if (0.001..=f64::from(max)).contains(&seconds) {
            Ok(Duration::from_secs_f64(seconds))
        } else {
            Err(format!("must be from 0.001 to {max}, which is AWS's own limit"))
        }
    }
}

fn bytes(max: usize) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync {
    move |text| {
        let number = text.parse().ok().filter(|number| (1..=max).contains(number));
        number.ok_or_else(|| format!("must be a whole number from 1 to {max}"))
    }
}

fn rate() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1_000_000)
}

fn parse_factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor| (1.0..=1_000_000.0).contains(factor));
    factor.ok_or_else(|| "must be a number from 1 to 1000000".to_owned())
}
