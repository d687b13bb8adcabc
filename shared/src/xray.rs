//! X-Ray: an event's place in a trace, and the parts of its handling as subsegments.
//!
//! Lambda draws the segment of an invocation itself, and gives the function the trace's header and the address of a
//! daemon that takes documents as datagrams. Only what is sampled is sent, so that nothing of this runs unless tracing
//! is on.
//!
//! Source: AWS X-Ray developer guide, "X-Ray segment documents", "Tracing header", "Running the X-Ray daemon".

use std::{
    io,
    net::{AddrParseError, SocketAddr, UdpSocket},
    sync::OnceLock,
    time::Duration,
};

use serde::Serialize;
use uuid::Uuid;

use crate::clock::UnixMillis;

/// The parts of one event that are told at most; the rest is left out.
const SUBSEGMENTS_MAX: usize = 100;

/// An event's place in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace: `1-5759e988-bd862e3fe1be46a994272793`.
    pub root: String,
    /// The segment that the event is handled in, if the trace is recorded.
    pub sampled_parent: Option<String>,
}

impl Trace {
    /// Reads the header `Root=…;Parent=…;Sampled=1`. `None` if it names no trace.
    pub fn parse(header: &str) -> Option<Self> {
        let field = |name: &str| {
            let fields = header.split(';').filter_map(|field| field.trim().split_once('='));
            fields.into_iter().find(|(own, _)| *own == name).map(|(_, value)| value)
        };
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_root = |root: &&str| {
            let parts: Vec<&str> = root.split('-').collect();
            matches!(parts[..], ["1", time, id]
                if time.len() == 8 && id.len() == 24 && is_hex(time) && is_hex(id))
        };
        let root = field("Root").filter(is_root)?.to_owned();
        let parent = field("Parent").filter(|parent| parent.len() == 16 && is_hex(parent));
        let sampled_parent = parent.filter(|_| field("Sampled") == Some("1")).map(str::to_owned);
        Some(Self { root, sampled_parent })
    }
}

/// A part of the handling of an event.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// When it was done.
    pub ended_at: UnixMillis,
    /// How long it took.
    pub duration: Duration,
}

/// What takes the documents.
#[derive(Debug)]
pub struct Daemon {
    address: SocketAddr,
    /// Opened when it is needed; `None` if none was to be had.
    socket: OnceLock<Option<UdpSocket>>,
}

impl Daemon {
    /// The daemon at `address`, as `AWS_XRAY_DAEMON_ADDRESS` gives it: `host:port`, an IP address.
    ///
    /// # Errors
    /// When it is no such address.
    pub fn at(address: &str) -> Result<Self, AddrParseError> {
        Ok(Self { address: address.trim().parse()?, socket: OnceLock::new() })
    }

    /// Tells the parts of an event. What gets lost on the way is lost: nothing depends on it.
    pub fn tell(&self, trace: &Trace, parts: &[Part]) {
        let Some(parent_id) = &trace.sampled_parent else { return };
        let Some(socket) = self.socket.get_or_init(|| connect(self.address).ok()) else { return };
        for part in parts.iter().take(SUBSEGMENTS_MAX) {
            socket.send(&datagram(&trace.root, parent_id, part)).ok();
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    // Whoever sends must never wait for it.
    socket.set_nonblocking(true)?;
    socket.connect(address)?;
    Ok(socket)
}

fn datagram(trace_id: &str, parent_id: &str, part: &Part) -> Vec<u8> {
    #[derive(Serialize)]
    struct Subsegment<'a> {
        name: &'a str,
        id: String,
        trace_id: &'a str,
        parent_id: &'a str,
        r#type: &'static str,
        /// Seconds since the Unix epoch.
        start_time: f64,
        end_time: f64,
    }

    let ended_at = Duration::from_millis(part.ended_at.0.try_into().unwrap_or_default());
    let subsegment = Subsegment {
        name: part.name,
        id: format!("{:016x}", Uuid::new_v4().as_u64_pair().0),
        trace_id,
        parent_id,
        r#type: "subsegment",
        start_time: ended_at.saturating_sub(part.duration).as_secs_f64(),
        end_time: ended_at.as_secs_f64(),
    };
    let mut datagram = b"{\"format\":\"json\",\"version\":1}\n".to_vec();
    serde_json::to_writer(&mut datagram, &subsegment).expect("a subsegment is plain data");
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_a_trace_and_whether_it_is_recorded() {
        const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";
        let sampled = format!("Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1");
        let expected =
            Trace { root: ROOT.to_owned(), sampled_parent: Some("53995c3f42cd8ad8".to_owned()) };
        assert_eq!(Trace::parse(&sampled), Some(expected));
        let with_lineage = format!("{sampled};Lineage=a87bd80c:0");
        assert_eq!(Trace::parse(&with_lineage), Trace::parse(&sampled));
        for unsampled in [
            format!("Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=0"),
            format!("Root={ROOT};Sampled=1"),
            format!("Root={ROOT};Parent=x;Sampled=1"),
            format!("Root={ROOT}"),
        ] {
            let trace = Trace::parse(&unsampled).unwrap();
            assert_eq!((trace.root.as_str(), trace.sampled_parent), (ROOT, None), "{unsampled}");
        }
        for none in ["", "Parent=53995c3f42cd8ad8;Sampled=1", "Root=1-2-3", "Root=\"}\n{"] {
            assert_eq!(Trace::parse(none), None, "{none}");
        }
    }

    #[test]
    fn an_address_is_an_ip_address_with_a_port() {
        assert!(Daemon::at("169.254.79.129:2000").is_ok());
        for bad in ["", "169.254.79.129", "localhost:2000", "tcp:127.0.0.1:2000"] {
            assert!(Daemon::at(bad).is_err(), "{bad}");
        }
    }
}
