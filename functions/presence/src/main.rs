//! Lambda entry point of `GET /auth/presence`.

use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::run_http::<presence::Presence>().await
}
