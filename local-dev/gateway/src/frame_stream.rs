//! The library's WebSocket on a TCP connection: how it is set up, and how it reads while it writes.

use std::{future::poll_fn, sync::Arc, task::Poll};

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    connection::Connection, ending::Ending, frame_watch::WatchedStream, limits::Limits,
    transport::Transport,
};

/// What tungstenite reads into, in bytes; every socket has one.
const READ_BUFFER_BYTES: usize = 4 * 1024;

pub(crate) type Stream = WebSocketStream<WatchedStream>;

/// The WebSocket on an upgraded connection, on which its outbox writes from now on. Without `limits`, it takes messages of any
/// size.
pub(crate) async fn open(
    upgraded: Upgraded,
    connection: &Arc<Connection>,
    limits: Option<Limits>,
) -> Stream {
    let buffers =
        WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES).write_buffer_size(0);
    let config = match limits {
        None => buffers.max_frame_size(None).max_message_size(None),
        Some(limits) => buffers
            // It keeps a client that only ever pings from piling up pongs.
            .max_write_buffer_size(2 * limits.message_bytes_max)
            .max_frame_size(Some(limits.frame_bytes_max))
            .max_message_size(Some(limits.message_bytes_max)),
    };
    // Without hyper's wrapping, whose buffer would live as long as the socket.
    let parts = upgraded.downcast::<TokioIo<Transport>>();
    let Parts { io, read_buf, .. } = parts.expect("all connections come from `http1`");
    let io = WatchedStream::new(io.into_inner(), connection, &read_buf);
    let read = read_buf.to_vec();
    drop(read_buf);
    WebSocketStream::from_partially_read(io, read, Role::Server, Some(config)).await
}

/// What has come of reading and writing.
pub(crate) enum Progress {
    /// All that was written is on its way.
    Flushed,
    Received(Message),
}

/// Attends to the connection's outbox, writes what the library has `unflushed`, and reads, whichever comes first. Reading must go on
/// while writing cannot: a client may want to finish sending before it reads. Where it is `text_only`, the beginning of a binary
/// message is an ending.
pub(crate) async fn next(
    stream: &mut Stream,
    connection: &Connection,
    unflushed: bool,
    reads: bool,
    text_only: bool,
) -> Result<Progress, Ending> {
    poll_fn(|context| {
        if let Poll::Ready(error) = connection.outbox.poll_attend(context) {
            return Poll::Ready(Err(tungstenite::Error::Io(error).into()));
        }
        if unflushed && let Poll::Ready(flushed) = stream.poll_flush_unpin(context) {
            return Poll::Ready(flushed.map(|()| Progress::Flushed).map_err(Ending::from));
        }
        if !reads {
            return Poll::Pending;
        }
        let received = stream.poll_next_unpin(context);
        // What came before the binary message has been received before.
        let is_binary = text_only && stream.get_ref().has_seen_binary();
        match received {
            Poll::Pending | Poll::Ready(Some(Err(tungstenite::Error::Capacity(_))))
                if is_binary =>
            {
                Poll::Ready(Err(Ending::BINARY))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Err(Ending::Dropped)),
            Poll::Ready(Some(received)) => Poll::Ready(Ok(Progress::Received(received?))),
        }
    })
    .await
}
