//! TLS on the same port: what comes in it is answered as anything else.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use gateway::Limits;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, ServerName},
    },
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::support::{PATIENCE, World};

/// A certificate for `localhost`: how a server shows it, and how a client trusts it.
fn certificate() -> (Arc<ServerConfig>, TlsConnector) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    (Arc::new(server), TlsConnector::from(Arc::new(client)))
}

async fn start() -> (World, TlsConnector) {
    let (server, connector) = certificate();
    let world = World::start_changed(Limits::default(), None, |gateway, _recorder| {
        gateway.tls = Some(server);
    })
    .await;
    (world, connector)
}

async fn tls(world: &World, connector: &TlsConnector) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, world.tcp().await).await.unwrap()
}

/// Opens a socket on a connection, talks and closes it.
async fn converse<S>(world: &mut World, url: &str, stream: S, proto: &str, port: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut socket, _response) = client_async(url, stream).await.unwrap();
    let event = world.event("$connect").await;
    assert_eq!(event["headers"]["X-Forwarded-Proto"], proto);
    assert_eq!(event["headers"]["X-Forwarded-Port"], port);
    let id = event["requestContext"]["connectionId"].as_str().unwrap().to_owned();

    socket.send(Message::text("hi")).await.unwrap();
    assert_eq!(world.event("$default").await["body"], "hi");
    let large = "x".repeat(128 * 1024);
    let url = world.url(&format!("/ws/@connections/{id}"));
    assert_eq!(world.http.post(url).body(large.clone()).send().await.unwrap().status(), 200);
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(large));

    let close = CloseFrame { code: CloseCode::Library(4001), reason: "bye".into() };
    socket.send(Message::Close(Some(close.clone()))).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Close(Some(close)));
    assert_eq!(world.disconnect().await, (id, 4001, "bye".to_owned()));
}

#[tokio::test]
async fn a_socket_over_tls_lives_as_any_other() {
    let (mut world, connector) = start().await;
    let stream = tls(&world, &connector).await;
    converse(&mut world, "wss://localhost/ws", stream, "https", "443").await;
    let stream = world.tcp().await;
    converse(&mut world, "ws://localhost/ws", stream, "http", "80").await;

    // One that is open in the end is closed in order.
    let stream = tls(&world, &connector).await;
    let (mut socket, _response) = client_async("wss://localhost/ws", stream).await.unwrap();
    world.event("$connect").await;
    let (events, frame) = tokio::join!(world.stop(), timeout(PATIENCE, socket.next()));
    let frame = frame.unwrap().unwrap().unwrap();
    assert!(matches!(&frame, Message::Close(Some(frame)) if frame.code == CloseCode::Away));
    assert_eq!(events, ["$disconnect"]);
}

#[tokio::test]
async fn a_request_over_tls_says_so() {
    let (world, connector) = start().await;
    let request = "GET /api/echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut stream = tls(&world, &connector).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(r#""x-forwarded-port":"443","x-forwarded-proto":"https""#), "{answer}");
    let plain = world.exchange(request).await;
    assert!(plain.contains(r#""x-forwarded-port":"80","x-forwarded-proto":"http""#), "{plain}");
}

#[tokio::test]
async fn the_end_does_not_wait_for_clients_that_have_not_begun() {
    /// Less than what the server gives those that have.
    const TIME_MAX: Duration = Duration::from_millis(900);

    let (world, _connector) = start().await;
    let (_silent, mut stuck) = (world.tcp().await, world.tcp().await);
    // The beginning of a TLS handshake that never goes on.
    stuck.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    // Both have been accepted, when one that came later is answered.
    assert!(world.exchange("GET / HTTP/1.0\r\nhost: a\r\n\r\n").await.starts_with("HTTP/1.0 404"));
    let started = Instant::now();
    world.stop().await;
    assert!(started.elapsed() < TIME_MAX, "{:?}", started.elapsed());
}
