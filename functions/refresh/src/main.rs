//! Lambda entry point of `POST /auth/refresh`.

use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::run_http::<refresh::Refresh>().await
}
