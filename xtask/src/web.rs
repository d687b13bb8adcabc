//! HTTP and sockets, as seen from this machine.

use std::{
    fmt,
    io::ErrorKind,
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use serde_json::Value;
use tungstenite::{
    Error, HandshakeError, Message, WebSocket,
    client::IntoClientRequest,
    http::{HeaderValue, Uri},
    stream::MaybeTlsStream,
};
use ureq::{Agent, Body, http::Response};

/// How long one request, or one frame, may take. A cold start, a password's hash and a slow network together take less.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that takes every status as an answer.
pub(crate) fn agent() -> Agent {
    Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent("lambda-chat-xtask")
        .build()
        .into()
}

/// A request whose answer isn't JSON, mostly. The error names the URL.
pub(crate) fn get(agent: &Agent, url: &str) -> Result<Response<Body>, String> {
    agent.get(url).call().map_err(|error| format!("{url} can't be fetched: {error}"))
}

/// Asks for JSON with an access token. An answer that isn't JSON is `null`.
pub(crate) fn get_as(agent: &Agent, url: &str, token: &str) -> Result<(u16, Value), String> {
    let request = agent.get(url).header("authorization", format!("Bearer {token}"));
    read(request.call()).map_err(|error| format!("GET {url}: {error}"))
}

/// Sends JSON. An answer that isn't JSON is `null`.
pub(crate) fn post(agent: &Agent, url: &str, body: &Value) -> Result<(u16, Value), String> {
    read(agent.post(url).send_json(body)).map_err(|error| format!("POST {url}: {error}"))
}

fn read(answer: Result<Response<Body>, ureq::Error>) -> Result<(u16, Value), ureq::Error> {
    let answer = answer?;
    let status = answer.status().as_u16();
    let text = answer.into_body().read_to_string()?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// Why a socket can't be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The server has answered, but not with 101.
    Refused { url: String, status: u16 },
    /// There was no answer.
    Failed { url: String, problem: String },
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { url, status } => {
                write!(formatter, "the socket {url} can't be opened: it is answered {status}")
            }
            Self::Failed { url, problem } => {
                write!(formatter, "the socket {url} can't be opened: {problem}")
            }
        }
    }
}

impl From<OpenError> for String {
    fn from(error: OpenError) -> Self {
        error.to_string()
    }
}

/// An open socket of the chat.
pub(crate) struct Socket {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Opens one as a page does: the token in an offered subprotocol, the origin the page's own.
    pub(crate) fn open(base_url: &str, access_token: &str) -> Result<Self, OpenError> {
        let url = format!("{}/ws", base_url.replacen("http", "ws", 1));
        let problem = |error: &dyn fmt::Display| OpenError::Failed {
            url: url.clone(),
            problem: error.to_string(),
        };
        let mut request = url.as_str().into_client_request().map_err(|error| problem(&error))?;
        let header = |value: &str| HeaderValue::from_str(value).map_err(|error| problem(&error));
        let protocols = header(&format!("chat.v1, bearer.{access_token}"))?;
        let origin = header(base_url)?;
        request.headers_mut().insert("sec-websocket-protocol", protocols);
        request.headers_mut().insert("origin", origin);
        let stream = connect(request.uri()).map_err(|error| problem(&error))?;
        let opened = tungstenite::client_tls(request, stream);
        let (socket, _answer) = opened.map_err(|error| match error {
            HandshakeError::Failure(Error::Http(answer)) => {
                OpenError::Refused { url: url.clone(), status: answer.status().as_u16() }
            }
            error => problem(&error),
        })?;
        Ok(Self { socket })
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &Value) -> Result<(), String> {
        let sent = self.socket.send(Message::text(frame.to_string()));
        sent.map_err(|error| format!("a frame can't be sent: {error}"))
    }

    /// The next frame of text, if one comes within so much time.
    pub(crate) fn next_within(&mut self, time: Duration) -> Result<Option<String>, String> {
        let problem = |error: &dyn fmt::Display| format!("the connection has ended: {error}");
        let stream = match self.socket.get_ref() {
            MaybeTlsStream::Rustls(stream) => stream.get_ref(),
            MaybeTlsStream::Plain(stream) => stream,
            _ => return Err("this socket can't be waited for".to_owned()),
        };
        stream.set_read_timeout(Some(time)).map_err(|error| problem(&error))?;
        match self.socket.read() {
            Ok(Message::Text(text)) => Ok(Some(text.to_string())),
            Ok(Message::Close(Some(close))) => Err(problem(&close)),
            Ok(_) => Ok(None),
            Err(Error::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                Ok(None)
            }
            Err(error) => Err(problem(&error)),
        }
    }

    /// The next frame that `is_it`; others are passed over.
    pub(crate) fn wait_for(&mut self, is_it: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let message =
                self.socket.read().map_err(|error| format!("no frame has come: {error}"))?;
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
            if is_it(&frame) {
                return Ok(frame);
            }
        }
        Err(format!("the message hasn't come within {} seconds", PATIENCE.as_secs()))
    }
}

fn connect(uri: &Uri) -> Result<TcpStream, std::io::Error> {
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("wss") { 443 } else { 80 });
    let mut outcome = Err(std::io::Error::other("the name has no address"));
    for address in (host.trim_matches(['[', ']']), port).to_socket_addrs()? {
        outcome = TcpStream::connect_timeout(&address, PATIENCE);
        if outcome.is_ok() {
            break;
        }
    }
    let stream = outcome?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
