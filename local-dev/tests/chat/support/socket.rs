//! A WebSocket client that holds every `chat.v1` frame it gets against the AsyncAPI description.

use std::{collections::VecDeque, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue, StatusCode},
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use super::{
    descriptions::Descriptions,
    leaks::{self, Written},
    room::Guests,
    tls,
};

/// How long anything that must come may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A handshake about to be made.
pub struct Handshake {
    url: String,
    headers: Vec<(String, String)>,
    guests: Guests,
}

impl Handshake {
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: Vec::new(), guests: Guests::default() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The socket will hear only what these say.
    pub fn among(self, guests: &Guests) -> Self {
        Self { guests: guests.clone(), ..self }
    }

    pub fn protocols(self, offers: &str) -> Self {
        self.header("Sec-WebSocket-Protocol", offers)
    }

    /// Makes it; a refusal is its HTTP status.
    pub async fn open(self) -> Result<Socket, StatusCode> {
        let mut request = self.url.as_str().into_client_request().unwrap();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        let tls = Some(Connector::Rustls(tls::config()));
        let connecting = connect_async_tls_with_config(request, None, false, tls);
        // tungstenite's client insists on an answer to its offers, which the plain protocol doesn't give.
        match timeout(PATIENCE, connecting).await.expect("the handshake ends") {
            Ok((stream, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|value| value.to_str().unwrap().to_owned());
                Ok(Socket { stream, protocol, guests: self.guests, news: VecDeque::new() })
            }
            Err(tungstenite::Error::Http(response)) => {
                let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default());
                let told = format!("{:?} {body}", response.headers());
                leaks::keep("errors", Written::Answer, &told);
                Err(response.status())
            }
            Err(error) => panic!("the handshake with {} failed: {error}", self.url),
        }
    }
}

/// An open socket.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The subprotocol that was selected.
    pub protocol: Option<String>,
    guests: Guests,
    /// What came of presence and typing, until somebody asks.
    news: VecDeque<Value>,
}

impl Socket {
    /// Sends a text frame.
    pub async fn send(&mut self, text: impl Into<String>) {
        let text = text.into();
        leaks::remember_frame(&text);
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// Sends bytes as a text frame, whether or not they are a text.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let frame = Frame::message(bytes.to_vec(), OpCode::Data(Data::Text), true);
        self.stream.send(Message::Frame(frame)).await.unwrap();
    }

    /// Sends a `chat.v1` message.
    pub async fn say(&mut self, text: &str, client_id: &str) {
        let frame = json!({"action": "send", "text": text, "client_id": client_id});
        Descriptions::get().check_sent(&frame);
        self.send(frame.to_string()).await;
    }

    /// The next text frame.
    pub async fn next_text(&mut self) -> String {
        match self.next().await {
            Message::Text(text) => {
                if self.protocol.is_none() {
                    Descriptions::get().check_plain(text.as_str());
                }
                text.as_str().to_owned()
            }
            other => panic!("a text frame was due, this came: {other:?}"),
        }
    }

    /// The next `chat.v1` frame.
    pub async fn next_frame(&mut self) -> Value {
        let text = self.next_text().await;
        let frame = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
        Descriptions::get().check_frame(&frame);
        frame
    }

    /// The next frame about who comes, leaves or is writing; no other may come before it.
    pub async fn next_news(&mut self) -> Value {
        while self.news.is_empty() {
            match self.next_of_ours().await {
                Message::Text(text) if self.keep_news(&text) => {}
                other => panic!("news were due, this came: {other:?}"),
            }
        }
        self.news.pop_front().unwrap()
    }

    /// The news that came before the frame that was read last, and weren't asked for.
    pub fn news_so_far(&mut self) -> Vec<Value> {
        self.news.drain(..).collect()
    }

    /// The code and reason of the close frame that is due now.
    pub async fn next_close(&mut self) -> (u16, String) {
        match self.next().await {
            Message::Close(Some(frame)) => (frame.code.into(), frame.reason.as_str().to_owned()),
            other => panic!("a close frame was due, this came: {other:?}"),
        }
    }

    /// The code and reason of the close frame that comes next, whatever text comes before it.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Message::Close(Some(frame)) => {
                    return (frame.code.into(), frame.reason.as_str().to_owned());
                }
                Message::Close(None) => return (1005, String::new()),
                _ => {}
            }
        }
    }

    /// Closes the socket properly.
    pub async fn close(mut self) {
        self.stream.close(None).await.unwrap();
        while let Ok(Some(Ok(_))) = timeout(PATIENCE, self.stream.next()).await {}
    }

    /// The next frame, if the connection still gives one.
    pub async fn try_next_text(&mut self) -> Option<String> {
        match timeout(PATIENCE, self.stream.next()).await.expect("a frame or the end comes") {
            Some(Ok(Message::Text(text))) => Some(text.as_str().to_owned()),
            _ => None,
        }
    }

    /// Says that its user is writing.
    pub async fn type_something(&mut self) {
        let frame = json!({"action": "typing"});
        Descriptions::get().check_typing(&frame);
        self.send(frame.to_string()).await;
    }

    /// Sends, if the connection still takes it.
    pub async fn try_send(&mut self, text: String) -> bool {
        leaks::remember_frame(&text);
        self.stream.send(Message::text(text)).await.is_ok()
    }

    /// The next frame, unless it is about presence or typing: most stories are about something else.
    async fn next(&mut self) -> Message {
        loop {
            match self.next_of_ours().await {
                Message::Text(text) if self.keep_news(&text) => {}
                frame => return frame,
            }
        }
    }

    /// Keeps news, and says whether a frame is such.
    fn keep_news(&mut self, frame: &str) -> bool {
        let Some(news) = serde_json::from_str::<Value>(frame).ok().filter(|frame| {
            self.protocol.is_some()
                && ["presence", "typing"].map(Into::into).contains(&frame["type"])
        }) else {
            return false;
        };
        Descriptions::get().check_frame(&news);
        self.news.push_back(news);
        true
    }

    async fn next_of_ours(&mut self) -> Message {
        loop {
            match self.next_of_anybody().await {
                Message::Text(text) if !self.guests.may_have_said(&text) => {}
                frame => return frame,
            }
        }
    }

    async fn next_of_anybody(&mut self) -> Message {
        let frame = timeout(PATIENCE, self.stream.next())
            .await
            .expect("a frame comes in time")
            .expect("the socket is open")
            .expect("the socket works");
        leaks::keep("frames", Written::Answer, &format!("{frame:?}"));
        frame
    }
}
