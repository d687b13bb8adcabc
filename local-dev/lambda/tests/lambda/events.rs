//! Events and answers.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lambda::{Account, Config, ConfigError, Function, Invocation, InvokeError};
use serde_json::{Value, json};

use crate::support::{Tested, config, fixture, frozen, pid};

#[tokio::test]
async fn an_event_is_answered_by_an_instance_that_lives_on() {
    let fixture = fixture();
    let event = json!({ "do": "echo", "text": "Grüße, 👋" });
    let first = fixture.invoke("1", event.clone()).await;
    let response: Value = serde_json::from_slice(&first.result.unwrap()).unwrap();
    assert_eq!(response["event"], event);
    assert!(first.cold);
    assert!(first.init_duration.is_some());

    frozen(pid(&response)).await;
    let second = fixture.invoke("2", event).await;
    let again: Value = serde_json::from_slice(&second.result.unwrap()).unwrap();
    assert_eq!(pid(&again), pid(&response));
    assert_eq!(second.instance, first.instance);
    assert!(!second.cold);
    assert_eq!(second.init_duration, None);
}

#[tokio::test]
async fn an_event_that_follows_an_answer_at_once_finds_the_same_instance() {
    let mut config = config();
    config.concurrency_max = 1;
    let fixture = Tested::new(config);
    // An instance may be too slow on a busy machine, but then there is no other.
    for _ in 0..100 {
        match fixture.invoke("1", json!({ "do": "echo" })).await.result {
            Ok(_) | Err(InvokeError::Throttled) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(fixture.ended(), 0);
}

#[tokio::test]
async fn an_event_has_lambdas_headers() {
    let epoch_millis = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let mut config = config();
    config.timeout = Duration::from_millis(123_456);
    config.environment.push(("AWS_REGION".to_owned(), "eu-west-1".to_owned()));
    let fixture = Tested::new(config);
    for trace_id in [Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".to_owned()), None] {
        let before = epoch_millis();
        let invocation = Invocation {
            request_id: "JKJaXmPLvHcESHA=".to_owned(),
            event: r#"{"do":"headers"}"#.into(),
            trace_id: trace_id.clone(),
        };
        let response = fixture.function.invoke(invocation).await.result.unwrap();
        let after = epoch_millis();
        let headers: Vec<(String, String)> = serde_json::from_slice(&response).unwrap();
        let header = |name| headers.iter().find(|(other, _)| other == name).unwrap().1.clone();
        assert_eq!(header("lambda-runtime-aws-request-id"), "JKJaXmPLvHcESHA=");
        assert_eq!(
            header("lambda-runtime-invoked-function-arn"),
            "arn:aws:lambda:eu-west-1:123456789012:function:test"
        );
        assert_eq!(header("content-type"), "application/json");
        let deadline: u128 = header("lambda-runtime-deadline-ms").parse().unwrap();
        assert!((before + 123_456..=after + 123_456).contains(&deadline));
        match trace_id {
            Some(trace_id) => assert_eq!(header("lambda-runtime-trace-id"), trace_id),
            None => assert!(header("lambda-runtime-trace-id").starts_with("Root=1-")),
        }
    }
}

#[tokio::test]
async fn what_a_function_reports_is_its_error() {
    let fixture = fixture();
    let reported = json!({ "errorType": "Sad", "errorMessage": "no luck", "stackTrace": [] });
    let error = fixture.error(json!({ "do": "fail", "error": reported })).await;
    assert_eq!((&*error.error_type, &*error.message), ("Sad", "no luck"));
    let error = fixture.error(json!({ "do": "fail", "error": "of another form" })).await;
    assert_eq!(error.error_type, "Function.Unknown");
    assert_eq!(error.message, r#""of another form""#);
    // Such a function is in order.
    fixture.response(json!({ "do": "echo" })).await;
}

#[tokio::test]
async fn events_and_responses_have_a_largest_size() {
    const BYTES_MAX: usize = 6 * 1024 * 1024;
    let fixture = fixture();
    let large = async |bytes| {
        let event = json!({ "do": "be-large", "bytes": bytes });
        fixture.invoke("request", event).await.result
    };
    assert_eq!(large(BYTES_MAX).await.unwrap().len(), BYTES_MAX);
    fixture.logged(r#"202 {"status":"OK"}"#).await;
    for bytes in [BYTES_MAX + 1, 3 * BYTES_MAX] {
        let InvokeError::Function(error) = large(bytes).await.unwrap_err() else {
            panic!("it is the function's error");
        };
        assert_eq!(error.error_type, "Function.ResponseSizeTooLarge");
        assert_eq!(
            error.message,
            "Response payload size exceeded maximum allowed payload size (6291456 bytes)."
        );
    }
    let told = r#"413 {"errorMessage":"Exceeded maximum allowed payload size (6291456 bytes).","errorType":"RequestEntityTooLarge"}"#;
    fixture.logged(told).await;
    fixture.response(json!({ "do": "echo" })).await;
    assert_eq!(fixture.ended(), 0);

    let event = |bytes| {
        let mut event = br#"{"do":"echo"}"#.to_vec();
        event.resize(bytes, b' ');
        let request_id = "request".to_owned();
        Invocation { request_id, event: Bytes::from(event), trace_id: None }
    };
    fixture.function.invoke(event(BYTES_MAX)).await.result.unwrap();
    let too_large = fixture.function.invoke(event(BYTES_MAX + 1)).await.result.unwrap_err();
    assert!(matches!(too_large, InvokeError::Rejected(_)));
}

#[tokio::test]
async fn ids_that_no_header_and_no_path_can_hold_are_rejected() {
    let fixture = fixture();
    for (request_id, trace_id) in [
        ("", None),
        ("a/b", None),
        ("a b", None),
        ("ä", None),
        ("a\r\nb: c", None),
        ("a", Some("\n")),
    ] {
        let invocation = Invocation {
            request_id: request_id.to_owned(),
            event: Bytes::new(),
            trace_id: trace_id.map(str::to_owned),
        };
        let error = fixture.function.invoke(invocation).await.result.unwrap_err();
        assert!(matches!(error, InvokeError::Rejected(_)), "{request_id:?}: {error}");
    }
    assert_eq!(fixture.log(), []);
}

#[tokio::test]
async fn a_response_may_come_in_chunks_but_not_in_part() {
    let fixture = fixture();
    assert_eq!(fixture.response(json!({ "do": "stream" })).await, json!([1, 2, 3]));
    assert_eq!(fixture.response(json!({ "do": "break-off" })).await, json!("whole"));
}

#[tokio::test]
async fn a_function_that_misbehaves_is_told_so_and_served_on() {
    let mut config = config();
    // It waits for events twice, which is over in no time if it is frozen after the first.
    config.freeze = false;
    let fixture = Tested::new(config);
    let told = fixture.response(json!({ "do": "misbehave" })).await;
    assert_eq!(
        told,
        json!([
            [400, "InvalidRequestID"],
            [400, "InvalidRequestID"],
            [403, "InvalidStateTransition"],
            [403, "Extension.InvalidExtensionName"],
            [404, null],
            [405, null],
            [200, "request"],
        ])
    );
    fixture.logged("again 403").await;
    fixture.logged("error 403").await;
    fixture.logged("waiting 403").await;
    fixture.response(json!({ "do": "echo" })).await;
    fixture.logged("waiting 200").await;
    fixture.response(json!({ "do": "echo" })).await;
    assert_eq!(fixture.ended(), 0);
}

#[tokio::test]
async fn a_function_that_cannot_be_run_is_refused_with_advice() {
    let refused = |config: Config| {
        Function::new(config, Account::default(), std::sync::Arc::new(|_record: &_| {}))
            .err()
            .unwrap()
    };
    let error = refused(Config::new("test", "tests/bootstrap"));
    assert!(matches!(error, ConfigError::BootstrapMissing { .. }));
    let text = error.to_string();
    assert!(text.contains("tests/bootstrap") && text.contains("cargo lambda build"), "{text}");

    let error = refused(Config::new("test", "no/such/bootstrap"));
    assert!(matches!(error, ConfigError::FolderMissing { .. }));
    let text = error.to_string();
    assert!(text.contains("folder no/such is") && text.contains("cargo lambda build"), "{text}");

    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for not_executable in [text, env!("CARGO_MANIFEST_DIR")] {
        let error = refused(Config::new("test", not_executable));
        assert!(matches!(error, ConfigError::BootstrapNotExecutable { .. }));
        assert!(error.to_string().contains("cargo lambda build"), "{error}");
    }

    let changes: [fn(&mut Config); 6] = [
        |config| config.name = String::new(),
        |config| config.timeout = Duration::ZERO,
        |config| config.timeout = Duration::from_secs(901),
        |config| config.init_timeout = Duration::ZERO,
        |config| config.concurrency_max = 0,
        |config| config.environment.push(("A=B".to_owned(), String::new())),
    ];
    for change in changes {
        let mut config = config();
        change(&mut config);
        assert!(matches!(refused(config), ConfigError::OutOfRange(_)));
    }
}
