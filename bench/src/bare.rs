//! The simplest chat that does the same job, to compare with: no users, no API Gateway, no functions. A message is stored before
//! it is shown, a connection has a row, a task and a channel, and the history is a page of SQL.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::get,
};
use clap::Args;
use futures_util::{SinkExt, StreamExt};
use http::{StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use shared::clock::{Clock, UnixMillis};
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{Failure, lock};

/// The tables that it needs of the chat's, in the same form.
const SCHEMA: &str = "
    create table messages (id integer primary key, username text not null, text text not null, sent_at integer not null);
    create table connections (connection_id text primary key, connected_at integer not null)";

/// Messages of a page of the history, as the chat has them.
const PAGE: u32 = 50;

/// What is read from a socket at a time: the least that is usual, so that memory is compared with no waste.
const READ_BYTES: usize = 4096;

/// Runs the bare chat.
#[derive(Args)]
pub(crate) struct Bare {
    database: PathBuf,
}

impl Bare {
    /// # Errors
    /// When there is no port or no database.
    pub(crate) async fn run(&self) -> Result<(), Failure> {
        let chat = Arc::new(Chat {
            peers: Mutex::default(),
            writer: tokio::sync::Mutex::new(self.connect().await?),
            reader: tokio::sync::Mutex::new(self.connect().await?),
        });
        let mut writer = chat.writer.lock().await;
        sqlx::raw_sql(SCHEMA).execute(&mut *writer).await?;
        drop(writer);
        let router = Router::new()
            .route("/ws", get(upgrade))
            .route("/auth/messages", get(history))
            .with_state(chat);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        crate::tell(&format!("listening on http://{}", listener.local_addr()?))?;
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            // Without, it is only slower.
            stream.set_nodelay(true).ok();
        });
        Ok(axum::serve(listener, router).await?)
    }

    /// As local-dev keeps its SQLite.
    async fn connect(&self) -> Result<SqliteConnection, Failure> {
        let options = SqliteConnectOptions::new()
            .filename(&self.database)
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .synchronous(sqlx::sqlite::SqliteSynchronous::Normal);
        Ok(SqliteConnection::connect_with(&options).await?)
    }
}

struct Chat {
    peers: Mutex<BTreeMap<String, UnboundedSender<Utf8Bytes>>>,
    writer: tokio::sync::Mutex<SqliteConnection>,
    reader: tokio::sync::Mutex<SqliteConnection>,
}

impl Chat {
    /// Stores a message, then shows it to everybody, before the next one.
    async fn say(&self, text: &str) -> Result<(), Failure> {
        let now = Clock::system().now();
        let mut writer = self.writer.lock().await;
        let id: i64 = sqlx::query_scalar(
            "insert into messages (username, text, sent_at) values ('ada', $1, $2) returning id",
        )
        .bind(text)
        .bind(now)
        .fetch_one(&mut *writer)
        .await?;
        let frame: Utf8Bytes = frame(id, text, now).into();
        for peer in lock(&self.peers).values() {
            // Who is gone is forgotten by its own task.
            peer.send(frame.clone()).ok();
        }
        Ok(())
    }

    async fn serve(
        &self,
        mut waiting: UnboundedReceiver<Utf8Bytes>,
        socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>,
    ) {
        let (mut sink, mut stream) = socket.split();
        let writer = tokio::spawn(async move {
            while let Some(frame) = waiting.recv().await {
                let mut sent = sink.feed(Message::Text(frame)).await;
                // All that waits goes in one write.
                while let (true, Ok(frame)) = (sent.is_ok(), waiting.try_recv()) {
                    sent = sink.feed(Message::Text(frame)).await;
                }
                if sent.is_err() || sink.flush().await.is_err() {
                    return;
                }
            }
        });
        while let Some(Ok(message)) = stream.next().await {
            let Ok(frame) = message.to_text().map(serde_json::from_str::<Value>) else { break };
            let Ok(frame) = frame else { break };
            if self.say(frame["text"].as_str().unwrap_or_default()).await.is_err() {
                break;
            }
        }
        writer.abort();
    }

    /// Takes somebody in, for whom what is said from now on waits.
    async fn remember(&self, id: &str) -> Result<UnboundedReceiver<Utf8Bytes>, Failure> {
        sqlx::query("insert into connections (connection_id, connected_at) values ($1, $2)")
            .bind(id)
            .bind(Clock::system().now())
            .execute(&mut *self.writer.lock().await)
            .await?;
        let (sender, waiting) = unbounded_channel();
        lock(&self.peers).insert(id.to_owned(), sender);
        Ok(waiting)
    }

    async fn forget(&self, id: &str) -> Result<(), Failure> {
        lock(&self.peers).remove(id);
        sqlx::query("delete from connections where connection_id = $1")
            .bind(id)
            .execute(&mut *self.writer.lock().await)
            .await?;
        Ok(())
    }
}

/// What `chat.v1` has.
fn frame(id: i64, text: &str, sent_at: UnixMillis) -> String {
    format!(
        r#"{{"type":"message","id":{id},"username":"ada","text":{},"sent_at":{}}}"#,
        json!(text),
        json!(sent_at)
    )
}

async fn upgrade(
    State(chat): State<Arc<Chat>>,
    mut request: Request,
) -> Result<Response, StatusCode> {
    let key = request.headers().get("sec-websocket-key").ok_or(StatusCode::BAD_REQUEST)?;
    let accept = derive_accept_key(key.as_bytes());
    let id = format!("{:032x}", rand::random::<u128>());
    // Before the answer: whoever knows of the upgrade misses nothing.
    let waiting = chat.remember(&id).await.map_err(|_failed| StatusCode::SERVICE_UNAVAILABLE)?;
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            let io = TokioIo::new(upgraded);
            let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
            let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
            chat.serve(waiting, socket).await;
        }
        chat.forget(&id).await.ok();
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-protocol", "chat.v1")
        .header("sec-websocket-accept", accept);
    Ok(response.body(axum::body::Body::empty()).expect("its parts are fixed or a hash"))
}

async fn history(State(chat): State<Arc<Chat>>, uri: Uri) -> Result<String, StatusCode> {
    let before = uri.query().and_then(|query| query.split_once("before=")?.1.parse::<i64>().ok());
    let rows = sqlx::query(
        "select id, username, text, sent_at from messages where id < $1 order by id desc limit $2",
    )
    .bind(before.unwrap_or(i64::MAX))
    .bind(PAGE)
    .fetch_all(&mut *chat.reader.lock().await)
    .await
    .map_err(|_failed| StatusCode::SERVICE_UNAVAILABLE)?;
    let page = rows.iter().rev().map(|row| {
        let (id, username): (i64, &str) = (row.get(0), row.get(1));
        let (text, sent_at): (&str, UnixMillis) = (row.get(2), row.get(3));
        json!({"id": id, "username": username, "text": text, "sent_at": sent_at})
    });
    Ok(page.collect::<Value>().to_string())
}
