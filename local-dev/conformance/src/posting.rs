//! How the fixture posts to connections: with AWS's SDK, as functions do.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_apigatewaymanagement::{
    Client,
    config::{BehaviorVersion, Builder, Region, retry::RetryConfig, timeout::TimeoutConfig},
    primitives::Blob,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// How long one post may take.
const POST_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of the management API.
pub(crate) struct Poster {
    /// `CONNECTIONS_ENDPOINT`, without which each event names the endpoint.
    endpoint: Option<String>,
    config: Builder,
}

impl Poster {
    /// A client that finds its settings where every AWS client does.
    pub(crate) fn new(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let get = |name| variable(name).filter(|value| !value.is_empty());
        let credentials = Credentials::new(
            get("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "local".to_owned()),
            get("AWS_SECRET_ACCESS_KEY").unwrap_or_else(|| "local".to_owned()),
            get("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(get("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned())))
            .credentials_provider(credentials)
            .http_client(http)
            .timeout_config(TimeoutConfig::builder().operation_timeout(POST_TIMEOUT).build())
            // A probe is to see the first answer.
            .retry_config(RetryConfig::disabled());
        Self { endpoint: get("CONNECTIONS_ENDPOINT"), config }
    }

    /// Posts a frame; the status of the answer, 0 if there was none.
    pub(crate) async fn post(&self, endpoint_of_event: &str, id: &str, frame: String) -> u16 {
        let endpoint = self.endpoint.as_deref().unwrap_or(endpoint_of_event);
        let client = Client::from_conf(self.config.clone().endpoint_url(endpoint).build());
        let post = client.post_to_connection().connection_id(id).data(Blob::new(frame));
        match post.send().await {
            Ok(_) => 200,
            Err(error) => error.raw_response().map_or(0, |response| response.status().as_u16()),
        }
    }
}
