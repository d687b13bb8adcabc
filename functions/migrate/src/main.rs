//! Lambda entry point of the migration.

use lambda_http::{LambdaEvent, lambda_runtime, service_fn};
use migrate::Migrate;
use serde_json::Value;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    let migrate = &Migrate::new(&lambda::start()?);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let LambdaEvent { payload, context } = event;
        migrate.handle(payload, context.deadline).await.inspect_err(shared::Error::log)
    }))
    .await
}
