//! An HTTP client that holds every answer it gets against the OpenAPI description.

use reqwest::{Method, Request, RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde_json::Value;
use shared::error::causes;

use super::{
    descriptions::Descriptions,
    leaks::{self, Secret, Written},
    tls,
};

/// An answer that is as the description says.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body as JSON; null if there is none.
    pub body: Value,
}

impl Answer {
    /// The names of the fields that a 422 complains of.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map_or(&[][..], Vec::as_slice);
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    https: tls::HttpsClient,
    base: String,
    /// Whether every answer must be as the description says.
    described: bool,
}

impl Client {
    pub fn new(base: String) -> Self {
        let (http, https) = (reqwest::Client::new(), tls::client());
        Self { http, https, base, described: true }
    }

    /// Whatever the server answers, none of it is held against the description.
    pub fn of_any_chat(self) -> Self {
        Self { described: false, ..self }
    }

    /// A request to be shaped further and then given to [`Self::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn get(&self, path: &str, access_token: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(access_token)).await
    }

    /// Sends a request as it is.
    pub async fn execute(&self, request: Request) -> Response {
        self.try_execute(request).await.unwrap()
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// What has happened to the connection.
    pub async fn try_execute(&self, request: Request) -> Result<Response, String> {
        if request.url().scheme() == "https" {
            let request = http::Request::try_from(request).map_err(|error| causes(&error))?;
            let response = self.https.request(request).await.map_err(|error| causes(&error))?;
            return Ok(response.map(reqwest::Body::wrap).into());
        }
        self.http.execute(request).await.map_err(|error| causes(&error))
    }

    /// Sends a request and checks its answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let sent = request.body().and_then(|body| body.as_bytes()).map(<[u8]>::to_vec);
        if let Some(sent) = sent.as_deref().and_then(|sent| serde_json::from_slice(sent).ok()) {
            leaks::remember_fields(&sent);
        }
        let authorization = request.headers().get("authorization");
        if let Some(token) = authorization.and_then(|value| value.to_str().ok()) {
            leaks::remember(Secret::Token, token);
        }
        let response = self.execute(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        if self.described {
            assert!(headers.contains_key("apigw-requestid"), "{method} {path}: no apigw-requestid");
        }
        let text = response.text().await.unwrap();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text)
                .unwrap_or_else(|_| panic!("{method} {path}: not JSON: {text}"))
        };
        if status.is_success() {
            leaks::remember_fields(&body);
        } else if self.described {
            // Without the path, which is the client's own.
            leaks::keep("errors", Written::Answer, &format!("{headers:?} {text}"));
        }
        if !self.described {
            return Answer { status, headers, body };
        }
        if let Some(sent) = sent.filter(|_| status.is_success()) {
            let sent = serde_json::from_slice(&sent).unwrap();
            Descriptions::get().check_request(&method, &path, &sent);
        }
        Descriptions::get().check_answer(&method, &path, status, &headers, &body);
        Answer { status, headers, body }
    }
}
