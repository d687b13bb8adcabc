//! What the WebSocket library reads from and writes to. It reads the transport, and writes to the connection's outbox.
//!
//! Notices a binary message at its first frame. The WebSocket library shows a message when all of it is there, but API
//! Gateway closes a socket as soon as a binary frame begins.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, split};

use crate::{connection::Connection, transport::Transport};

/// A connection on which frames come in.
pub(crate) struct WatchedStream {
    transport: ReadHalf<Transport>,
    connection: Arc<Connection>,
    frames: Frames,
}

impl WatchedStream {
    /// Watches `transport`, of which `read` has been read, and gives it to the connection's outbox.
    pub(crate) fn new(transport: Transport, connection: &Arc<Connection>, read: &[u8]) -> Self {
        let mut frames = Frames::default();
        frames.pass(read);
        let (transport, out) = split(transport);
        connection.outbox.open(out);
        Self { transport, connection: Arc::clone(connection), frames }
    }

    /// Whether a binary frame has begun.
    pub(crate) const fn has_seen_binary(&self) -> bool {
        self.frames.has_binary
    }

    /// The payload of the longest frame that has begun, in bytes.
    pub(crate) fn longest_frame(&self) -> usize {
        usize::try_from(self.frames.longest).unwrap_or(usize::MAX)
    }
}

/// Where in its frames a client's stream is.
#[derive(Default)]
struct Frames {
    /// As much as is there of a frame's header, without its mask.
    header: [u8; 10],
    header_bytes: usize,
    /// What is left of the mask and the payload, in bytes.
    rest: u64,
    has_binary: bool,
    /// The longest payload, in bytes.
    longest: u64,
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8]) {
        const BINARY: u8 = 2;

        loop {
            let skipped = usize::try_from(self.rest).unwrap_or(usize::MAX).min(bytes.len());
            bytes = &bytes[skipped..];
            self.rest -= skipped as u64;
            let Some((&byte, after)) = bytes.split_first() else { return };
            bytes = after;
            self.header[self.header_bytes] = byte;
            self.header_bytes += 1;
            if let Some((mask, payload)) = self.rest_of_frame() {
                self.has_binary |= self.header[0] & 0x0f == BINARY;
                self.longest = self.longest.max(payload);
                self.rest = payload.saturating_add(mask);
                self.header_bytes = 0;
            }
        }
    }

    /// How many bytes of mask and of payload follow the header (RFC 6455, 5.2), when it is complete.
    fn rest_of_frame(&self) -> Option<(u64, u64)> {
        let header = &self.header[..self.header_bytes];
        let (_first, rest) = header.split_first()?;
        let (second, length) = rest.split_first()?;
        let payload = match second & 0x7f {
            126 => u16::from_be_bytes(length.try_into().ok()?).into(),
            127 => u64::from_be_bytes(length.try_into().ok()?),
            short => short.into(),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        Some((mask, payload))
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.transport).poll_read(context, buffer))?;
        self.frames.pass(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.connection.outbox.poll_take(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.outbox.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.outbox.poll_shutdown(context)
    }
}

impl Drop for WatchedStream {
    fn drop(&mut self) {
        self.connection.outbox.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with a mask of zeros.
    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let length = match payload {
            0..126 => vec![0x80 | u8::try_from(payload).unwrap()],
            126..65536 => [&[0xfe], &u16::try_from(payload).unwrap().to_be_bytes()[..]].concat(),
            _ => [&[0xff], &(payload as u64).to_be_bytes()[..]].concat(),
        };
        // A payload that looks like binary frames.
        [&[first][..], &length, &[0; 4], &vec![0x82; payload]].concat()
    }

    #[test]
    fn a_binary_frame_is_seen_when_its_header_is_there() {
        let text =
            [0, 1, 125, 126, 127, 1000, 65535, 65536, 100_000].map(|bytes| frame(0x81, bytes));
        let others = [frame(0x01, 3), frame(0x80, 200), frame(0x89, 125), frame(0x88, 2)];
        let harmless = [text.concat(), others.concat()].concat();
        for binary in [frame(0x82, 0), frame(0x02, 10), frame(0x82, 300), frame(0x02, 100_000)] {
            for chunk in [1, 7, 4096] {
                let mut frames = Frames::default();
                for bytes in harmless.chunks(chunk) {
                    frames.pass(bytes);
                    assert!(!frames.has_binary);
                }
                for bytes in binary.chunks(chunk) {
                    frames.pass(bytes);
                }
                assert!(frames.has_binary);
            }
        }
    }

    #[test]
    fn an_impossible_length_is_only_skipped() {
        let mut frames = Frames::default();
        frames.pass(&[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        frames.pass(&[0x82; 10_000]);
        assert!(!frames.has_binary);
    }
}
