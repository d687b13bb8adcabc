//! The management API for the same program: it answers as the one over HTTP does, and a request needs no socket.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use bytes::Bytes;
use gateway::{Answer, Credentials, Direct, Limits, Rate};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{World, closed, next_message};

const GONE: &str = "QkT3rfHsDoECHlw=";

async fn start(limits: Limits, fault: Option<&str>) -> (World, Direct) {
    let direct = Direct::default();
    let given = direct.clone();
    let world = World::start_changed(limits, None, |gateway, _recorder| {
        gateway.direct = given;
        if let Some(fault) = fault {
            gateway.faults.set_pair(fault).unwrap();
        }
    });
    (world.await, direct)
}

fn post(direct: &Direct, stage: &str, id: &str, text: &Bytes) -> Answer {
    direct.post_all(stage, [(id, text)]).pop().unwrap()
}

fn status(answer: Answer) -> u16 {
    match answer {
        Answer::Done => 200,
        Answer::Gone => 410,
        Answer::TooMany => 429,
        Answer::TooLarge => 413,
        Answer::Malformed => 400,
        Answer::Failed => 500,
    }
}

#[tokio::test]
async fn a_post_is_answered_as_over_http() {
    let texts = ["hi".into(), vec![b'x'; 128 * 1024 + 1].into(), Bytes::from_static(b"a\xffb")];
    for fault in [None, Some("post-410=1"), Some("post-429=1"), Some("post-500=1")] {
        let (mut world, direct) = start(Limits::default(), fault).await;
        let (_socket, id) = world.connect().await;
        for id in [&id, GONE, "junk"] {
            for text in &texts {
                let url = world.url(&format!("/ws/@connections/{id}"));
                let over_http = world.http.post(url).body(text.clone()).send().await.unwrap();
                let directly = status(post(&direct, "ws", id, text));
                let case = format!("{fault:?} {id} {} bytes", text.len());
                assert_eq!(directly, over_http.status().as_u16(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn posts_to_others_go_on_where_one_fails() {
    let (mut world, direct) = start(Limits::default(), None).await;
    let (mut socket, id) = world.connect().await;
    let texts = ["one", "two"].map(Bytes::from);
    let posts = [(&*id, &texts[0]), (GONE, &texts[0]), ("junk", &texts[0]), (&*id, &texts[1])];
    let answers = direct.post_all("ws", posts);
    assert_eq!(answers, [Answer::Done, Answer::Gone, Answer::Malformed, Answer::Done]);
    for text in ["one", "two"] {
        assert_eq!(next_message(&mut socket).await, Message::text(text));
    }
    assert_eq!(post(&direct, "elsewhere", &id, &texts[0]), Answer::Gone);
}

#[tokio::test]
async fn a_connection_is_closed_once() {
    let (mut world, direct) = start(Limits::default(), None).await;
    let (mut socket, id) = world.connect().await;
    assert_eq!(direct.delete("elsewhere", &id), Answer::Gone);
    assert_eq!(direct.delete("ws", "junk"), Answer::Malformed);
    assert_eq!(direct.delete("ws", &id), Answer::Done);
    assert_eq!(direct.delete("ws", &id), Answer::Gone);
    assert_eq!(closed(&mut socket).await.0, 1000);
}

#[tokio::test]
async fn it_is_throttled_with_all_other_requests() {
    let request_rate = Some(Rate { per_second: 0.0, burst: 3 });
    let (mut world, direct) = start(Limits { request_rate, ..Limits::default() }, None).await;
    let (_socket, id) = world.connect().await;
    let text = Bytes::from("hi");
    let answers = direct.post_all("ws", [(&*id, &text); 2]);
    assert_eq!(answers, [Answer::Done, Answer::Done]);
    let url = world.url(&format!("/ws/@connections/{id}"));
    assert_eq!(world.http.post(&url).body("hi").send().await.unwrap().status(), 200);
    assert_eq!(world.http.post(&url).body("hi").send().await.unwrap().status(), 429);
    assert_eq!(post(&direct, "ws", &id, &text), Answer::TooMany);
    assert_eq!(direct.delete("ws", &id), Answer::TooMany);
}

#[tokio::test]
async fn who_reads_too_slowly_is_sent_no_more() {
    let (mut world, direct) = start(Limits::default(), None).await;
    let (_socket, id) = world.connect().await;
    let text = Bytes::from("x".repeat(128 * 1024));
    // Nothing is written in between, so only the queue takes them.
    let answers = direct.post_all("ws", vec![(&*id, &text); 1000]);
    let taken = answers.iter().take_while(|answer| **answer == Answer::Done).count();
    assert!((1..1000).contains(&taken), "{taken}");
    assert!(answers[taken..].iter().all(|answer| *answer == Answer::TooMany));
}

#[tokio::test]
async fn a_delay_is_told() {
    let (_world, direct) = start(Limits::default(), Some("post-delay=1500")).await;
    assert_eq!(direct.delay().unwrap().as_millis(), 1500);
}

#[tokio::test]
async fn without_a_gateway_there_is_nothing() {
    let direct = Direct::default();
    assert_eq!(post(&direct, "ws", GONE, &"hi".into()), Answer::Gone);
    assert_eq!(direct.delete("ws", GONE), Answer::Gone);
    assert_eq!(direct.delay(), None);
    assert!(direct.call(Request::default()).await.is_none());
}

#[tokio::test]
async fn a_request_without_a_socket_must_be_signed_too() {
    for (credentials, expected) in
        [(None, StatusCode::GONE), (Some(Credentials::default()), StatusCode::FORBIDDEN)]
    {
        let direct = Direct::default();
        let given = direct.clone();
        let world = World::start_changed(Limits::default(), None, |gateway, _recorder| {
            gateway.direct = given;
            gateway.credentials = credentials;
        });
        let _world = world.await;
        let request = Request::post(format!("/ws/@connections/{GONE}"));
        let response = direct.call(request.body(Body::from("hi")).unwrap()).await.unwrap();
        assert_eq!(response.status(), expected);
    }
}
