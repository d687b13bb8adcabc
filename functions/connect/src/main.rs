//! Lambda entry point of `$connect`.

use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::run_websocket::<connect::Connect>().await
}
