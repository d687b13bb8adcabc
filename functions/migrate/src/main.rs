//! Lambda entry point of the migration.

use migrate::Migrate;
use serde::de::IgnoredAny;
use shared::lambda::{self, LambdaEvent};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    let settings = lambda::start()?;
    let migrate = &Migrate::new(&settings);
    lambda::run("migrate", &settings, async |_: LambdaEvent<IgnoredAny>| {
        migrate.handle().await.inspect_err(shared::Error::log)
    })
    .await
}
