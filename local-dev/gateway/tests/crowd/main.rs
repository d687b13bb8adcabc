//! Thousands of open sockets: what each costs the gateway, and that all of them are closed in time.
//!
//! The clients are a process of their own, this program once more, so that what is measured is the gateway alone. Each
//! process needs a file descriptor for each socket. Where the machine does not grant them, the test is ignored in plain
//! sight; with `CI` set, it fails instead.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the figure is worth seeing")]

use std::{
    env, fs, io,
    net::SocketAddr,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use gateway::{Gateway, Limits, WebSocketApi, server::Bound};
use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    runtime::Runtime,
    time::timeout,
};

/// How many sockets, unless `CROWD` says another number.
const SOCKETS: usize = 10_000;

/// What a socket may cost the gateway at most. It is about 10 KiB, of which 4 are the buffer that is read into.
const SOCKET_BYTES_MAX: u64 = 12 * 1024;

/// How many sockets are opened at once.
const OPENING_MAX: usize = 32;

/// Longer than any step takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes this program the clients: `--clients ADDRESS SOCKETS`.
const CLIENTS: &str = "--clients";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [option, address, sockets] = &*words
        && option == CLIENTS
    {
        let (address, sockets) = (address.parse().unwrap(), sockets.parse().unwrap());
        assert!(raise_descriptors(sockets));
        Runtime::new().unwrap().block_on(clients(address, sockets));
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let sockets =
        env::var_os("CROWD").map_or(SOCKETS, |crowd| crowd.to_str().unwrap().parse().unwrap());
    let trial = if raise_descriptors(sockets) {
        Trial::test("a_crowd_is_cheap_and_goes_away_together", move || {
            Runtime::new().unwrap().block_on(crowd(sockets))
        })
    } else {
        let needed = descriptors(sockets);
        let hint = format!("needs {needed} file descriptors: ulimit -H -n {needed}");
        let fail = {
            let hint = hint.clone();
            move || Err(Failed::from(format!("this test {hint}")))
        };
        let must_run = env::var_os("CI").is_some();
        Trial::test("a_crowd_is_cheap_and_goes_away_together", fail)
            .with_kind(hint)
            .with_ignored_flag(!must_run)
    };
    libtest_mimic::run(&arguments, vec![trial]).exit_code()
}

/// How many file descriptors a process with so many sockets needs.
const fn descriptors(sockets: usize) -> u64 {
    sockets as u64 + 200
}

/// Raises the limit on file descriptors, if it may be raised so far.
fn raise_descriptors(sockets: usize) -> bool {
    let mut limit = getrlimit(Resource::Nofile);
    let needed = descriptors(sockets);
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return false;
    }
    limit.current = limit.current.map(|current| current.max(needed));
    setrlimit(Resource::Nofile, limit).is_ok()
}

/// The gateway's side.
async fn crowd(sockets: usize) -> Result<(), Failed> {
    let gateway = Gateway {
        websocket_apis: vec![WebSocketApi { stage: "ws".to_owned(), ..WebSocketApi::default() }],
        limits: Limits { connection_rate: None, ..Limits::default() },
        ..Gateway::default()
    };
    let server = Bound::to("127.0.0.1", 0).await.unwrap().serve(gateway);
    let address = server.local_addr().to_string();
    let mut clients = Command::new(env::current_exe().unwrap())
        .args([CLIENTS, &address, &sockets.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut said = BufReader::new(clients.stdout.take().unwrap()).lines();
    let mut hear = async |expected: &str| {
        let line =
            timeout(PATIENCE, said.next_line()).await.expect("a word of the clients").unwrap();
        assert_eq!(line.as_deref(), Some(expected));
    };
    let opening = Instant::now();
    // What is made once, is made by the first ones.
    hear("some are open").await;
    let before = resident_bytes();
    clients.stdin.take().unwrap().write_all(b"go on\n").await?;
    hear("all are open").await;
    let each = resident_bytes().saturating_sub(before) / sockets as u64;
    let (opened_in, closing) = (opening.elapsed(), Instant::now());
    server.shutdown().await;
    let closed_in = closing.elapsed();
    hear("all are closed").await;
    assert!(timeout(PATIENCE, clients.wait()).await.expect("an end")?.success());
    println!(
        "{sockets} sockets, {each} bytes each, opened in {opened_in:?}, closed in {closed_in:?}"
    );
    if each > SOCKET_BYTES_MAX {
        return Err(Failed::from(format!("a socket costs {each} bytes")));
    }
    Ok(())
}

/// The clients' side: opens sockets, leaves them idle, and sees all of them closed with 1001.
async fn clients(address: SocketAddr, sockets: usize) {
    let some = open(address, OPENING_MAX).await;
    println!("some are open");
    let mut answer = String::new();
    // Nothing else is to happen meanwhile.
    io::stdin().read_line(&mut answer).unwrap();
    let all = open(address, sockets).await;
    println!("all are open");
    for mut socket in some.into_iter().chain(all) {
        let mut close = [0; 4];
        socket.read_exact(&mut close).await.unwrap();
        // A close frame with 1001.
        assert_eq!((close[0], &close[2..]), (0x88, [0x03, 0xe9].as_slice()));
        socket.shutdown().await.unwrap();
    }
    println!("all are closed");
}

async fn open(address: SocketAddr, sockets: usize) -> Vec<TcpStream> {
    let opening = stream::iter(0..sockets).map(|_| open_one(address));
    opening.buffer_unordered(OPENING_MAX).collect().await
}

async fn open_one(address: SocketAddr) -> TcpStream {
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
