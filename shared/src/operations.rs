//! The operations of API Gateway's `@connections` API, as the SDK has them.

use aws_runtime::recursion_detection::RecursionDetectionInterceptor;
use aws_sdk_apigatewaymanagement::{
    config::{
        IdentityCache, Layer, RuntimeComponentsBuilder, RuntimePlugin, SharedInterceptor,
        http::HttpResponse, timeout::TimeoutConfig,
    },
    error::{BuildError, SdkError},
    operation::{
        delete_connection::{DeleteConnection, DeleteConnectionInput},
        get_connection::{GetConnection, GetConnectionInput},
        post_to_connection::{PostToConnection, PostToConnectionInput},
    },
    primitives::Blob,
};
use aws_smithy_runtime::client::{
    identity::no_auth::NoAuthIdentityResolver,
    orchestrator::{endpoints::StaticUriEndpointResolver, invoke},
    retries::strategy::NeverRetryStrategy,
};
use aws_smithy_runtime_api::client::{
    auth::static_resolver::StaticAuthSchemeOptionResolver,
    endpoint::EndpointResolverParams,
    http::{HttpClient, HttpConnectorSettings},
    identity::SharedIdentityResolver,
    interceptors::context::{Error, Input},
    runtime_plugin::{RuntimePlugins, SharedRuntimePlugin, StaticRuntimePlugin},
};

use crate::{aws::Access, sigv4::SigV4};

/// What comes of a call.
pub(crate) type Outcome = Result<(), SdkError<Error, HttpResponse>>;

/// The operations on one WebSocket API's connections.
///
/// The SDK's own `Client` puts an operation together anew at each call, out of parts for callers of every kind, which takes
/// longer than the call. Here its parts that write, send and read are put together once, and nothing is looked up that is
/// known, nor watched over that is over in a moment. Tries and time limits are the caller's: a call that is throttled would
/// keep its place among those in flight for all of its waits.
pub(crate) struct Operations {
    post: RuntimePlugins,
    get: RuntimePlugins,
    delete: RuntimePlugins,
}

impl Operations {
    /// On the connections of the API at `endpoint`, a URL.
    pub(crate) fn new(endpoint: &str, access: &Access) -> Self {
        let caller = caller(endpoint, access);
        let operation = |operation: &dyn RuntimePlugin| {
            let own = StaticRuntimePlugin::new()
                .with_config(operation.config().expect("each says how it is written and read"));
            RuntimePlugins::new().with_client_plugin(caller.clone()).with_client_plugin(own)
        };
        Self {
            post: operation(&PostToConnection::new()),
            get: operation(&GetConnection::new()),
            delete: operation(&DeleteConnection::new()),
        }
    }

    /// Sends a frame.
    pub(crate) async fn post(&self, connection_id: &str, frame: Vec<u8>) -> Outcome {
        let input = PostToConnectionInput::builder()
            .connection_id(connection_id)
            .data(Blob::new(frame))
            .build();
        call("PostToConnection", &self.post, input.map(Input::erase)).await
    }

    /// Asks whether a connection is there.
    pub(crate) async fn get(&self, connection_id: &str) -> Outcome {
        let input = GetConnectionInput::builder().connection_id(connection_id).build();
        call("GetConnection", &self.get, input.map(Input::erase)).await
    }

    /// Closes a connection.
    pub(crate) async fn delete(&self, connection_id: &str) -> Outcome {
        let input = DeleteConnectionInput::builder().connection_id(connection_id).build();
        call("DeleteConnection", &self.delete, input.map(Input::erase)).await
    }
}

async fn call(
    operation: &str,
    plugins: &RuntimePlugins,
    input: Result<Input, BuildError>,
) -> Outcome {
    let input = input.map_err(SdkError::construction_failure)?;
    invoke("ApiGatewayManagementApi", operation, input, plugins).await?;
    Ok(())
}

/// What all operations have in common: whom they reach, who signs them, and what sends them.
fn caller(endpoint: &str, access: &Access) -> SharedRuntimePlugin {
    let mut config = Layer::new("caller");
    config.store_put(TimeoutConfig::disabled());
    config.store_put(EndpointResolverParams::new(()));
    let signer = SigV4::new(access.region.clone(), access.credentials.clone());
    let schemes = StaticAuthSchemeOptionResolver::new(vec![SigV4::ID]);
    let nobody = SharedIdentityResolver::new(NoAuthIdentityResolver::new());
    // Says in a header whose invocation calls, by which AWS finds functions that call themselves without end.
    let caller = SharedInterceptor::permanent(RecursionDetectionInterceptor::new());
    let components = RuntimeComponentsBuilder::new("caller")
        .with_http_client(Some(access.http()))
        .with_endpoint_resolver(Some(StaticUriEndpointResolver::uri(endpoint)))
        .with_auth_scheme_option_resolver(Some(schemes))
        .with_auth_scheme(signer)
        .with_identity_cache(Some(IdentityCache::no_cache()))
        .with_identity_resolver(SigV4::ID, nobody)
        .with_retry_strategy(Some(NeverRetryStrategy::new()))
        .with_interceptor(caller);
    // What sends is made now, when a function mostly waits for its database still, and not for the first call.
    if let Ok(complete) = components.clone().build() {
        access.http().http_connector(&HttpConnectorSettings::builder().build(), &complete);
    }
    SharedRuntimePlugin::new(
        StaticRuntimePlugin::new().with_config(config.freeze()).with_runtime_components(components),
    )
}
