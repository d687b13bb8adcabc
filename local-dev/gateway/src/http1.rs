//! HTTP/1.1 on the listener's connections, in the clear or in TLS: limits and times where a client could otherwise cost
//! without end.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper::{body::Incoming, server::conn::http1::Builder, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    task::JoinSet,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::{request::Peer, transport::Transport};

/// How long a request's head may take, and how long a connection is kept on which none comes. Ours.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// What is read of a head before the connection is given up with a bare 431. It is much more than API Gateway's limit, so
/// that what is over that is answered as API Gateway does.
const HEAD_BYTES_MAX: usize = 1024 * 1024;

/// As above. A head within API Gateway's 10,240 bytes has room for 2,560 headers at most.
const HEADERS_MAX: usize = 4096;

/// Serves connections until `stop` is cancelled, and then those that are open until their requests are answered. When
/// dropped, it cuts them.
///
/// With `tls`, a client that begins with a TLS handshake is answered in TLS, on the same port.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = select! {
            () = stop.cancelled() => break,
            connection = accept(&listener) => connection,
        };
        let (router, tls, stop) = (router.clone(), tls.clone(), stop.clone());
        connections.spawn(async move {
            // A connection on which that fails is slower, not wrong.
            stream.set_nodelay(true).ok();
            // Nobody waits for a client that has not begun.
            let accepted = stop.run_until_cancelled(Transport::accept(stream, peer, tls)).await;
            if let Some(Some(transport)) = accepted {
                serve_connection(transport, peer, router, stop).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(connection) => return connection,
            // The client is gone again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again in a second");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve_connection(
    transport: Transport,
    address: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    let peer = Peer { address, is_tls: transport.is_tls() };
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        // A client may say that it sends no more, and still wait for its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(transport), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let result = select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(peer = %address, %error, "connection ended");
    }
}
