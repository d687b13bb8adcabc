//! The client of API Gateway's `@connections` API: posts frames to sockets, closes them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_apigatewaymanagement::{
    Client,
    config::{BehaviorVersion, Builder, retry::RetryConfig, timeout::TimeoutConfig},
    error::SdkError,
    primitives::Blob,
};

use crate::{
    aws::Access,
    error::{Error, Result, causes},
    websocket,
};

/// How long one post may take before its connection is given up for this message.
const POST_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest wait before the second try.
const RETRY_BACKOFF: Duration = Duration::from_millis(50);

/// What became of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// API Gateway has it.
    Sent,
    /// The connection is no more (410).
    Gone,
    /// It didn't work out this time: throttled, timed out, a slow client.
    Failed,
}

/// Posts to and closes connections of one WebSocket API.
pub struct Management {
    /// `CONNECTIONS_ENDPOINT`, without which each event names the endpoint.
    endpoint: Option<String>,
    config: Builder,
    concurrency: usize,
    /// The client of the endpoint used last: it keeps HTTP connections alive.
    client: Mutex<Option<(String, Client)>>,
}

impl Management {
    /// Posts in flight in one invocation, unless `BROADCAST_CONCURRENCY` says otherwise.
    pub const DEFAULT_CONCURRENCY: usize = 64;

    /// A client of the API at `endpoint`, or of the one that each event names.
    pub fn new(endpoint: Option<String>, access: Access, concurrency: usize) -> Self {
        let timeouts = TimeoutConfig::builder().operation_timeout(POST_TIMEOUT).build();
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(access.region)
            .credentials_provider(access.credentials)
            .http_client(access.http)
            .timeout_config(timeouts)
            // One more try, within the same time: for a kept HTTP connection that died while the function was frozen,
            // and for a moment's throttling.
            .retry_config(
                RetryConfig::standard().with_max_attempts(2).with_initial_backoff(RETRY_BACKOFF),
            );
        Self { endpoint, config, concurrency, client: Mutex::new(None) }
    }

    /// Posts in flight at once.
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// A client for the API that `event` came from.
    ///
    /// # Errors
    /// When neither a setting nor the event says where that is.
    pub fn client_for(&self, event: &websocket::Event) -> Result<Connections> {
        let endpoint =
            self.endpoint.clone().or_else(|| websocket::connections_endpoint(event)).ok_or_else(
                || Error::internal("the event has no requestContext.domainName and stage"),
            )?;
        Ok(self.connections(endpoint))
    }

    /// A client for the API that `CONNECTIONS_ENDPOINT` names.
    ///
    /// # Errors
    /// When that is not set.
    pub fn client(&self) -> Result<Connections> {
        let endpoint = self.endpoint.clone();
        Ok(self.connections(
            endpoint.ok_or_else(|| Error::internal("CONNECTIONS_ENDPOINT is not set"))?,
        ))
    }

    fn connections(&self, endpoint: String) -> Connections {
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((of, client)) if *of == endpoint => Connections(client.clone()),
            _ => {
                let config = self.config.clone().endpoint_url(&endpoint).build();
                let client = Client::from_conf(config);
                *kept = Some((endpoint, client.clone()));
                Connections(client)
            }
        }
    }
}

/// The connections of one WebSocket API.
pub struct Connections(Client);

impl Connections {
    /// Sends a frame to a connection. Failures other than "gone" are logged here; none is worth stopping for.
    pub async fn post(&self, connection_id: &str, frame: &str) -> Delivery {
        let posted = self
            .0
            .post_to_connection()
            .connection_id(connection_id)
            .data(Blob::new(frame))
            .send()
            .await;
        match posted {
            Ok(_) => Delivery::Sent,
            Err(error) if is_gone(&error) => Delivery::Gone,
            Err(error) => {
                tracing::warn!(recipient = connection_id, error = %causes(&error), "post failed");
                Delivery::Failed
            }
        }
    }

    /// Closes a connection and says whether it is closed now. One that was gone already is; other failures are logged
    /// here.
    pub async fn close(&self, connection_id: &str) -> bool {
        match self.0.delete_connection().connection_id(connection_id).send().await {
            Ok(_) => true,
            Err(error) if is_gone(&error) => true,
            Err(error) => {
                tracing::warn!(recipient = connection_id, error = %causes(&error), "close failed");
                false
            }
        }
    }
}

/// 410 by status: API Gateway has been seen to send it without the header that makes it a `GoneException`.
fn is_gone<E>(error: &SdkError<E>) -> bool {
    error.raw_response().is_some_and(|response| response.status().as_u16() == 410)
}
