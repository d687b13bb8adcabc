//! Lambda entry point of `POST /auth/login`.

use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::run_http::<login::Login>().await
}
