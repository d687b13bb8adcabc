//! Lambda entry point of the queue of broadcasts.

use broadcast::Broadcast;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    let settings = lambda::start()?;
    let broadcast = &Broadcast::new(&settings)?;
    lambda::run("broadcast", &settings, async |event| Ok(broadcast.handle(event).await)).await
}
