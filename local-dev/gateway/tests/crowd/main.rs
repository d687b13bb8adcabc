//! Thousands of open sockets in one process: what each costs, and that all of them are closed in time.
//!
//! The test needs two file descriptors for each socket. Where the machine does not grant them, it is ignored in plain
//! sight; with `CI` set, it fails instead.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the figure is worth seeing")]

use std::{env, fs, process::ExitCode, time::Instant};

use gateway::{Gateway, Limits, WebSocketApi, server::Bound};
use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How many sockets, unless `CROWD` says another number.
const SOCKETS: u64 = 2000;

/// What a socket may cost at most, both of its ends together. It is about 10 KiB, of which 4 are the buffer that is read into.
const SOCKET_BYTES_MAX: u64 = 16 * 1024;

const HINT: &str = "needs 4,200 file descriptors: ulimit -H -n 4200";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let sockets =
        env::var_os("CROWD").map_or(SOCKETS, |crowd| crowd.to_str().unwrap().parse().unwrap());
    let trial = if raise_descriptors(2 * sockets + 200) {
        Trial::test("a_crowd_is_cheap_and_goes_away_together", move || crowd(sockets))
    } else {
        let fail = || Err(Failed::from(format!("this test {HINT}")));
        let must_run = env::var_os("CI").is_some();
        Trial::test("a_crowd_is_cheap_and_goes_away_together", fail)
            .with_kind(HINT)
            .with_ignored_flag(!must_run)
    };
    libtest_mimic::run(&arguments, vec![trial]).exit_code()
}

/// Raises the limit on file descriptors, if it may be raised so far.
fn raise_descriptors(needed: u64) -> bool {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return false;
    }
    limit.current = limit.current.map(|current| current.max(needed));
    setrlimit(Resource::Nofile, limit).is_ok()
}

fn crowd(sockets: u64) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let gateway = Gateway {
            websocket_apis: vec![WebSocketApi {
                stage: "ws".to_owned(),
                ..WebSocketApi::default()
            }],
            limits: Limits { connection_rate: None, ..Limits::default() },
            ..Gateway::default()
        };
        let server = Bound::to("127.0.0.1", 0).await.unwrap().serve(gateway);
        let address = server.local_addr();
        // What is made once, is made by the first.
        let mut crowd = vec![open(address).await];
        let before = resident_bytes();
        for _ in 0..sockets {
            crowd.push(open(address).await);
        }
        let each = resident_bytes().saturating_sub(before) / sockets;
        let closing = Instant::now();
        let clients = async {
            for socket in &mut crowd {
                let mut close = [0; 4];
                socket.read_exact(&mut close).await.unwrap();
                // A close frame with 1001.
                assert_eq!((close[0], &close[2..]), (0x88, [0x03, 0xe9].as_slice()));
                socket.shutdown().await.unwrap();
            }
        };
        tokio::join!(server.shutdown(), clients);
        println!("{sockets} sockets, {each} bytes each, closed in {:?}", closing.elapsed());
        if each > SOCKET_BYTES_MAX {
            return Err(Failed::from(format!("a socket costs {each} bytes")));
        }
        Ok(())
    })
}

async fn open(address: std::net::SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let handshake = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
    socket.write_all(handshake.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    socket
}

/// The memory of this process.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
