//! Lambda entry point of `$default`.

use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::run_websocket::<message::Message>().await
}
