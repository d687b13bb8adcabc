//! Lambda entry point of the migration.

use lambda_http::{LambdaEvent, lambda_runtime, service_fn};
use migrate::Migrate;
use serde::de::IgnoredAny;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    let migrate = &Migrate::new(&lambda::start()?);
    lambda_runtime::run(service_fn(async |_: LambdaEvent<IgnoredAny>| {
        migrate.handle().await.inspect_err(shared::Error::log)
    }))
    .await
}
