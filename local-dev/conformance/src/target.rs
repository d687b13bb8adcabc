//! What is probed, and how probes reach it.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::timeout};
use url::Url;

use crate::{
    probe::{Stop, check, is, same},
    socket::{Handshake, Opening, Socket, url_host},
    wire::{self, Request, Response},
};

/// The APIs of the templates, deployed somewhere. What has no address is not probed.
#[derive(Debug, Default)]
pub struct Target {
    /// `HttpApi` of `template.yaml`.
    pub http: Option<Url>,
    /// `HttpApi` of `named-stage.yaml`: one with a named stage and a `$default` route.
    pub http_named: Option<Url>,
    /// `SocketApi` of `template.yaml`.
    pub websocket: Option<Url>,
    /// `BareApi`: one without `$connect` and `$default`.
    pub websocket_bare: Option<Url>,
    /// `AuthorizedApi`: one with an authorizer.
    pub websocket_authorized: Option<Url>,
    /// `NoConnectionsApi`: one that throttles every handshake.
    pub websocket_throttled: Option<Url>,
    /// `NoMessagesApi`: one that throttles every message.
    pub messages_throttled: Option<Url>,
    /// A path of an HTTP API on which every `GET` is throttled.
    pub http_throttled: Option<Url>,
    /// Where `@connections` of `SocketApi` is, if not where its sockets are.
    pub management: Option<Url>,
    /// What management calls are signed with.
    pub credentials: Option<Credentials>,
    /// The region they are signed for.
    pub region: String,
    /// How long a socket may be idle, if that is worth waiting for.
    pub idle_timeout: Option<Duration>,
    /// How long a socket may live, if that is worth waiting for.
    pub max_duration: Option<Duration>,
    /// Whether functions are processes of their own, as on Lambda.
    pub has_processes: bool,
    /// How long to wait for what must come.
    pub patience: Duration,
    /// Held by probes that want `LifecycleFunction` for themselves.
    pub lifecycle: Mutex<()>,
}

/// A socket of a connection whose id is known.
pub(crate) struct Session {
    pub(crate) socket: Socket,
    pub(crate) id: String,
}

impl Target {
    /// All APIs of `template.yaml` at one address, each at its stage, as an emulator on this machine may have them.
    pub fn place(&mut self, address: SocketAddr) {
        let url = |scheme: &str, path: &str| {
            let url = format!("{scheme}://{address}/{path}");
            Some(url.parse().expect("an address is an authority"))
        };
        self.http = url("http", "");
        self.http_throttled = url("http", "throttled");
        self.websocket = url("ws", "conformance");
        self.websocket_bare = url("ws", "bare");
        self.websocket_authorized = url("ws", "authorized");
        self.websocket_throttled = url("ws", "no-connections");
        self.messages_throttled = url("ws", "no-messages");
    }

    /// The first of the addresses at which nobody answers, and why. Every probe of it would say the same.
    pub async fn unreachable(&self) -> Option<String> {
        let urls = [
            &self.http,
            &self.http_named,
            &self.websocket,
            &self.websocket_bare,
            &self.websocket_authorized,
            &self.websocket_throttled,
            &self.messages_throttled,
            &self.http_throttled,
            &self.management,
        ];
        for url in urls.into_iter().flatten() {
            match timeout(self.patience, wire::open(url, None)).await {
                Ok(Ok(_wire)) => {}
                Ok(Err(Stop::Differs(why) | Stop::Skipped(why))) => {
                    return Some(format!("{url}: {why}"));
                }
                Err(_elapsed) => return Some(format!("{url}: nobody answers")),
            }
        }
        None
    }

    pub(crate) fn websocket_url(&self) -> Result<Url, Stop> {
        given(self.websocket.as_ref(), "--websocket").cloned()
    }

    /// Sends a request to the HTTP API.
    pub(crate) async fn http(&self, request: Request) -> Result<Response, Stop> {
        self.request(given(self.http.as_ref(), "--http")?, request).await
    }

    /// Sends a request to the HTTP API at a named stage. The target of the request is below the stage.
    pub(crate) async fn http_named(&self, mut request: Request) -> Result<Response, Stop> {
        let url = given(self.http_named.as_ref(), "--http-named")?;
        request.target = format!("{}{}", url.path().trim_end_matches('/'), request.target);
        self.request(url, request).await
    }

    /// Sends a request that lacks only the host.
    pub(crate) async fn request(&self, url: &Url, mut request: Request) -> Result<Response, Stop> {
        let exchange = async {
            let wire = wire::open(url, None).await?;
            if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
                request.headers.insert(0, ("Host".to_owned(), url_host(url)));
            }
            request.headers.push(("connection".to_owned(), "close".to_owned()));
            wire::exchange(wire, &request).await
        };
        timeout(self.patience, exchange).await.map_err(|_elapsed| Stop::differs("no answer"))?
    }

    /// Has the function behind `path` follow a script.
    pub(crate) async fn script(&self, path: &str, script: &Value) -> Result<Response, Stop> {
        self.http(Request::new("GET", scripted(path, script))).await
    }

    /// What the function behind a request was given, from an answer that must be a report.
    pub(crate) async fn report(&self, request: Request) -> Result<Value, Stop> {
        report(&self.http(request).await?)
    }

    /// Shakes hands with the WebSocket API.
    pub(crate) async fn handshake(&self, opening: &Opening) -> Result<Handshake, Stop> {
        opening.open(&self.websocket_url()?, self.patience).await
    }

    /// Shakes hands, and `$connect` follows a script.
    pub(crate) async fn handshake_with(&self, script: &Value) -> Result<Handshake, Stop> {
        self.handshake(&Opening::default().query("script", &script.to_string())).await
    }

    /// Opens a socket of the WebSocket API.
    pub(crate) async fn socket(&self, opening: &Opening) -> Result<Socket, Stop> {
        opened(self.handshake(opening).await?)
    }

    /// Opens a socket of the WebSocket API without `$connect` and `$default`.
    pub(crate) async fn bare(&self) -> Result<Socket, Stop> {
        let url = given(self.websocket_bare.as_ref(), "--websocket-bare")?;
        opened(Opening::default().open(url, self.patience).await?)
    }

    /// Shakes hands with the WebSocket API that has an authorizer.
    pub(crate) async fn authorize(&self, opening: &Opening) -> Result<Handshake, Stop> {
        let url = given(self.websocket_authorized.as_ref(), "--websocket-authorized")?;
        opening.open(url, self.patience).await
    }

    /// Shakes hands with the WebSocket API that lets nobody in.
    pub(crate) async fn throttled(&self) -> Result<Handshake, Stop> {
        let url = given(self.websocket_throttled.as_ref(), "--websocket-throttled")?;
        Opening::default().open(url, self.patience).await
    }

    /// Opens a socket and learns its connection's id.
    pub(crate) async fn session(&self) -> Result<Session, Stop> {
        self.session_with(&Opening::default()).await
    }

    pub(crate) async fn session_with(&self, opening: &Opening) -> Result<Session, Stop> {
        let mut socket = self.socket(opening).await?;
        let id = identify(&mut socket)
            .await
            .map_err(|stop| stop.at("asking for the connection's id"))?;
        Ok(Session { socket, id })
    }

    /// Opens a socket whose `$connect` and `$disconnect` report to `observer`. Also the event of `$connect`.
    pub(crate) async fn observed(
        &self,
        observer: &mut Session,
        opening: Opening,
    ) -> Result<(Session, Value), Stop> {
        let socket = self.socket(&opening.observer(&observer.id)).await?;
        let report = observer.report("CONNECT").await?;
        let id = text_of(&report["event"]["requestContext"]["connectionId"])?;
        Ok((Session { socket, id }, report))
    }

    /// The event of a `$connect`.
    pub(crate) async fn connect_event(&self, opening: Opening) -> Result<Value, Stop> {
        let mut observer = self.session().await?;
        let (_session, mut report) = self.observed(&mut observer, opening).await?;
        Ok(report["event"].take())
    }

    /// The base of the management API.
    pub(crate) fn management_url(&self) -> Result<Url, Stop> {
        if let Some(url) = &self.management {
            return Ok(url.clone());
        }
        let mut url = self.websocket_url()?;
        let scheme = if url.scheme() == "wss" { "https" } else { "http" };
        // The scheme of a URL cannot be changed between those two families.
        url = url
            .as_str()
            .replacen(url.scheme(), scheme, 1)
            .parse()
            .map_err(std::io::Error::other)?;
        Ok(url)
    }

    /// The path of a connection in the management API, as SDKs write it.
    pub(crate) fn connection_path(&self, id: &str) -> Result<String, Stop> {
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
        Ok(format!("{}/%40connections/{id}", self.management_url()?.path().trim_end_matches('/')))
    }

    /// A signed call of the management API.
    pub(crate) async fn manage(
        &self,
        method: &'static str,
        id: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<Response, Stop> {
        let request = Request::new(method, self.connection_path(id)?).body(body);
        self.manage_with(request, PercentEncodingMode::Double).await
    }

    pub(crate) async fn manage_with(
        &self,
        request: Request,
        mode: PercentEncodingMode,
    ) -> Result<Response, Stop> {
        let url = self.management_url()?;
        let request = self.signed(&url, request, mode)?;
        self.request(&url, request).await
    }

    /// Posts, which must work.
    pub(crate) async fn post(&self, id: &str, data: impl Into<Vec<u8>>) -> Result<(), Stop> {
        let response = self.manage("POST", id, data).await?;
        same("the status of a post", response.status, 200)
    }

    /// Signs a request, if there is something to sign with.
    pub(crate) fn signed(
        &self,
        url: &Url,
        request: Request,
        mode: PercentEncodingMode,
    ) -> Result<Request, Stop> {
        let Some(credentials) = &self.credentials else { return Ok(request) };
        self.signed_by(credentials, url, request, mode)
    }

    pub(crate) fn signed_by(
        &self,
        credentials: &Credentials,
        url: &Url,
        mut request: Request,
        mode: PercentEncodingMode,
    ) -> Result<Request, Stop> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = mode;
        let identity = credentials.clone().into();
        #[expect(clippy::disallowed_methods, reason = "signatures are for now")]
        let now = SystemTime::now();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("execute-api")
            .time(now)
            .settings(settings)
            .build()
            .map_err(|error| Stop::differs(error.to_string()))?;
        let host = url_host(url);
        let uri = format!("{}://{host}{}", url.scheme(), request.target);
        let signable = SignableRequest::new(
            request.method,
            &uri,
            [("host", host.as_str())].into_iter(),
            SignableBody::Bytes(&request.body),
        );
        let signed = signable.and_then(|signable| sign(signable, &params.into()));
        let (instructions, _signature) =
            signed.map_err(|error| Stop::differs(error.to_string()))?.into_parts();
        let headers = instructions.headers();
        request.headers.extend(headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Ok(request)
    }
}

impl Session {
    /// The next report that comes here. It must be of that type of event.
    pub(crate) async fn report(&mut self, event_type: &str) -> Result<Value, Stop> {
        let report = self.socket.message().await;
        let report =
            report.map_err(|stop| stop.at(&format!("waiting for the report of {event_type}")))?;
        let report: Value = serde_json::from_str(&report)
            .map_err(|_error| Stop::differs(format!("a message that is no report: {report}")))?;
        is("the type of the event", &report["event"]["requestContext"]["eventType"], event_type)?;
        Ok(report)
    }

    /// The event of a `$disconnect`.
    pub(crate) async fn disconnect_event(&mut self) -> Result<Value, Stop> {
        Ok(self.report("DISCONNECT").await?["event"].take())
    }

    /// Sends a message that has its report posted back; its event.
    pub(crate) async fn event_of(&mut self, message: &str) -> Result<Value, Stop> {
        self.socket.text(message).await?;
        Ok(self.report("MESSAGE").await?["event"].take())
    }

    /// Makes sure that what was done before has had its effects: whatever else was to come has come.
    pub(crate) async fn barrier(&mut self) -> Result<(), Stop> {
        let message = json!({ "script": { "posts": [{ "to": "$self", "data": "barrier" }] } });
        self.socket.text(message.to_string()).await?;
        same("the next message", self.socket.message().await?, "barrier")
    }
}

impl Opening {
    /// Names the connection that hears of `$connect` and `$disconnect`.
    pub(crate) fn observer(self, id: &str) -> Self {
        self.header("User-Agent", format!("conformance (observer {id})"))
    }

    /// Has `$connect` follow a script.
    pub(crate) fn script(self, script: &Value) -> Self {
        self.query("script", &script.to_string())
    }
}

/// An address, which may not have been given.
pub(crate) fn given<'a>(url: Option<&'a Url>, option: &str) -> Result<&'a Url, Stop> {
    url.ok_or_else(|| Stop::skipped(format!("needs {option}")))
}

fn opened(handshake: Handshake) -> Result<Socket, Stop> {
    let Handshake { response, socket } = handshake;
    socket.ok_or_else(|| Stop::differs(format!("the handshake was answered {}", response.status)))
}

/// Asks the function what its connection is called.
pub(crate) async fn identify(socket: &mut Socket) -> Result<String, Stop> {
    socket.text("who am I?").await?;
    let report: Value = serde_json::from_str(&socket.message().await?)
        .map_err(|_error| Stop::differs("the first message is no report"))?;
    text_of(&report["event"]["requestContext"]["connectionId"])
}

/// A path with a script for the function behind it.
pub(crate) fn scripted(path: &str, script: &Value) -> String {
    format!("{path}?script={}", utf8_percent_encode(&script.to_string(), NON_ALPHANUMERIC))
}

/// The report that an answer consists of.
pub(crate) fn report(response: &Response) -> Result<Value, Stop> {
    check(response.status == 200, || {
        format!("the status is {} and the body {:?}", response.status, response.text())
    })?;
    serde_json::from_slice(&response.body)
        .map_err(|_error| Stop::differs(format!("the body is no report: {:?}", response.text())))
}

/// The text that a value must be.
pub(crate) fn text_of(value: &Value) -> Result<String, Stop> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| Stop::differs(format!("{value} is no text")))
}
