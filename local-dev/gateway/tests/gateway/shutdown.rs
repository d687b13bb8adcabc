//! The end of the gateway.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::{World, closed, send};

#[tokio::test]
async fn sockets_are_closed_and_have_their_disconnect() {
    let mut world = World::start().await;
    let (mut one, _id) = world.connect().await;
    let (mut two, _id) = world.connect().await;
    let address = world.server.local_addr();
    // Connections that are kept alive, one used and one not, and one that will not answer the close frame.
    world.http.get(world.url("/")).send().await.unwrap();
    let _unused = world.tcp().await;
    let (_deaf, _id) = world.connect().await;

    let started = Instant::now();
    let (events, one, two) = tokio::join!(world.stop(), closed(&mut one), closed(&mut two));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(one, (1001, "Going away".to_owned()));
    assert_eq!(two, (1001, "Going away".to_owned()));
    assert_eq!(events, ["$disconnect", "$disconnect", "$disconnect"]);
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn invocations_end_and_their_answers_are_sent() {
    let mut world = World::start().await;
    let url = world.url("/api/script");
    let request = world.http.post(url).header("content-type", "text/plain").body("wait");
    let answer = tokio::spawn(request.send());
    world.event("POST /api/script").await;
    let (mut socket, _id) = world.connect().await;
    send(&mut socket, "wait").await;
    world.event("$default").await;

    let gate = world.gate.clone();
    let (events, ()) = tokio::join!(world.stop(), async {
        assert_eq!(closed(&mut socket).await.0, 1001);
        gate.add_permits(2);
    });
    assert_eq!(events, ["$disconnect"]);
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn functions_that_never_end_are_given_up() {
    let mut world = World::start().await;
    let (mut socket, _id) = world.connect().await;
    send(&mut socket, "hang").await;
    world.event("$default").await;
    let started = Instant::now();
    let (events, _closed) = tokio::join!(world.stop(), closed(&mut socket));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(events, [Value::from("$disconnect")]);
}
