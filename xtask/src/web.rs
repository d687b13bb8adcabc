//! HTTP and sockets, as seen from this machine.

use std::{
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use serde_json::Value;
use tungstenite::{
    Message, WebSocket,
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

/// Sends JSON. An answer that isn't JSON is `null`.
pub(crate) fn post(agent: &Agent, url: &str, body: &Value) -> Result<(u16, Value), String> {
    let answer = agent.post(url).send_json(body).map_err(|error| format!("POST {url}: {error}"))?;
    let status = answer.status().as_u16();
    let text =
        answer.into_body().read_to_string().map_err(|error| format!("POST {url}: {error}"))?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// An open socket of the chat.
pub(crate) struct Socket {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Opens one as a page does: the token in an offered subprotocol, the origin the page's own.
    pub(crate) fn open(base_url: &str, access_token: &str) -> Result<Self, String> {
        let url = format!("{}/ws", base_url.replacen("http", "ws", 1));
        let problem =
            |error: &dyn std::fmt::Display| format!("the socket {url} can't be opened: {error}");
        let mut request = url.as_str().into_client_request().map_err(|error| problem(&error))?;
        let header = |value: &str| HeaderValue::from_str(value).map_err(|error| problem(&error));
        let protocols = header(&format!("chat.v1, bearer.{access_token}"))?;
        let origin = header(base_url)?;
        request.headers_mut().insert("sec-websocket-protocol", protocols);
        request.headers_mut().insert("origin", origin);
        let stream = connect(request.uri()).map_err(|error| problem(&error))?;
        let opened = tungstenite::client_tls(request, stream);
        let (socket, _answer) = opened.map_err(|error| problem(&error))?;
        Ok(Self { socket })
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &Value) -> Result<(), String> {
        let sent = self.socket.send(Message::text(frame.to_string()));
        sent.map_err(|error| format!("a frame can't be sent: {error}"))
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
