//! A gateway around functions that record their events and do what the events say, and clients for it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gateway::{
    Cors, Function, FunctionError, Gateway, HttpApi, HttpRoute, Invocation, Limits, Throttle,
    WebSocketApi, WebSocketRoute,
    server::{Bound, Server},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};
use url::form_urlencoded::byte_serialize;

/// Longer than anything takes that comes about at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A running gateway.
pub(crate) struct World {
    pub(crate) server: Server,
    /// The events of all functions, in the order in which they were invoked.
    events: mpsc::UnboundedReceiver<Value>,
    /// Lets functions go on that were told to wait, one for each permit.
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) http: reqwest::Client,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(Limits::default(), None).await
    }

    pub(crate) async fn start_with(limits: Limits, cors: Option<Cors>) -> Self {
        Self::start_changed(limits, cors, |_gateway, _recorder| {}).await
    }

    /// Starts a gateway whose WebSocket API is another.
    pub(crate) async fn start_api(change: impl FnOnce(&mut WebSocketApi, &Recorder)) -> Self {
        Self::start_changed(Limits::default(), None, |gateway, recorder| {
            change(&mut gateway.websocket_apis[0], recorder);
        })
        .await
    }

    pub(crate) async fn start_changed(
        limits: Limits,
        cors: Option<Cors>,
        change: impl FnOnce(&mut Gateway, &Recorder),
    ) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let recorder = Recorder { events: sender, gate: Arc::new(Semaphore::new(0)) };
        let function = |name, script: fn(&Value) -> String| recorder.function(name, script);
        let routes = vec![
            http_route("POST /api/echo", function("echo", Value::to_string)),
            http_route("GET /api/echo", function("echo", Value::to_string)),
            http_route("POST /api/script", function("script", script_of_body)),
        ];
        let mut http_api = HttpApi::new(HttpApi::DEFAULT_STAGE, routes).unwrap();
        if let Some(cors) = cors {
            http_api = http_api.with_cors(cors).unwrap();
        }
        let websocket_api = WebSocketApi {
            stage: "ws".to_owned(),
            routes: vec![
                websocket_route("$connect", function("connect", script_of_query)),
                websocket_route("$default", function("message", script_of_message)),
                websocket_route("$disconnect", function("disconnect", |_event| OK.to_owned())),
            ],
            ..WebSocketApi::default()
        };
        let mut gateway = Gateway {
            http_api: Some(http_api),
            websocket_apis: vec![websocket_api],
            limits,
            ..Gateway::default()
        };
        change(&mut gateway, &recorder);
        let server = Bound::to("127.0.0.1", 0).await.unwrap().serve(gateway);
        Self { server, events, gate: recorder.gate, http: reqwest::Client::new() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.local_addr())
    }

    pub(crate) fn socket_url(&self, query: &str) -> String {
        format!("ws://{}/ws{query}", self.server.local_addr())
    }

    /// Opens a socket; says what its connection's id is.
    pub(crate) async fn connect(&mut self) -> (Socket, String) {
        let (socket, _response) = connect_async(self.socket_url("")).await.unwrap();
        let event = self.event("$connect").await;
        (socket, event["requestContext"]["connectionId"].as_str().unwrap().to_owned())
    }

    /// Opens a socket whose `$connect` follows `script`; or the status and the body of the refusal.
    pub(crate) async fn connect_with(&self, script: &str) -> Result<Socket, (u16, String)> {
        let script: String = byte_serialize(script.as_bytes()).collect();
        self.open(&format!("?script={script}")).await
    }

    /// Opens a socket; or the status and the body of the refusal.
    pub(crate) async fn open(&self, query: &str) -> Result<Socket, (u16, String)> {
        Self::open_request(self.socket_url(query)).await
    }

    /// Opens a socket as `request` says; or the status and the body of the refusal.
    pub(crate) async fn open_request(
        request: impl IntoClientRequest + Unpin,
    ) -> Result<Socket, (u16, String)> {
        match connect_async(request).await {
            Ok((socket, _response)) => Ok(socket),
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8(body).unwrap()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn any_event(&mut self) -> Value {
        timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap()
    }

    /// The next event, which must be one of the route `key`.
    pub(crate) async fn event(&mut self, key: &str) -> Value {
        let event = self.any_event().await;
        assert_eq!(event["requestContext"]["routeKey"], key, "{event}");
        event
    }

    /// The next event, which must be a `$disconnect`: its connection, code and reason.
    pub(crate) async fn disconnect(&mut self) -> (String, u64, String) {
        let event = self.event("$disconnect").await;
        let context = &event["requestContext"];
        (
            context["connectionId"].as_str().unwrap().to_owned(),
            context["disconnectStatusCode"].as_u64().unwrap(),
            context["disconnectReason"].as_str().unwrap().to_owned(),
        )
    }

    /// Ends the gateway; the route keys of the events that nobody has looked at.
    pub(crate) async fn stop(mut self) -> Vec<Value> {
        self.server.shutdown().await;
        let mut keys = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            keys.push(event["requestContext"]["routeKey"].clone());
        }
        keys
    }

    /// A TCP connection.
    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.server.local_addr()).await.unwrap()
    }

    /// Sends bytes, reads until the gateway closes the connection.
    pub(crate) async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut tcp = self.tcp().await;
        tcp.write_all(request.as_ref()).await.unwrap();
        read_to_end(&mut tcp).await
    }
}

fn http_route(key: &str, function: Function) -> HttpRoute {
    HttpRoute { key: key.parse().unwrap(), function, timeout: None, throttle: Throttle::default() }
}

/// Makes functions.
pub(crate) struct Recorder {
    events: mpsc::UnboundedSender<Value>,
    gate: Arc<Semaphore>,
}

impl Recorder {
    /// A function that records its events and does what `script` says.
    pub(crate) fn function<S>(&self, name: &str, script: S) -> Function
    where
        S: Fn(&Value) -> String + Send + Sync + 'static,
    {
        let (events, gate) = (self.events.clone(), Arc::clone(&self.gate));
        let script = Arc::new(script);
        Function::new(name, move |invocation: Invocation| {
            let (events, gate, script) = (events.clone(), Arc::clone(&gate), Arc::clone(&script));
            async move {
                let event: Value = serde_json::from_slice(&invocation.event).unwrap();
                // A test that has seen enough no longer listens.
                events.send(event.clone()).ok();
                act(&script(&event), &gate).await
            }
        })
    }
}

pub(crate) fn websocket_route(key: &str, function: Function) -> WebSocketRoute {
    WebSocketRoute {
        key: key.to_owned(),
        function,
        two_way: false,
        timeout: None,
        throttle: Throttle::default(),
    }
}

pub(crate) async fn read_to_end(tcp: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("an end").unwrap();
    String::from_utf8(answer).unwrap()
}

/// The response of a function that has nothing to say.
pub(crate) const OK: &str = r#"{"statusCode":200}"#;

/// Does what a script says: `fail`, `unauthorized`, `throttled`, `panic`, `hang`, `wait` for the gate, or answer the script
/// itself.
async fn act(script: &str, gate: &Semaphore) -> Result<Bytes, FunctionError> {
    match script {
        "fail" => Err(FunctionError::Failed {
            error_type: "Test".to_owned(),
            message: "as told".to_owned(),
        }),
        "unauthorized" => Err(FunctionError::Failed {
            error_type: "Error".to_owned(),
            message: "Unauthorized".to_owned(),
        }),
        "throttled" => Err(FunctionError::Throttled),
        "panic" => panic!("as told"),
        "hang" => std::future::pending().await,
        "wait" => {
            gate.acquire().await.unwrap().forget();
            Ok(OK.into())
        }
        response => Ok(response.to_owned().into()),
    }
}

fn script_of_body(event: &Value) -> String {
    event["body"].as_str().unwrap().to_owned()
}

pub(crate) fn script_of_query(event: &Value) -> String {
    event["queryStringParameters"]["script"].as_str().unwrap_or(OK).to_owned()
}

/// A message is a script, where it is one.
pub(crate) fn script_of_message(event: &Value) -> String {
    let message = event["body"].as_str().unwrap();
    let scripts = ["fail", "throttled", "panic", "hang", "wait", "malformed"];
    let message = message.trim_start();
    let is_script = scripts.contains(&message) || message.starts_with("{\"statusCode\":");
    if is_script { message } else { OK }.to_owned()
}

/// A response document.
pub(crate) fn response(status: u16, headers: &Value, body: &str) -> String {
    json!({ "statusCode": status, "headers": headers, "body": body }).to_string()
}

/// Limits with a short time for functions.
pub(crate) fn impatient() -> Limits {
    let short = Duration::from_millis(50);
    Limits { integration_timeout: short, http_integration_timeout: short, ..Limits::default() }
}

/// The next message to the client that is not a pong.
pub(crate) async fn next_message(socket: &mut Socket) -> Message {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("a message").unwrap().unwrap();
        if !message.is_pong() {
            return message;
        }
    }
}

/// The code and the reason with which the gateway closes the socket, whatever it sends before.
pub(crate) async fn closed(socket: &mut Socket) -> (u16, String) {
    loop {
        if let Message::Close(frame) = next_message(socket).await {
            let frame = frame.unwrap();
            return (frame.code.into(), frame.reason.to_string());
        }
    }
}

pub(crate) async fn send(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}
