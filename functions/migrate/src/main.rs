//! Lambda entry point of the migration.

use migrate::Migrate;
use serde_json::Value;
use shared::lambda::{self, LambdaEvent};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    let settings = lambda::start()?;
    let migrate = &Migrate::new(&settings);
    lambda::run("migrate", &settings, async |event: LambdaEvent<Value>| {
        let LambdaEvent { payload, context } = event;
        migrate.handle(payload, context.deadline).await.inspect_err(shared::Error::log)
    })
    .await
}
