//! What AWS is called with: a region, credentials, a client for HTTP.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_apigatewaymanagement::config::{Region, SharedHttpClient};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// How long an HTTP connection is kept for the next call.
const HTTP_IDLE_TIME_MAX: Duration = Duration::from_secs(20);

/// One function's access to AWS.
#[derive(Clone)]
pub struct Access {
    /// Where to.
    pub region: Region,
    /// As whom.
    pub credentials: Credentials,
    /// What keeps the connections.
    pub http: SharedHttpClient,
}

impl Access {
    /// With the `credentials` that a Lambda finds in its environment and that stay the same for its life. Without them
    /// calls are signed with a made-up key, for local-dev.
    pub fn new(region: Option<String>, credentials: Option<Credentials>) -> Self {
        let made_up = || Credentials::new("local", "local", None, None, "made up");
        let credentials = credentials.unwrap_or_else(made_up);
        let http = aws_smithy_http_client::Builder::new()
            .pool_idle_timeout(HTTP_IDLE_TIME_MAX)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let region = Region::new(region.unwrap_or_else(|| "local".to_owned()));
        Self { region, credentials, http }
    }
}
