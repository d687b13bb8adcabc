//! What waits for one client, and how it goes out: all of it in one write.
//!
//! Whoever has a frame for the client leaves it here and goes on. The courier writes for all sockets; a socket that takes no
//! more is left to its own task, which waits until it does. What the WebSocket library has to say, pongs and close frames,
//! goes the same way, so that frames never mix.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncWrite, WriteHalf};

use crate::{lock::lock, transport::Transport};

/// How many frames go out in one write.
const FRAMES_MAX: usize = 64;

/// The library's frames wait with the library while there is more than this here, in bytes: it knows when there are too many.
const OWN_BYTES_MAX: usize = 16 * 1024;

/// What a frame takes beside its bytes, so that empty ones cannot pile up.
const OVERHEAD_BYTES: usize = size_of::<Bytes>();

/// The frames that wait for one socket, in order.
pub(crate) struct Outbox {
    /// What may wait, in bytes.
    bytes_max: usize,
    waiting: Mutex<Waiting>,
}

/// The client reads more slowly than it is sent to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    /// How many bytes of the first frame have been written.
    written: usize,
    /// What the frames take.
    bytes: usize,
    /// Whether the transport may hold back something.
    unflushed: bool,
    /// There while the socket is.
    transport: Option<WriteHalf<Transport>>,
    by: Writer,
    /// Wakes the socket's task.
    task: Option<Waker>,
    /// Whether nothing more is taken from others than the socket's task.
    is_closed: bool,
    has_failed: bool,
}

/// Who writes next.
#[derive(Default, PartialEq)]
enum Writer {
    /// Nobody has to.
    #[default]
    Nobody,
    /// The courier has been told.
    Courier,
    /// The socket's task: the socket took no more.
    Task,
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, waiting: Mutex::default() }
    }

    /// Leaves a frame. Never waits: a client that does not read must hold up nobody. `Ok` says whether the courier must be
    /// told.
    pub(crate) fn leave(&self, frame: Bytes) -> Result<bool, QueueFull> {
        let mut waiting = lock(&self.waiting);
        // Frames for a socket that closes are lost, as they would be on their way to it.
        if waiting.is_closed {
            return Ok(false);
        }
        if waiting.bytes + frame.len() + OVERHEAD_BYTES > self.bytes_max {
            return Err(QueueFull);
        }
        waiting.push(frame);
        let is_news = waiting.by == Writer::Nobody && waiting.transport.is_some();
        if is_news {
            waiting.by = Writer::Courier;
        }
        Ok(is_news)
    }

    /// Gives the socket, on which its task begins to write what waits.
    pub(crate) fn open(&self, transport: WriteHalf<Transport>) {
        let mut waiting = lock(&self.waiting);
        waiting.transport = Some(transport);
        waiting.by = Writer::Task;
    }

    /// Takes no more from others.
    pub(crate) fn close(&self) {
        lock(&self.waiting).is_closed = true;
    }

    /// Lets go of the socket.
    pub(crate) fn release(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.is_closed = true;
        let transport = waiting.transport.take();
        drop(waiting);
        drop(transport);
    }

    /// What may still be left here, in bytes.
    pub(crate) fn room_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(lock(&self.waiting).bytes)
    }

    /// The courier's part: writes what waits as far as the socket takes it.
    pub(crate) fn deliver(&self) {
        let mut waiting = lock(&self.waiting);
        if waiting.by != Writer::Courier {
            return;
        }
        let outcome = waiting.poll_write(&mut Context::from_waker(Waker::noop()));
        waiting.by = match outcome {
            Poll::Ready(Ok(())) => Writer::Nobody,
            Poll::Ready(Err(_)) | Poll::Pending => Writer::Task,
        };
        // Whatever is wrong, the socket's task meets it, too.
        let task = if waiting.by == Writer::Task { waiting.task.take() } else { None };
        drop(waiting);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The part of the socket's task, between two messages: writes if that is left to it, and waits to be needed. Ready
    /// only when the socket is broken.
    pub(crate) fn poll_attend(&self, context: &mut Context<'_>) -> Poll<io::Error> {
        let mut waiting = lock(&self.waiting);
        if waiting.by == Writer::Task {
            match waiting.poll_write(context) {
                Poll::Ready(Ok(())) => waiting.by = Writer::Nobody,
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending => {}
            }
        }
        match &mut waiting.task {
            Some(task) => task.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes what the library sends.
    pub(crate) fn poll_take(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut waiting = lock(&self.waiting);
        if waiting.bytes > OWN_BYTES_MAX {
            ready!(waiting.poll_write_as_task(context))?;
        }
        waiting.push(Bytes::copy_from_slice(bytes));
        Poll::Ready(Ok(bytes.len()))
    }

    /// Writes all that waits.
    pub(crate) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.waiting).poll_write_as_task(context)
    }

    /// Says that nothing more comes, once all has been written.
    pub(crate) fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = lock(&self.waiting);
        ready!(waiting.poll_write_as_task(context))?;
        match &mut waiting.transport {
            Some(transport) => Pin::new(transport).poll_shutdown(context),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Waiting {
    fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len() + OVERHEAD_BYTES;
        self.frames.push_back(frame);
        self.unflushed = true;
    }

    fn poll_write_as_task(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.poll_write(context);
        self.by = if outcome.is_ready() { Writer::Nobody } else { Writer::Task };
        outcome
    }

    /// Writes what waits. Before the socket is there, that is never done.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_failed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let outcome = self.poll_write_on(context);
        self.has_failed = matches!(outcome, Poll::Ready(Err(_)));
        outcome
    }

    fn poll_write_on(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let Some(transport) = &mut self.transport else { return Poll::Pending };
        let mut transport = Pin::new(transport);
        while let Some(first) = self.frames.front() {
            let written = if self.frames.len() == 1 {
                transport.as_mut().poll_write(context, &first[self.written..])
            } else {
                let mut slices = [IoSlice::new(&[]); FRAMES_MAX];
                let number = self.frames.len().min(FRAMES_MAX);
                for (slice, frame) in slices.iter_mut().zip(&self.frames) {
                    *slice = IoSlice::new(frame);
                }
                slices[0] = IoSlice::new(&first[self.written..]);
                transport.as_mut().poll_write_vectored(context, &slices[..number])
            };
            let mut written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            while let Some(first) = self.frames.front() {
                let rest = first.len() - self.written;
                if written < rest {
                    self.written += written;
                    break;
                }
                written -= rest;
                self.written = 0;
                self.bytes -= first.len() + OVERHEAD_BYTES;
                self.frames.pop_front();
            }
        }
        ready!(transport.poll_flush(context))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_box_takes_nothing_until_it_is_emptied() {
        const BYTES_MAX: usize = 1024 * 1024;

        let outbox = Outbox::new(BYTES_MAX);
        let large = Bytes::from("x".repeat(BYTES_MAX / 2));
        assert_eq!(outbox.leave(large.clone()), Ok(false));
        assert_eq!(outbox.leave(large.clone()), Err(QueueFull));
        let mut small = 0;
        while outbox.leave(Bytes::new()) == Ok(false) {
            small += 1;
        }
        assert!(small < BYTES_MAX / 8, "{small}");
        assert!(outbox.room_bytes() < OVERHEAD_BYTES);
    }

    #[test]
    fn a_closed_box_swallows_what_is_left() {
        let outbox = Outbox::new(100);
        outbox.close();
        assert_eq!(outbox.leave(Bytes::from_static(&[0; 1000])), Ok(false));
        assert_eq!(outbox.room_bytes(), 100);
    }
}
