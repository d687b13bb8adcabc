//! A gateway that checks signatures, and a socket on it.

use std::time::Duration;

use futures_util::StreamExt;
use gateway::{
    Credentials, Function, Gateway, Throttle, WebSocketApi, WebSocketRoute,
    server::{Bound, Server},
};
use serde_json::Value;
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::client::{Call, Client, Operation, Outcome};

/// Longer than anything takes that comes about at all.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const USER_AGENT: &str = "a \"story\"/1.0";

pub(crate) struct World {
    pub(crate) server: Server,
    credentials: Credentials,
    /// The ids of new connections.
    ids: mpsc::UnboundedReceiver<String>,
}

pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl World {
    pub(crate) async fn start(credentials: Credentials) -> Self {
        let (sender, ids) = mpsc::unbounded_channel();
        let connect = Function::new("connect", move |invocation| {
            let sender = sender.clone();
            async move {
                let event: Value = serde_json::from_slice(&invocation.event).unwrap();
                let id = event["requestContext"]["connectionId"].as_str().unwrap();
                sender.send(id.to_owned()).ok();
                Ok(r#"{"statusCode":200}"#.into())
            }
        });
        let route = WebSocketRoute {
            key: "$connect".to_owned(),
            function: connect,
            two_way: false,
            timeout: None,
            throttle: Throttle::default(),
        };
        let api =
            WebSocketApi { stage: "ws".to_owned(), routes: vec![route], ..WebSocketApi::default() };
        let gateway = Gateway {
            websocket_apis: vec![api],
            credentials: Some(credentials.clone()),
            ..Gateway::default()
        };
        let server = Bound::to("127.0.0.1", 0).await.unwrap().serve(gateway);
        Self { server, credentials, ids }
    }

    /// The management API's endpoint.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}/ws", self.server.local_addr())
    }

    /// Opens a socket; says what its connection's id is.
    pub(crate) async fn connect(&mut self) -> (Socket, String) {
        let mut request =
            format!("ws://{}/ws", self.server.local_addr()).into_client_request().unwrap();
        request.headers_mut().insert("user-agent", USER_AGENT.parse().unwrap());
        let (socket, _response) = connect_async(request).await.unwrap();
        (Socket(socket), self.ids.recv().await.unwrap())
    }

    /// A call that may be made.
    pub(crate) fn call(&self, operation: Operation, id: &str) -> Call {
        Call {
            endpoint: self.endpoint(),
            operation,
            id: id.to_owned(),
            data: "hi".to_owned(),
            sign: true,
            credentials: self.credentials.clone(),
        }
    }

    /// Posts until there is room for no more.
    pub(crate) async fn fill_queue(&self, id: &str) {
        /// More than the queue and the system's buffers hold together.
        const POSTS_MAX: usize = 1000;
        let post = Call { data: "x".repeat(128 * 1024), ..self.call(Operation::Post, id) };
        for _ in 0..POSTS_MAX {
            if Client::Rust.call(&post).await != Outcome::Done(None) {
                return;
            }
        }
        panic!("the queue has no bound");
    }
}

impl Socket {
    pub(crate) async fn next(&mut self) -> Message {
        timeout(PATIENCE, self.0.next()).await.expect("a message").unwrap().unwrap()
    }
}
