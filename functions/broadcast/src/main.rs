//! Lambda entry point of the queue of broadcasts.

use broadcast::{Broadcast, Event};
use shared::lambda::{self, LambdaEvent};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    let settings = lambda::start()?;
    let broadcast = &Broadcast::new(&settings)?;
    lambda::run("broadcast", &settings, async |event: LambdaEvent<Event>| {
        Ok(broadcast.handle(event.payload).await)
    })
    .await
}
