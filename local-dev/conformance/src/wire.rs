//! Bytes to and from the target, and HTTP/1.1 on top of them.
//!
//! Both are written here and not taken from a library, because libraries tidy up what probes want to send and see: the
//! case of header names, their order, lengths, what follows an upgrade.

use std::{io, sync::Arc};

use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt,
        BufReader,
    },
    net::{TcpSocket, TcpStream, lookup_host},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};
use url::Url;

use crate::probe::Stop;

/// A connection to the target.
pub(crate) type Wire = BufReader<Box<dyn Stream>>;

/// Anything that bytes go both ways on.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens a connection to where `url` is. `receive_bytes` is how much the system takes before anybody reads.
pub(crate) async fn open(url: &Url, receive_bytes: Option<u32>) -> Result<Wire, Stop> {
    let host = url.host_str().ok_or_else(|| Stop::differs(format!("{url} has no host")))?;
    let is_encrypted = matches!(url.scheme(), "https" | "wss");
    let port = url.port().unwrap_or(if is_encrypted { 443 } else { 80 });
    let host = host.trim_matches(['[', ']']);
    let tcp = connect(host, port, receive_bytes).await?;
    if !is_encrypted {
        return Ok(BufReader::new(Box::new(tcp)));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    Ok(BufReader::new(Box::new(connector()?.connect(name, tcp).await?)))
}

async fn connect(host: &str, port: u16, receive_bytes: Option<u32>) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the host has no address");
    for address in lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        match socket.connect(address).await {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// TLS with the certificates that the system trusts.
fn connector() -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A request as it is written: nothing is added to it but the length of its body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// The path and the query string.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// In their order, with names as they were sent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The bytes before the body.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !self.body.is_empty() {
            head.extend(["content-length: ", &self.body.len().to_string(), "\r\n"]);
        }
        head + "\r\n"
    }
}

impl Response {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(&**value))
    }

    /// The values of all headers of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let is_it = move |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.headers.iter().filter(is_it).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request and reads the answer, which may come before the request has been sent.
pub(crate) async fn exchange(wire: Wire, request: &Request) -> Result<Response, Stop> {
    let (reader, mut writer) = tokio::io::split(wire);
    let mut reader = BufReader::new(reader);
    let write = async {
        // The answer says more than the error that a client sees which is not listened to any more.
        let sent: io::Result<()> = async {
            writer.write_all(request.head().as_bytes()).await?;
            writer.write_all(&request.body).await?;
            writer.flush().await
        }
        .await;
        drop(sent);
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut response = read_head(&mut reader).await?;
        response.body = read_body(&mut reader, request, &response).await?;
        Ok(response)
    };
    tokio::select! {
        response = read => response,
        () = write => unreachable!("it waits for ever"),
    }
}

/// Reads a status line and headers.
pub(crate) async fn read_head(wire: &mut (impl AsyncBufRead + Unpin)) -> Result<Response, Stop> {
    let status_line = read_line(wire).await?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| Stop::differs(format!("no HTTP: {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(wire).await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(Response { status, headers, body: Vec::new() })
}

async fn read_line(wire: &mut (impl AsyncBufRead + Unpin)) -> Result<String, Stop> {
    let mut line = Vec::new();
    wire.read_until(b'\n', &mut line).await?;
    if line.pop() != Some(b'\n') {
        return Err(Stop::differs("the connection ended without an answer"));
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
}

/// Reads the body, whichever way its length is told.
pub(crate) async fn read_body(
    wire: &mut (impl AsyncBufRead + Unpin),
    request: &Request,
    response: &Response,
) -> Result<Vec<u8>, Stop> {
    let mut body = Vec::new();
    if request.method == "HEAD" || matches!(response.status, 100..200 | 204 | 304) {
        return Ok(body);
    }
    if response.header("transfer-encoding").is_some() {
        loop {
            let size = read_line(wire).await?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16)
                .map_err(io::Error::other)?;
            let from = body.len();
            body.resize(from + size, 0);
            wire.read_exact(&mut body[from..]).await?;
            read_line(wire).await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    match response.header("content-length").map(str::parse) {
        Some(length) => {
            body.resize(length.map_err(io::Error::other)?, 0);
            wire.read_exact(&mut body).await?;
        }
        None => {
            wire.read_to_end(&mut body).await?;
        }
    }
    Ok(body)
}
