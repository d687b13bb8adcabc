//! The fixture as a Lambda function.

use std::sync::Arc;

use conformance::fixture::{Failure, Fixture};
use lambda_http::lambda_runtime::{self, Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "this is where settings are read")]
    let fixture = Fixture::new(Arc::new(|name| std::env::var(name).ok()), true);
    let handler = service_fn(|event: LambdaEvent<Value>| {
        let fixture = fixture.clone();
        async move {
            let context = json!({
                "request_id": event.context.request_id,
                "deadline_ms": event.context.deadline,
                "arn": event.context.invoked_function_arn,
            });
            let answer = fixture.handle(event.payload, context).await;
            answer.map_err(|failure| diagnose(&failure))
        }
    });
    lambda_runtime::run(handler).await
}

fn diagnose(failure: &Failure) -> Diagnostic {
    Diagnostic {
        error_type: failure.error_type.to_owned(),
        error_message: failure.message.to_owned(),
    }
}
