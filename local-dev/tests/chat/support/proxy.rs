//! A TCP proxy before a database, to be cut, stalled and counted.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// The proxy. It ends with its story.
pub struct Proxy {
    url: String,
    line: watch::Sender<Line>,
    turns: Arc<AtomicU32>,
    connections: Arc<AtomicU32>,
    opened: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Forward,
    /// Nothing gets through in either direction, as when packets are lost.
    Stall,
    /// Every connection is closed at once, as when nothing listens.
    Refuse,
}

#[derive(Clone, Copy)]
struct Line {
    flow: Flow,
    /// How often all connections were cut.
    cuts: u32,
}

impl Proxy {
    /// A proxy before the database that `url` names.
    pub async fn before(url: &str) -> Self {
        let mut url = url::Url::parse(url).unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let line = watch::Sender::new(Line { flow: Flow::Forward, cuts: 0 });
        let [turns, connections, opened] = [const { AtomicU32::new(0) }; 3].map(Arc::new);
        let task = tokio::spawn({
            let (line, turns) = (line.clone(), Arc::clone(&turns));
            let (connections, opened) = (Arc::clone(&connections), Arc::clone(&opened));
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    opened.fetch_add(1, Ordering::Relaxed);
                    let serving =
                        serve(client, server.clone(), line.subscribe(), Arc::clone(&turns));
                    let connections = Arc::clone(&connections);
                    tokio::spawn(async move {
                        connections.fetch_add(1, Ordering::Relaxed);
                        serving.await;
                        connections.fetch_sub(1, Ordering::Relaxed);
                    });
                }
            }
        });
        Self { url: url.into(), line, turns, connections, opened, task }
    }

    /// The database's URL by way of the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets everything through again.
    pub fn forward(&self) {
        self.line.send_modify(|line| line.flow = Flow::Forward);
    }

    /// Lets nothing through.
    pub fn stall(&self) {
        self.line.send_modify(|line| line.flow = Flow::Stall);
    }

    /// Closes all connections, and new ones at once.
    pub fn refuse(&self) {
        self.line.send_modify(|line| line.flow = Flow::Refuse);
    }

    /// Closes all connections without a goodbye.
    pub fn cut(&self) {
        self.line.send_modify(|line| line.cuts += 1);
    }

    /// How many connections there are now.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many connections there have been.
    pub fn opened(&self) -> u32 {
        self.opened.load(Ordering::Relaxed)
    }

    /// How often the client has waited for an answer: round trips.
    pub fn turns(&self) -> u32 {
        self.turns.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.refuse();
    }
}

async fn serve(
    client: TcpStream,
    server: String,
    mut line: watch::Receiver<Line>,
    turns: Arc<AtomicU32>,
) {
    let cuts = line.borrow().cuts;
    let mut copying = Box::pin(async move {
        let Ok(server) = TcpStream::connect(server).await else { return };
        let (client_reads, client_writes) = client.into_split();
        let (server_reads, server_writes) = server.into_split();
        tokio::select! {
            () = copy(client_reads, server_writes, Some(&turns)) => {}
            () = copy(server_reads, client_writes, None) => {}
        }
    });
    loop {
        let Line { flow, cuts: now } = *line.borrow_and_update();
        if now != cuts || flow == Flow::Refuse {
            return;
        }
        tokio::select! {
            () = &mut copying, if flow == Flow::Forward => return,
            changed = line.changed() => if changed.is_err() { return },
        }
    }
}

/// Copies until either side ends. A client writes what belongs together at once, then waits for the answer.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    reads: Option<&AtomicU32>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if let Some(reads) = reads {
            reads.fetch_add(1, Ordering::Relaxed);
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
