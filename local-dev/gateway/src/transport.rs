//! What a client's bytes come over: TCP, or TLS on it.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a client may take to begin, and for its TLS handshake. Ours.
const TIME_MAX: Duration = Duration::from_secs(30);

/// A client's connection.
pub(crate) enum Transport {
    Plain(TcpStream),
    /// In a box, since it is many times larger.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// With `tls`, a client that begins with a TLS handshake is answered in TLS. `None` when that fails.
    pub(crate) async fn accept(
        tcp: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) -> Option<Self> {
        match tls {
            Some(tls) if begins_with_tls(&tcp).await => {
                match timeout(TIME_MAX, tls.accept(tcp)).await {
                    Ok(Ok(stream)) => return Some(Self::Tls(Box::new(stream))),
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                    Err(_elapsed) => tracing::debug!(%peer, "TLS handshake took too long"),
                }
                None
            }
            _ => Some(Self::Plain(tcp)),
        }
    }

    /// Whether it is TLS.
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// Whether the client's first byte is the one of a TLS handshake (RFC 8446, 5.1), with which no HTTP request begins.
async fn begins_with_tls(tcp: &TcpStream) -> bool {
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    matches!(timeout(TIME_MAX, tcp.peek(&mut first)).await, Ok(Ok(1))) && first == [HANDSHAKE]
}

/// Has whichever connection there is do something.
macro_rules! with_stream {
    ($transport:expr, $stream:ident => $body:expr) => {
        match $transport.get_mut() {
            Self::Plain(tcp) => {
                let $stream = Pin::new(tcp);
                $body
            }
            Self::Tls(tls) => {
                let $stream = Pin::new(tls);
                $body
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        with_stream!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        with_stream!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with_stream!(self, stream => stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_stream!(self, stream => stream.poll_shutdown(context))
    }
}
