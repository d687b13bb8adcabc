//! Lambda entry point of `$disconnect`.

use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::run_websocket::<disconnect::Disconnect>().await
}
