//! A client: does its steps whatever goes wrong, and remembers what it sees.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{
    SinkExt, StreamExt,
    future::join,
    stream::{SplitSink, SplitStream},
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::{
    ledger::{Ledger, Seen},
    schedule::{ClientPlan, Step},
};
use crate::support::room::{Room, User};

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long a client tries to reach a server that is away.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long it waits for its own message.
const ECHO_TIME: Duration = Duration::from_millis(150);

/// One client of one user.
pub(super) struct Client {
    name: String,
    user: User,
    speaks_chat_v1: bool,
    steps: Vec<Step>,
    room: Arc<Room>,
    ledger: Arc<Ledger>,
    link: Option<Link>,
    sent: Vec<Frame>,
    view: View,
}

/// What a client knows of the history.
#[derive(Clone, Default)]
struct View(Arc<Mutex<BTreeMap<i64, Seen>>>);

/// A message as it is sent.
#[derive(Clone)]
struct Frame {
    text: String,
    client_id: Option<String>,
}

/// An open socket, read by a task of its own.
struct Link {
    sink: SplitSink<Stream, Message>,
    reader: JoinHandle<()>,
    is_open: Arc<AtomicBool>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl View {
    fn add(&self, message: &Seen) {
        let id = message["id"].as_i64().unwrap_or_default();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(id, message.clone());
    }

    /// The id up to which nothing is missing.
    fn complete_until(&self) -> i64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (1..)
            .zip(known.keys())
            .take_while(|(place, id)| place == *id)
            .last()
            .map_or(0, |(id, _)| id)
    }

    fn newest(&self) -> i64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.keys().next_back().copied().unwrap_or_default()
    }
}

impl Client {
    pub(super) fn new(
        number: usize,
        plan: &ClientPlan,
        user: &User,
        room: Arc<Room>,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self {
            name: format!("client {number} of {}", user.username),
            user: user.clone(),
            speaks_chat_v1: plan.speaks_chat_v1,
            steps: plan.steps.clone(),
            room,
            ledger,
            link: None,
            sent: Vec::new(),
            view: View::default(),
        }
    }

    /// Does everything it has to do.
    pub(super) async fn work(&mut self) {
        for step in std::mem::take(&mut self.steps) {
            self.step(step).await;
            self.ledger.operation_done();
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Connect => {
                self.link = None;
                self.connected().await;
            }
            Step::Send => {
                let frame = self.next_frame();
                self.send(&frame).await;
            }
            Step::SendTwice => {
                let frame = self.next_frame();
                if self.speaks_chat_v1 {
                    self.send_twice(&frame).await;
                } else {
                    self.send(&frame).await;
                }
            }
            Step::Retry(ago) => {
                let again = self.sent.len().checked_sub(ago).map(|place| self.sent[place].clone());
                // A plain message has no key by which it could be recognised.
                let again = again.filter(|_| self.speaks_chat_v1);
                let frame = again.unwrap_or_else(|| self.next_frame());
                self.send(&frame).await;
            }
            Step::AwaitEcho => self.await_echo().await,
            Step::Drop => self.link = None,
            Step::Close => {
                if let Some(mut link) = self.link.take() {
                    timeout(ECHO_TIME, link.sink.send(Message::Close(None))).await.ok();
                }
            }
            Step::CatchUp => self.catch_up().await,
            Step::Peek { limit, share } => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    reason = "it is small"
                )]
                let before = (self.view.newest() as f64 * share) as i64 + 1;
                self.page(&format!("limit={limit}&before={before}"), |_| true).await;
            }
            Step::Pause(time) => tokio::time::sleep(time).await,
        }
    }

    /// After all trouble: is connected and knows everything.
    pub(super) async fn settle(&mut self) {
        self.link = None;
        self.connected().await;
        self.catch_up().await;
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_open)
    }

    pub(super) fn has_seen(&self, message: &Seen) -> bool {
        // A plain client's view comes from the history only.
        !self.speaks_chat_v1 || self.view.newest() >= message["id"].as_i64().unwrap_or_default()
    }

    /// In the end its view is the stored history.
    pub(super) fn check_view(&self, stored: &[Seen]) {
        let known = self.view.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.values().eq(stored.iter()) {
            self.ledger.violation(format!(
                "{} knows {:?} of {} messages",
                self.name,
                known.keys().collect::<Vec<_>>(),
                stored.len()
            ));
        }
    }

    fn next_frame(&mut self) -> Frame {
        let number = self.sent.len();
        let text = format!("{} {number} <b>ä🦀\u{202E}</b>", self.name);
        let client_id = self.speaks_chat_v1.then(|| format!("{}-{number}", self.name));
        let frame = Frame { text, client_id };
        self.sent.push(frame.clone());
        self.ledger.sent(&self.user.username, &frame.text, frame.client_id.as_deref());
        frame
    }

    async fn send(&mut self, frame: &Frame) {
        let message = frame.message();
        if self.connected().await.sink.send(message).await.is_err() {
            self.link = None;
        }
    }

    async fn send_twice(&mut self, frame: &Frame) {
        let (message, again) = (frame.message(), frame.message());
        let mut other = self.open().await;
        let link = self.connected().await;
        let (one, _) = join(link.sink.send(message), other.sink.send(again)).await;
        if one.is_err() {
            self.link = None;
        }
        // The other socket breaks as soon as its message has had a chance.
        self.await_echo().await;
    }

    async fn await_echo(&mut self) {
        let Some(Frame { text, .. }) = self.sent.last() else { return };
        let deadline = Instant::now() + ECHO_TIME;
        while !self.ledger.is_acknowledged(text) && Instant::now() < deadline {
            timeout(Duration::from_millis(5), self.ledger.progress.notified()).await.ok();
        }
    }

    /// An open socket, opened if there is none.
    async fn connected(&mut self) -> &mut Link {
        if !self.is_connected() {
            self.link = Some(self.open().await);
        }
        self.link.as_mut().expect("it has just been opened")
    }

    async fn open(&self) -> Link {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match timeout(PATIENCE, connect_async(self.handshake())).await {
                Ok(Ok((stream, _))) => return self.follow(stream),
                failure => {
                    assert!(Instant::now() < deadline, "{} can't connect: {failure:?}", self.name);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    fn handshake(&self) -> tokio_tungstenite::tungstenite::handshake::client::Request {
        let (url, token) = (self.room.socket_url(), &self.user.access);
        if !self.speaks_chat_v1 {
            return format!("{url}?token={token}").into_client_request().unwrap();
        }
        let mut request = url.into_client_request().unwrap();
        let offers = format!("chat.v1, bearer.{token}").parse().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", offers);
        request
    }

    fn follow(&self, stream: Stream) -> Link {
        let (sink, stream) = stream.split();
        let is_open = Arc::new(AtomicBool::new(true));
        let reader = Reader {
            name: self.name.clone(),
            user: self.user.clone(),
            speaks_chat_v1: self.speaks_chat_v1,
            room: Arc::clone(&self.room),
            ledger: Arc::clone(&self.ledger),
            view: self.view.clone(),
        };
        let still_open = Arc::clone(&is_open);
        let reader = tokio::spawn(async move {
            reader.read(stream).await;
            still_open.store(false, Ordering::Relaxed);
        });
        Link { sink, reader, is_open }
    }

    /// Fetches what it lacks, page by page.
    async fn catch_up(&mut self) {
        loop {
            let after = self.view.complete_until();
            let follows =
                move |page: &[Seen]| page.first().is_none_or(|first| first["id"] == after + 1);
            let page = self.page(&format!("limit=200&after={after}"), follows).await;
            // A history with a gap, which is noted, would never come to its end.
            if page.is_empty() || !follows(&page) {
                return;
            }
        }
    }

    /// Reads a page, however often it takes. Its ids have no gap.
    async fn page(&self, query: &str, begins_right: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let deadline = Instant::now() + PATIENCE;
        let page = loop {
            if let Some(page) = read_page(&self.room, &self.user, query).await {
                break page;
            }
            assert!(Instant::now() < deadline, "{} can't read {query}", self.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let ids: Vec<i64> = page.iter().filter_map(|message| message["id"].as_i64()).collect();
        let has_gap = ids.windows(2).any(|pair| pair[0] + 1 != pair[1]);
        if has_gap || !begins_right(&page) {
            self.ledger.violation(format!("{} asked for {query} and got {ids:?}", self.name));
        }
        for message in &page {
            self.ledger.saw(&self.name, message);
            self.view.add(message);
        }
        page
    }
}

impl Link {
    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }
}

impl Frame {
    fn message(&self) -> Message {
        Message::text(match &self.client_id {
            None => self.text.clone(),
            Some(key) => json!({"action": "send", "text": self.text, "client_id": key}).to_string(),
        })
    }
}

/// The half of a client that reads its socket.
struct Reader {
    name: String,
    user: User,
    speaks_chat_v1: bool,
    room: Arc<Room>,
    ledger: Arc<Ledger>,
    view: View,
}

impl Reader {
    async fn read(&self, mut stream: SplitStream<Stream>) {
        let mut count = 0;
        while let Some(Ok(message)) = stream.next().await {
            let Message::Text(text) = message else { continue };
            count += 1;
            // Asking each time would be another load than that of a chat.
            let asks = count % 4 == 0;
            if self.speaks_chat_v1 {
                self.saw_frame(text.as_str(), asks).await;
            } else {
                self.saw_line(text.as_str(), asks).await;
            }
        }
    }

    async fn saw_frame(&self, text: &str, asks: bool) {
        let mut frame: Value = serde_json::from_str(text).unwrap_or_default();
        let messages = match frame["type"].as_str() {
            Some("message") => {
                frame.as_object_mut().expect("it has a type").remove("type");
                vec![frame]
            }
            Some("messages") => frame["messages"].as_array().cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        for message in messages {
            self.saw_message(message, asks).await;
        }
    }

    async fn saw_message(&self, frame: Value, asks: bool) {
        self.ledger.saw(&self.name, &frame);
        self.view.add(&frame);
        if frame["username"] == *self.user.username {
            self.ledger.acknowledged(frame["text"].as_str().unwrap_or_default());
        }
        let id = frame["id"].as_i64().unwrap_or_default();
        // Stored before shown.
        if asks
            && let Some(page) =
                read_page(&self.room, &self.user, &format!("limit=1&after={}", id - 1)).await
            && page.first() != Some(&frame)
        {
            self.ledger.violation(format!("{} was shown {frame}, stored was {page:?}", self.name));
        }
    }

    async fn saw_line(&self, line: &str, asks: bool) {
        // The gateway's own errors look like this, too, and the system's.
        let Some((username, text)) = line.split_once(": ").filter(|(name, _)| *name != "system")
        else {
            return;
        };
        if line.starts_with('{') {
            return;
        }
        self.ledger.saw_plain(username, text);
        if username == self.user.username {
            self.ledger.acknowledged(text);
        }
        let is_this = |message: &Seen| message["username"] == username && message["text"] == text;
        if asks
            && let Some(page) = read_page(&self.room, &self.user, "limit=200").await
            && page.len() < 200
            && !page.iter().any(is_this)
        {
            self.ledger.violation(format!("{} was shown {line:?}, which is not stored", self.name));
        }
    }
}

/// A page of the history, unless the server is away.
async fn read_page(room: &Room, user: &User, query: &str) -> Option<Vec<Seen>> {
    let request = room.http.request(reqwest::Method::GET, &format!("/auth/messages?{query}"));
    let response = request.bearer_auth(&user.access).timeout(PATIENCE).send().await.ok()?;
    if response.status() != 200 {
        return None;
    }
    response.json().await.ok()
}
