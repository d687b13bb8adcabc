//! One port, in the clear and in TLS: functions call `https://…`, as on AWS, and browsers `http://…`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gateway::{Gateway, server::Bound};
use local_dev::certificate::Certificate;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    },
};

/// Sends a request that the gateway refuses, and says how.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let request = b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

/// A client that trusts what `SSL_CERT_FILE` says.
fn client(certificate: &Certificate) -> TlsConnector {
    let [(name, bundle), ..] = certificate.variables();
    assert_eq!(name, "SSL_CERT_FILE");
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::pem_file_iter(bundle).unwrap().map(Result::unwrap);
    let (added, _ignored) = roots.add_parsable_certificates(trusted);
    assert_ne!(added, 0);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

#[tokio::test]
async fn the_same_port_speaks_both() {
    let certificate = Certificate::generate(&["127.0.0.1"]).unwrap();
    let tls = Some(Arc::clone(&certificate.server));
    let server =
        Bound::to("127.0.0.1", 0).await.unwrap().serve(Gateway { tls, ..Gateway::default() });
    let address: SocketAddr = server.local_addr();

    let in_the_clear = exchange(TcpStream::connect(address).await.unwrap()).await;
    for name in ["127.0.0.1", "localhost"] {
        let tcp = TcpStream::connect(address).await.unwrap();
        let tls = client(&certificate).connect(name.try_into().unwrap(), tcp).await.unwrap();
        let status = |answer: &str| answer.lines().next().unwrap().to_owned();
        assert_eq!(status(&exchange(tls).await), status(&in_the_clear));
    }
    server.shutdown().await;
}

#[tokio::test]
async fn half_a_handshake_harms_nobody() {
    let certificate = Certificate::generate(&["127.0.0.1"]).unwrap();
    let tls = Some(Arc::clone(&certificate.server));
    let server =
        Bound::to("127.0.0.1", 0).await.unwrap().serve(Gateway { tls, ..Gateway::default() });
    let address = server.local_addr();

    // One that says nothing, one that begins, one that says nonsense in TLS.
    let _mute = TcpStream::connect(address).await.unwrap();
    let mut begun = TcpStream::connect(address).await.unwrap();
    begun.write_all(&[22, 3, 1]).await.unwrap();
    let mut nonsense = TcpStream::connect(address).await.unwrap();
    nonsense.write_all(&[22; 64]).await.unwrap();
    let mut answer = Vec::new();
    // An alert, and the end.
    nonsense.read_to_end(&mut answer).await.ok();

    let answer = exchange(TcpStream::connect(address).await.unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    timeout(Duration::from_secs(5), server.shutdown()).await.expect("it ends in time");
}
