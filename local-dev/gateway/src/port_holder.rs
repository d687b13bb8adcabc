//! Who has a port that this program was to have, as far as Linux lets it know: of the processes of other users it doesn't.
//!
//! Source: proc(5), "/proc/net/tcp", "/proc/pid/fd", "/proc/pid/comm".

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// How `/proc/net/tcp` says that a socket listens.
const LISTEN: &str = "0A";

/// A process that listens on a port.
#[derive(Debug)]
pub struct PortHolder {
    name: String,
    id: u32,
}

impl fmt::Display for PortHolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A process calls itself what it likes.
        write!(formatter, "`{}` (pid {})", self.name.escape_debug(), self.id)
    }
}

impl PortHolder {
    /// The process that keeps others from listening on one of these addresses.
    pub(crate) fn of(addresses: &[SocketAddr]) -> Option<Self> {
        let links: Vec<_> = addresses.iter().flat_map(|address| links(*address)).collect();
        // Where there is no such folder, nobody is found.
        let mut processes = fs::read_dir("/proc").ok()?.filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))
        });
        let (id, path) = processes.find(|(_id, path)| has_one_of(path, &links))?;
        let name = fs::read(path.join("comm")).ok()?;
        Some(Self { name: String::from_utf8_lossy(&name).trim_end().to_owned(), id })
    }
}

fn has_one_of(process: &Path, links: &[String]) -> bool {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| links.iter().any(|link| target.as_os_str() == link.as_str()))
}

/// The sockets that listen where `address` is, or everywhere, as they look among the files that a process has open.
fn links(address: SocketAddr) -> Vec<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let lines = tables.iter().flatten().flat_map(|table| table.lines());
    let inodes = lines.filter_map(|line| socket_at(address, line));
    inodes.map(|inode| format!("socket:[{inode}]")).collect()
}

/// The number of the socket that a line tells of, if it listens where `address` is.
fn socket_at(address: SocketAddr, line: &str) -> Option<&str> {
    let mut columns = line.split_whitespace().skip(1);
    let (ip, port) = columns.next()?.split_once(':')?;
    let is_listening = columns.nth(1)? == LISTEN;
    let inode = columns.nth(5)?;
    let ip = parse_ip(ip)?.to_canonical();
    let is_there = ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified();
    let is_port = u16::from_str_radix(port, 16) == Ok(address.port());
    (is_listening && is_port && is_there).then_some(inode)
}

/// `0100007F`: words in the machine's own order, of bytes that are in the network's.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word =
        |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_tells_of_a_socket_that_listens() {
        const MAPPED: &str = "0000000000000000FFFF00000100007F";
        const LOOPBACK: &str = "00000000000000000000000001000000";
        const ALL: &str = "00000000000000000000000000000000";

        let line = |ip: &str, state: &str| {
            format!(
                "   0: {ip}:0BB8 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0"
            )
        };
        for (address, ip, state, is_it) in [
            ("127.0.0.1:3000", "0100007F", "0A", true),
            ("127.0.0.1:3000", "00000000", "0A", true),
            ("127.0.0.1:3000", ALL, "0A", true),
            ("127.0.0.1:3000", MAPPED, "0A", true),
            ("0.0.0.0:3000", "0100007F", "0A", true),
            ("[::1]:3000", LOOPBACK, "0A", true),
            // A connection.
            ("127.0.0.1:3000", "0100007F", "01", false),
            ("127.0.0.1:3001", "0100007F", "0A", false),
            ("127.0.0.2:3000", "0100007F", "0A", false),
            ("127.0.0.1:3000", LOOPBACK, "0A", false),
            ("127.0.0.1:3000", "local_address", "st", false),
        ] {
            let line = line(ip, state);
            let found = socket_at(address.parse().unwrap(), &line);
            assert_eq!(found, is_it.then_some("4711"), "{address} {ip} {state}");
        }
    }
}
