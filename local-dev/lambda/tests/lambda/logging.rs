//! The log.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use lambda::{Account, Entry, Function, Invocation, LogSink, Record, Report, Stream};
use serde_json::json;

use crate::support::{Logged, Tested, fixture, frozen, pid, starting};

#[tokio::test]
async fn lines_have_the_request_id_of_their_event() {
    let fixture = Tested::new(starting("write"));
    for request_id in ["1", "2"] {
        let response = fixture.invoke(request_id, json!({ "do": "write" })).await.result.unwrap();
        frozen(pid(&serde_json::from_slice(&response).unwrap())).await;
    }
    fixture.function.shutdown().await;

    let written = |request_id: Option<&str>, stream, text: &str| Logged {
        request_id: request_id.map(str::to_owned),
        stream: Some(stream),
        text: text.to_owned(),
    };
    let log = fixture.log();
    let on = |stream| -> Vec<Logged> {
        log.iter().filter(|logged| logged.stream == Some(stream)).cloned().collect()
    };
    assert_eq!(
        on(Stream::Stdout),
        [
            written(Some("1"), Stream::Stdout, "starting"),
            written(Some("1"), Stream::Stdout, "to stdout"),
            written(Some("1"), Stream::Stdout, "in two lines"),
            written(Some("2"), Stream::Stdout, "to stdout"),
            written(Some("2"), Stream::Stdout, "in two lines"),
        ]
    );
    // It has an end with the next text at the latest.
    let text = "to stderr without an endto stderr without an end";
    assert_eq!(on(Stream::Stderr).iter().map(|logged| &*logged.text).collect::<Vec<_>>(), [text]);

    let about: Vec<_> = log
        .iter()
        .filter(|logged| logged.stream.is_none())
        .map(|logged| (logged.request_id.as_deref(), &*logged.text))
        .collect();
    assert_eq!(
        about,
        [
            (Some("1"), "START"),
            (Some("1"), "REPORT ok"),
            (Some("2"), "START"),
            (Some("2"), "REPORT ok"),
            (Some("2"), "ENDED shutdown"),
        ]
    );
}

#[tokio::test]
async fn lines_of_a_start_that_fails_have_the_request_id_of_the_event_it_was_for() {
    let fixture = Tested::new(starting("panic"));
    assert!(fixture.invoke("1", json!(null)).await.result.is_err());
    let line = fixture.logged("no such setting").await;
    assert_eq!((line.stream, line.request_id.as_deref()), (Some(Stream::Stderr), Some("1")));
}

#[tokio::test]
async fn a_start_that_fails_is_billed() {
    let (sender, reports) = mpsc::channel();
    let sink: LogSink = Arc::new(move |record: &Record<'_>| match record.entry {
        Entry::InitFailed { duration, .. } => sender.send((duration, None)).unwrap(),
        Entry::Report(Report { duration, billed_duration, .. }) => {
            sender.send((duration, Some(billed_duration))).unwrap();
        }
        _ => {}
    });
    let function = Function::new(starting("exit 1"), Account::default(), sink).unwrap();
    let invocation =
        Invocation { request_id: "1".to_owned(), event: "null".into(), trace_id: None };
    let outcome = function.invoke(invocation).await;
    let (start, _) = reports.recv().unwrap();
    let (duration, billed) = reports.recv().unwrap();
    assert!(start > Duration::from_micros(100) && duration >= start, "{start:?} {duration:?}");
    assert_eq!(outcome.init_duration, None);
    assert!(billed.unwrap() >= duration, "{billed:?}");
}

#[tokio::test]
async fn long_lines_are_cut() {
    let fixture = fixture();
    fixture.response(json!({ "do": "write-much" })).await;
    fixture.function.shutdown().await;
    let log = fixture.log();
    let lines = log.iter().filter(|logged| logged.stream == Some(Stream::Stdout));
    let lengths: Vec<_> = lines.map(|logged| logged.text.len()).collect();
    assert_eq!(lengths, [256 * 1024; 4]);
}
