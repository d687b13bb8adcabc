//! An `@connections` API of the tests' own: it remembers what is posted, and misbehaves by connection id.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;

use super::tls;

/// A request that somebody made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Method and path.
    pub what: String,
    pub frame: String,
}

/// The API. It refuses what isn't signed.
pub struct FakeConnections {
    pub endpoint: String,
    /// The file with the certificate to trust, if it speaks TLS.
    pub certificate: Option<NamedTempFile>,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl FakeConnections {
    /// Takes every request. Connections called `hangs`, `fails` and `gone` do; `busy` is only at the
    /// fourth try there.
    pub async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/ws", listener.local_addr().unwrap());
        let taken = Arc::default();
        let router = router(&taken);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, certificate: None, taken }
    }

    /// The same over TLS, on the host `localhost`.
    pub async fn listen_with_tls() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://localhost:{}/ws", listener.local_addr().unwrap().port());
        let taken = Arc::default();
        let certificate = serve_over_tls(listener, router(&taken));
        Self { endpoint, certificate: Some(certificate), taken }
    }

    /// What was taken since this was last asked.
    pub fn take(&self) -> Vec<Taken> {
        std::mem::take(&mut *self.taken.lock().unwrap())
    }

    /// How often somebody posted to a connection.
    pub fn posted(&self, id: &str) -> usize {
        let what = format!("POST /ws/@connections/{id}");
        self.taken.lock().unwrap().iter().filter(|taken| taken.what == what).count()
    }
}

/// Serves over TLS on the host `localhost`, and says which file has the certificate to trust.
pub fn serve_over_tls(listener: TcpListener, router: Router) -> NamedTempFile {
    let (acceptor, certificate) = tls::server();
    let service = TowerToHyperService::new(router);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, service) = (acceptor.clone(), service.clone());
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let connection = hyper::server::conn::http1::Builder::new();
                connection.serve_connection(TokioIo::new(stream), service).await
            });
        }
    });
    certificate
}

fn router(taken: &Arc<Mutex<Vec<Taken>>>) -> Router {
    let taken = Arc::clone(taken);
    let take = async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let signature = headers.get("authorization").and_then(|value| value.to_str().ok());
        if !signature.is_some_and(|signature| signature.starts_with("AWS4-HMAC-SHA256 ")) {
            return StatusCode::FORBIDDEN;
        }
        let frame = String::from_utf8(body.to_vec()).unwrap();
        let path = uri.path();
        let request = Taken { what: format!("{method} {path}"), frame };
        let tries = {
            let mut taken = taken.lock().unwrap();
            let before = taken.iter().filter(|other| **other == request).count();
            taken.push(request);
            before + 1
        };
        match path.rsplit('/').next() {
            Some("hangs") => pending().await,
            Some("fails") => StatusCode::INTERNAL_SERVER_ERROR,
            Some("gone") => StatusCode::GONE,
            Some("busy") => match tries {
                1 | 3 => StatusCode::TOO_MANY_REQUESTS,
                2 => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::OK,
            },
            _ => StatusCode::OK,
        }
    };
    Router::new().fallback(take)
}
