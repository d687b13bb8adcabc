//! A gateway around an HTTP API whose functions answer what they are asked to, and clients for it.

use std::{future::ready, sync::Arc};

use axum::Router;
use bytes::Bytes;
use gateway::{
    Cors, Function, FunctionError, Gateway, HttpApi, HttpRoute, Invocation, Throttle,
    server::{Bound, Server},
};
use reqwest::{Response, header::HeaderMap};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Semaphore};

use crate::support::read_to_end;

/// A gateway that is being served.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) http: reqwest::Client,
}

impl Site {
    /// Serves an API beside a fallback that says that it is one.
    pub(crate) async fn start(api: HttpApi) -> Self {
        Self::start_with(api, Gateway::default()).await
    }

    pub(crate) async fn start_with(api: HttpApi, gateway: Gateway) -> Self {
        let fallback = Some(Router::new().fallback(async || "fallback"));
        Self::start_alone(Gateway { http_api: Some(api), fallback, ..gateway }).await
    }

    /// Serves nothing but what the gateway has.
    pub(crate) async fn start_alone(gateway: Gateway) -> Self {
        let server = Bound::to("127.0.0.1", 0).await.unwrap().serve(gateway);
        Self { server, http: reqwest::Client::new() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.local_addr())
    }

    /// Sends a request without a body.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = self.http.request(method.parse().unwrap(), self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Has `POST /script` answer a document.
    pub(crate) async fn script(&self, document: impl ToString) -> Response {
        let request = self.http.post(self.url("/script")).header("content-type", "text/plain");
        request.body(document.to_string()).send().await.unwrap()
    }

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

fn route(key: &str, function: Function) -> HttpRoute {
    HttpRoute { key: key.parse().unwrap(), function, timeout: None, throttle: Throttle::default() }
}

/// A route whose function answers its event.
pub(crate) fn echo(key: &str) -> HttpRoute {
    route(key, Function::new("echo", async |invocation: Invocation| Ok(invocation.event)))
}

/// A route whose function answers its event's body, which is text.
pub(crate) fn script(key: &str) -> HttpRoute {
    let answer = async |invocation: Invocation| {
        let event: Value = serde_json::from_slice(&invocation.event).unwrap();
        Ok(event["body"].as_str().unwrap_or("null").to_owned().into())
    };
    route(key, Function::new("script", answer))
}

/// A route whose function answers this.
pub(crate) fn fixed(key: &str, response: Result<&'static str, fn() -> FunctionError>) -> HttpRoute {
    let answer =
        move |_invocation: Invocation| ready(response.map(Bytes::from).map_err(|error| error()));
    route(key, Function::new("fixed", answer))
}

/// A route whose function answers as soon as the gate lets it.
pub(crate) fn gated(key: &str, gate: &Arc<Semaphore>) -> HttpRoute {
    let gate = Arc::clone(gate);
    let answer = move |invocation: Invocation| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(invocation.event)
        }
    };
    route(key, Function::new("gated", answer))
}

/// An API at the stage `$default`.
pub(crate) fn api(routes: impl IntoIterator<Item = HttpRoute>) -> HttpApi {
    HttpApi::new(HttpApi::DEFAULT_STAGE, routes.into_iter().collect()).unwrap()
}

/// The same with CORS.
pub(crate) fn api_with_cors(routes: impl IntoIterator<Item = HttpRoute>, cors: Cors) -> HttpApi {
    api(routes).with_cors(cors).unwrap()
}

/// What a response says about CORS: names without `access-control-`, and values.
pub(crate) fn cors_headers(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut headers: Vec<_> = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("access-control-")?;
            Some((name, value.to_str().unwrap()))
        })
        .collect();
    headers.sort_unstable();
    headers
}

/// Checks an answer of the gateway's own.
pub(crate) async fn assert_error(response: Response, status: u16, message: &str) {
    assert_eq!(response.status(), status);
    let body = format!(r#"{{"message":"{message}"}}"#);
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["content-length"], body.len().to_string());
    assert_eq!(headers["apigw-requestid"].len(), 16);
    assert_eq!(response.text().await.unwrap(), body);
}
