//! A WebSocket between the 101 and its end: frames in, frames out, timers, and how it is closed.

use std::{convert::Infallible, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncWriteExt, copy, sink},
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message, Utf8Bytes,
        error::ProtocolError,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{
    RunningGateway,
    connection::{Connection, OutboundFrame, OutboundFrames},
    lifetime::deliver,
    limits::{FRAME_BYTES_MAX, MESSAGE_BYTES_MAX},
};

/// How long a client may take to read what waits for it and to answer the close frame.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

/// How a connection ended, as its `$disconnect` event tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl Closed {
    /// The TCP connection broke. What API Gateway gives as the reason is not known.
    pub(crate) fn dropped() -> Self {
        Self { code: CloseCode::Abnormal.into(), reason: String::new() }
    }
}

/// Why frames no longer flow.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// The client sent a close frame.
    ByClient(Option<CloseFrame>),
    /// The gateway closes the socket with this frame.
    ByGateway(CloseFrame),
    /// The TCP connection broke.
    Dropped,
}

impl Ending {
    const fn by_gateway(code: CloseCode, reason: &'static str) -> Self {
        Self::ByGateway(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })
    }

    const GOING_AWAY: Self = Self::by_gateway(CloseCode::Away, "Going away");
    const DELETED: Self = Self::by_gateway(CloseCode::Normal, "Connection Closed Normally");
    // API Gateway's reasons for these are not known; the code's registered name says it.
    const BINARY: Self = Self::by_gateway(CloseCode::Unsupported, "Unsupported data");
    const PROTOCOL_ERROR: Self = Self::by_gateway(CloseCode::Protocol, "Protocol error");
    const NOT_UTF8: Self = Self::by_gateway(CloseCode::Invalid, "Invalid frame payload data");
    const TOO_BIG: Self = Self::by_gateway(CloseCode::Size, "Message too big");
}

impl From<tungstenite::Error> for Ending {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Capacity(_) => Self::TOO_BIG,
            tungstenite::Error::Utf8(_) => Self::NOT_UTF8,
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                Self::Dropped
            }
            tungstenite::Error::Protocol(_) => Self::PROTOCOL_ERROR,
            _ => Self::Dropped,
        }
    }
}

impl From<Ending> for Closed {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::ByClient(None) => Self {
                code: CloseCode::Status.into(),
                reason: "Client-side close frame status not set".to_owned(),
            },
            Ending::ByClient(Some(frame)) | Ending::ByGateway(frame) => {
                Self { code: frame.code.into(), reason: frame.reason.to_string() }
            }
            Ending::Dropped => Self::dropped(),
        }
    }
}

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// Runs a socket until it is closed. From the moment it starts to close, the management API no longer finds it.
pub(crate) async fn run(
    gateway: &Arc<RunningGateway>,
    connection: &Arc<Connection>,
    upgraded: Upgraded,
    mut frames: OutboundFrames,
) -> Closed {
    let config = WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        // One message is written at a time. The bound keeps a client that only ever pings from piling up pongs.
        .max_write_buffer_size(2 * MESSAGE_BYTES_MAX)
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .max_message_size(Some(MESSAGE_BYTES_MAX));
    let io = TokioIo::new(upgraded);
    let mut stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let Err(ending) = pump(gateway, connection, &mut stream, &mut frames).await;
    gateway.connections.remove(&connection.id.to_string());
    timeout(CLOSE_TIME_MAX, close(stream, frames, &ending)).await.ok();
    ending.into()
}

/// Moves frames in both directions until there is a reason to stop.
async fn pump(
    gateway: &Arc<RunningGateway>,
    connection: &Arc<Connection>,
    stream: &mut Stream,
    frames: &mut OutboundFrames,
) -> Result<Infallible, Ending> {
    let limits = gateway.config.limits;
    let end = Instant::now() + limits.max_duration;
    let mut idle_end = Instant::now() + limits.idle_timeout;
    let mut unflushed = false;
    loop {
        let step = tokio::select! {
            () = gateway.closing.cancelled() => return Err(Ending::GOING_AWAY),
            () = connection.deleted.cancelled() => return Err(Ending::DELETED),
            () = sleep_until(end.min(idle_end)) => return Err(Ending::GOING_AWAY),
            Some(frame) = frames.recv(), if !unflushed => Step::Send(frame),
            step = next_step(stream, unflushed) => step?,
        };
        if let Step::Send(_) | Step::Received(Message::Text(_)) = &step {
            connection.touch();
            idle_end = Instant::now() + limits.idle_timeout;
        }
        match step {
            Step::Flushed => unflushed = false,
            Step::Send(frame) => {
                stream.start_send_unpin(Message::text(frame.text))?;
                unflushed = true;
            }
            Step::Received(Message::Text(text)) => {
                let message = deliver(Arc::clone(gateway), Arc::clone(connection), text);
                gateway.tasks.spawn(message);
            }
            Step::Received(Message::Ping(_)) => {
                // API Gateway's pongs are empty. This one takes the place of the echo that is about to be sent.
                stream.start_send_unpin(Message::Pong(Bytes::new()))?;
                unflushed = true;
            }
            Step::Received(Message::Binary(_)) => return Err(Ending::BINARY),
            Step::Received(Message::Close(frame)) => return Err(Ending::ByClient(frame)),
            Step::Received(Message::Pong(_) | Message::Frame(_)) => {}
        }
    }
}

enum Step {
    Send(OutboundFrame),
    Flushed,
    Received(Message),
}

/// Writes what is `unflushed` and reads, whichever comes first. Reading must go on while writing cannot: a client may
/// want to finish sending before it reads.
async fn next_step(stream: &mut Stream, unflushed: bool) -> Result<Step, Ending> {
    poll_fn(|context| {
        if unflushed && let Poll::Ready(flushed) = stream.poll_flush_unpin(context) {
            return Poll::Ready(flushed.map(|()| Step::Flushed).map_err(Ending::from));
        }
        stream.poll_next_unpin(context).map(|received| match received {
            Some(received) => Ok(Step::Received(received?)),
            None => Err(Ending::Dropped),
        })
    })
    .await
}

/// Sends what waits in the queue and the close frame, and waits for the client's.
async fn close(mut stream: Stream, mut frames: OutboundFrames, ending: &Ending) {
    if let Ending::ByGateway(close_frame) = ending {
        while let Ok(frame) = frames.try_recv() {
            if stream.send(Message::text(frame.text)).await.is_err() {
                return;
            }
        }
        if stream.close(Some(close_frame.clone())).await.is_err() {
            return;
        }
    }
    // Reading also sends the answer to the client's close frame.
    while let Some(Ok(_)) = stream.next().await {}
    // After an error there may be more to read; closing with it unread would reset the connection, and the client might
    // never see the close frame.
    let io = stream.get_mut();
    if io.shutdown().await.is_ok() {
        copy(io, &mut sink()).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::error::CapacityError;

    use super::*;

    #[test]
    fn every_ending_has_its_code_and_reason() {
        let client = |code, reason: &'static str| {
            Ending::ByClient(Some(CloseFrame { code, reason: reason.into() }))
        };
        for (ending, code, reason) in [
            (Ending::ByClient(None), 1005, "Client-side close frame status not set"),
            (client(CloseCode::Away, ""), 1001, ""),
            (client(CloseCode::Library(4001), "bye"), 4001, "bye"),
            (Ending::GOING_AWAY, 1001, "Going away"),
            (Ending::DELETED, 1000, "Connection Closed Normally"),
            (Ending::BINARY, 1003, "Unsupported data"),
            (Ending::Dropped, 1006, ""),
        ] {
            assert_eq!(Closed::from(ending), Closed { code, reason: reason.to_owned() });
        }
    }

    #[test]
    fn errors_of_the_client_have_their_close_codes() {
        let too_long = CapacityError::MessageTooLong { size: 2, max_size: 1 };
        for (error, code) in [
            (too_long.into(), 1009),
            (tungstenite::Error::Utf8(String::new()), 1007),
            (ProtocolError::UnmaskedFrameFromClient.into(), 1002),
            (ProtocolError::NonZeroReservedBits.into(), 1002),
            (ProtocolError::ResetWithoutClosingHandshake.into(), 1006),
            (tungstenite::Error::ConnectionClosed, 1006),
            (std::io::Error::from(std::io::ErrorKind::ConnectionReset).into(), 1006),
        ] {
            let text = error.to_string();
            assert_eq!(Closed::from(Ending::from(error)).code, code, "{text}");
        }
    }
}
