//! The least that a function in Rust with a database can be: it opens a connection and reads one row by its key. What the
//! first answers of the chat's functions are compared with.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "it has no other setting, and nothing of ours")]
    let server: PgConnectOptions = std::env::var("DATABASE_URL")?.parse()?;
    let handler = async |_: LambdaEvent<Value>| -> Result<Value, Error> {
        let mut database = server.connect().await?;
        let row = sqlx::query_scalar("select created_at from users where username = $1");
        let created_at: Option<i64> = row.bind("alice").fetch_optional(&mut database).await?;
        Ok(json!({"statusCode": 200, "body": created_at}))
    };
    run(service_fn(handler)).await
}
