//! A proxy before a chat that changes what the chat says.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The proxy. It takes no more connections when its story has ended.
pub struct Forger {
    url: String,
    task: JoinHandle<()>,
}

impl Forger {
    /// A proxy before the chat at `url` that says `lie` for `truth`, which is as long.
    pub async fn before(url: &str, truth: &'static str, lie: &'static str) -> Self {
        assert_eq!(truth.len(), lie.len(), "lengths are said beforehand");
        let server = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forge(client, server.clone(), truth.as_bytes(), lie.as_bytes()));
            }
        });
        Self { url, task }
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forge(client: TcpStream, server: String, truth: &[u8], lie: &[u8]) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut client_reads, mut client_writes) = client.into_split();
    let (mut server_reads, mut server_writes) = server.into_split();
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = server_reads.read(&mut buffer).await {
            let bytes = &mut buffer[..count];
            let places: Vec<usize> =
                (0..bytes.len()).filter(|place| bytes[*place..].starts_with(truth)).collect();
            for place in places {
                bytes[place..place + lie.len()].copy_from_slice(lie);
            }
            if client_writes.write_all(bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = tokio::io::copy(&mut client_reads, &mut server_writes) => {}
        () = answers => {}
    }
}
