//! Where CloudFormation waits for what comes of its requests.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::{net::TcpListener, sync::mpsc};

use super::{
    connections::serve_over_tls,
    leaks::{self, Secret},
};

/// Path and query, which say who may answer.
const PATH: &str = "/arn%3Aaws%3Acloudformation%3Astack/chat%7CSchema?X-Amz-Expires=7200&X-Amz-Signature=0b5e5d5c9a7f42e1";

const SIGNATURE: &str = "0b5e5d5c9a7f42e1";

/// The server. It ends with its story.
pub struct Callbacks {
    /// What a request says: it has been signed as it is.
    pub url: String,
    /// The file with the certificate to trust, if it speaks TLS.
    pub certificate: Option<NamedTempFile>,
    failures: Arc<Mutex<u32>>,
    taken: mpsc::UnboundedReceiver<Value>,
}

impl Callbacks {
    pub async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
        let (callbacks, router) = Self::at(url);
        tokio::spawn(async move { axum::serve(listener, router).await });
        callbacks
    }

    /// The same over TLS, as it is in the cloud.
    pub async fn listen_with_tls() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}{PATH}", listener.local_addr().unwrap().port());
        let (mut callbacks, router) = Self::at(url);
        callbacks.certificate = Some(serve_over_tls(listener, router));
        callbacks
    }

    fn at(url: String) -> (Self, Router) {
        leaks::remember(Secret::AwsCredential, SIGNATURE);
        let (put, taken) = mpsc::unbounded_channel();
        let failures = Arc::<Mutex<u32>>::default();
        let router = Router::new().fallback({
            let failures = Arc::clone(&failures);
            async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let path = uri.path_and_query().unwrap().as_str();
                assert_eq!((method, path), (Method::PUT, PATH));
                assert_eq!(headers["content-type"], "");
                assert_eq!(headers["content-length"], body.len().to_string());
                assert_eq!(headers.get("transfer-encoding"), None);
                assert!(body.len() <= 4096, "{} bytes", body.len());
                let mut failures = failures.lock().unwrap();
                if *failures > 0 {
                    *failures -= 1;
                    return StatusCode::SERVICE_UNAVAILABLE;
                }
                put.send(serde_json::from_slice(&body).unwrap()).unwrap();
                StatusCode::OK
            }
        });
        (Self { url, certificate: None, failures, taken }, router)
    }

    /// Has the next requests answered 503.
    pub fn fail(&self, times: u32) {
        *self.failures.lock().unwrap() = times;
    }

    /// The one answer that has come.
    pub fn take(&mut self) -> Value {
        let taken = self.taken.try_recv().unwrap();
        assert!(self.taken.is_empty(), "one answer was due");
        taken
    }
}
