//! AWS's clients, led to the gateway in this program without a socket: what they sign is routed, verified and answered as over
//! HTTP.

use std::sync::Arc;

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
            http_client_fn,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
};
use axum::{
    body::{Body, to_bytes},
    http::{HeaderValue, header::HOST},
};
use bytes::Bytes;
use gateway::Direct;
use shared::sigv4::host_and_path;

/// A client that asks the gateway which is given `direct`, if a URL names its `authority`, and whatever else there is by
/// `other`.
pub fn client(direct: Direct, authority: &str, other: SharedHttpClient) -> SharedHttpClient {
    let authority: Arc<str> = authority.into();
    http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Connector {
            direct: direct.clone(),
            authority: Arc::clone(&authority),
            other: other.http_connector(settings, components),
        })
    })
}

#[derive(Debug)]
struct Connector {
    direct: Direct,
    authority: Arc<str>,
    other: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let after_scheme = request.uri().split_once("://").map(|(_scheme, rest)| rest);
        let authority = after_scheme.and_then(|rest| rest.split(['/', '?']).next());
        if authority != Some(&*self.authority) {
            return self.other.call(request);
        }
        let direct = self.direct.clone();
        HttpConnectorFuture::new(
            async move { ask(&direct, request).await.map_err(ConnectorError::io) },
        )
    }
}

async fn ask(direct: &Direct, request: HttpRequest) -> Result<HttpResponse, BoxError> {
    let body = request.body().bytes().ok_or("the body is not in memory")?;
    let body = Bytes::copy_from_slice(body);
    let (host, _path) = host_and_path(request.uri()).ok_or("there is no host")?;
    let host = HeaderValue::from_str(host)?;
    let (mut head, _body) = request.try_into_http1x()?.into_parts();
    // As it comes over HTTP/1.1.
    head.headers.insert(HOST, host);
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    head.uri = target.parse()?;
    let request = axum::http::Request::from_parts(head, Body::from(body));
    let response = direct.call(request).await.ok_or("the gateway is not served")?;
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    Ok(HttpResponse::try_from(axum::http::Response::from_parts(head, body.into()))?)
}

#[cfg(test)]
mod tests {
    use gateway::{Credentials, Gateway, WebSocketApi, server::Bound};
    use secrecy::ExposeSecret;
    use shared::{
        aws::{Access, Trust},
        management::{Delivery, Management},
    };

    use super::*;

    /// A place where everything has gone wrong for good.
    #[derive(Debug)]
    struct Elsewhere;

    impl HttpConnector for Elsewhere {
        fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::ready(Err(ConnectorError::user("elsewhere".into())))
        }
    }

    /// What becomes of a post to a connection that there isn't, at a gateway that is called `authority`.
    async fn post(authority: &str, endpoint: &str, secret: &str) -> Delivery {
        let bound = Bound::to("127.0.0.1", 0).await.unwrap();
        let direct = Direct::default();
        let Credentials { access_key_id, region, .. } = Credentials::default();
        let _server = bound.serve(Gateway {
            websocket_apis: vec![WebSocketApi { stage: "ws".to_owned(), ..Default::default() }],
            direct: direct.clone(),
            credentials: Some(Credentials::default()),
            ..Gateway::default()
        });
        let signed_by =
            aws_credential_types::Credentials::new(access_key_id, secret, None, None, "test");
        let other = http_client_fn(|_, _| SharedHttpConnector::new(Elsewhere));
        let http = client(direct, authority, other);
        let access = Access::new(Some(region), Some(signed_by), Trust::Amazon);
        let management = Management::new(Some(endpoint.to_owned()), access.by_way_of(http), 1);
        management.client().unwrap().post("QkT3rfHsDoECHlw=", "hi").await
    }

    #[tokio::test]
    async fn calls_of_the_gateway_are_answered_here_if_they_are_signed() {
        let ours = Credentials::default().secret_access_key;
        for authority in ["127.0.0.1:3000", "127.0.0.1:80", "127.0.0.1"] {
            let endpoint = format!("http://{authority}/ws");
            assert_eq!(post(authority, &endpoint, ours.expose_secret()).await, Delivery::Gone);
            assert_eq!(post(authority, &endpoint, "somebody else's").await, Delivery::Failed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn other_calls_go_elsewhere() {
        let ours = Credentials::default().secret_access_key;
        let delivery =
            post("127.0.0.1:3000", "http://localhost:3000/ws", ours.expose_secret()).await;
        assert_eq!(delivery, Delivery::Failed);
    }
}
