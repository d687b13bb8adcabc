//! Tells CloudFormation what came of a request, by a PUT to a URL that it has signed.

use std::time::Duration;

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{http::HttpConnector, orchestrator::HttpRequest};
use shared::error::BoxError;
use tokio::time::{sleep, timeout};

/// How often it is tried.
const TRIES: u32 = 4;

/// How long one try may take; all of them have less than a function keeps for this.
const TRY_TIME_MAX: Duration = Duration::from_secs(3);

/// The wait before the second try; then twice as long each time.
const BACKOFF: Duration = Duration::from_millis(200);

/// Puts `answer` where CloudFormation waits for it. Neither is logged: whoever has the URL can answer, too.
///
/// # Errors
/// When it can't be reached, or doesn't take it.
pub(crate) async fn put(url: &str, answer: &str) -> Result<(), BoxError> {
    let connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
    let mut failure = BoxError::from("there was no time");
    for attempt in 0..TRIES {
        if attempt > 0 {
            sleep(BACKOFF * 2_u32.pow(attempt - 1)).await;
        }
        match timeout(TRY_TIME_MAX, put_once(&connector, url, answer)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => failure = error,
            Err(_elapsed) => failure = "it takes too long".into(),
        }
    }
    Err(format!("CloudFormation could not be told: {failure}").into())
}

async fn put_once(connector: &Connector, url: &str, answer: &str) -> Result<(), BoxError> {
    let mut request = HttpRequest::new(answer.into());
    request.set_method("PUT")?;
    request.set_uri(url).map_err(|_shown| "its URL is none")?;
    // The signature of the URL says that there is none.
    request.headers_mut().insert("content-type", "");
    let length = answer.len().to_string();
    request.headers_mut().insert("content-length", length);
    let response = connector.call(request).await.map_err(|error| {
        if error.is_timeout() { "it takes too long" } else { "it cannot be reached" }
    })?;
    if response.status().is_success() {
        return Ok(());
    }
    Err(format!("it answers {}", response.status().as_u16()).into())
}
