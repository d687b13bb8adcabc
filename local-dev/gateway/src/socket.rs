//! A WebSocket between the 101 and its end: frames in, frames out, timers, and how it is closed.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use tokio::{
    io::{AsyncWriteExt, copy, sink},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{
    RunningGateway,
    connection::{Connection, Moment},
    ending::{Closed, Ending},
    faults::Fault,
    frame_stream::{self, Progress, Stream},
    message::{self, Inbound},
    refusal::Refusal,
    timestamp::Timestamp,
};

/// How long a client may take to read what waits for it and to answer the close frame.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

/// What a message that is being handled takes beside its text, in bytes: tasks and the rest of the event.
const MESSAGE_OVERHEAD_BYTES: usize = 4 * 1024;

/// Runs a socket until it is closed. From the moment it starts to close, the management API no longer finds it.
pub(crate) async fn run(
    gateway: &Arc<RunningGateway>,
    connection: &Arc<Connection>,
    upgraded: Upgraded,
) -> Closed {
    let limits = Some(gateway.limits).filter(|_| !connection.api.echo);
    let stream = frame_stream::open(upgraded, connection, limits).await;
    let mut pump = Pump::new(gateway, connection, stream);
    let Err(ending) = pump.run().await;
    gateway.peaks.frame_bytes.note(pump.stream.get_ref().longest_frame());
    if let Some(refusal) = ending.refusal() {
        gateway.refuse(refusal, connection.id, None);
    }
    gateway.forget(connection);
    if let Ok(Some(stream)) = timeout(CLOSE_TIME_MAX, pump.close(&ending)).await {
        // `$disconnect` does not wait for a client that leaves its end open.
        gateway.tasks.spawn(timeout(CLOSE_TIME_MAX, drain(stream)));
    }
    ending.closed(&gateway.assumptions)
}

/// Takes what a client sends, and attends to its outbox.
struct Pump<'a> {
    gateway: &'a Arc<RunningGateway>,
    connection: &'a Arc<Connection>,
    stream: Stream,
    /// Whether the library has something to say that TCP has not taken yet.
    unflushed: bool,
    /// Room for messages that are being handled, in bytes.
    room: Arc<Semaphore>,
    /// A message for which there is no room yet. As long as there is one, nothing is read.
    held: Option<Inbound>,
    /// How many messages in a row were too many.
    throttled: u32,
    /// When the socket is too old.
    end: Instant,
    /// Goes off when it may be too old, or may have been idle for too long.
    alarm: Pin<Box<Sleep>>,
}

enum Step {
    Alarm,
    Progress(Progress),
    Room(OwnedSemaphorePermit),
}

impl<'a> Pump<'a> {
    fn new(
        gateway: &'a Arc<RunningGateway>,
        connection: &'a Arc<Connection>,
        stream: Stream,
    ) -> Self {
        let now = Instant::now();
        connection.end_idleness(now);
        let end = now + gateway.limits.max_duration;
        Self {
            gateway,
            connection,
            stream,
            unflushed: false,
            room: Arc::new(Semaphore::new(gateway.limits.inbound_bytes_max)),
            held: None,
            throttled: 0,
            end,
            alarm: Box::pin(sleep_until(end.min(now + gateway.limits.idle_timeout))),
        }
    }

    /// Goes on until there is a reason to stop.
    async fn run(&mut self) -> Result<Infallible, Ending> {
        loop {
            match self.step().await? {
                Step::Progress(Progress::Flushed) => self.unflushed = false,
                Step::Alarm => self.check_time()?,
                Step::Progress(Progress::Received(message)) => self.received(message)?,
                Step::Room(room) => {
                    let message = self.held.take().expect("room is awaited for what is held");
                    self.handle(message, room);
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Step, Ending> {
        let Self { gateway, connection, stream, unflushed, .. } = self;
        // An echo goes out before the next message comes in.
        let reads = self.held.is_none() && !(connection.api.echo && *unflushed);
        let room = self.held.as_ref().map_or(0, |held| room_for(gateway, connection, held));
        tokio::select! {
            () = gateway.closing.cancelled() => Err(Ending::GOING_AWAY),
            () = connection.deleted.cancelled() => Err(Ending::DELETED),
            () = connection.is_cut() => Err(Ending::Cut),
            () = &mut self.alarm => Ok(Step::Alarm),
            Ok(room) = Arc::clone(&self.room).acquire_many_owned(room), if self.held.is_some() => {
                Ok(Step::Room(room))
            }
            progress = frame_stream::next(
                stream, connection, *unflushed, reads, !connection.api.echo
            ) => progress.map(Step::Progress),
        }
    }

    /// Whether its time is up. Messages do not move the alarm: it is set again when it was too early.
    fn check_time(&mut self) -> Result<(), Ending> {
        let idle_end = self.connection.idle_since() + self.gateway.limits.idle_timeout;
        let end = self.end.min(idle_end);
        if end <= Instant::now() {
            let refusal = if end == self.end { Refusal::TooOld } else { Refusal::IdleTimeout };
            self.gateway.refuse(refusal, self.connection.id, None);
            return Err(Ending::GOING_AWAY);
        }
        self.alarm.as_mut().reset(end);
        Ok(())
    }

    /// Notes that a message comes in, unless it is the one at which the TCP connection breaks.
    fn message_passes(&self) -> Result<(), Ending> {
        if self.gateway.faults.strikes(Fault::Cut, None) {
            return Err(Ending::Cut);
        }
        self.connection.touch(Moment::now());
        Ok(())
    }

    fn received(&mut self, message: Message) -> Result<(), Ending> {
        match message {
            Message::Close(frame) => return Err(Ending::ByClient(frame)),
            // The library's pong, which repeats the ping, waits to be sent.
            Message::Ping(_) if self.connection.api.echo => self.unflushed = true,
            Message::Ping(_) => {
                let assumptions = &self.gateway.assumptions;
                if assumptions.ping_is_activity {
                    self.connection.note_activity(Timestamp::now());
                }
                if assumptions.ping_resets_idle {
                    self.connection.end_idleness(Instant::now());
                }
                // API Gateway's pongs are empty. This one takes the place of the echo that is about to be sent.
                self.write(Message::Pong(Bytes::new()))?;
            }
            Message::Pong(_) | Message::Frame(_) => {}
            echoed @ (Message::Text(_) | Message::Binary(_)) if self.connection.api.echo => {
                self.message_passes()?;
                self.write(echoed)?;
            }
            Message::Binary(_) => return Err(Ending::BINARY),
            Message::Text(text) => {
                self.message_passes()?;
                self.admit(text)?;
            }
        }
        Ok(())
    }

    /// Has a message handled, at once if there is room, unless it is one too many.
    fn admit(&mut self, text: Utf8Bytes) -> Result<(), Ending> {
        let peaks = &self.gateway.peaks;
        peaks.message_bytes.note(text.len());
        peaks.frame_bytes.note(self.stream.get_ref().longest_frame());
        let message = Inbound::new(self.gateway, &self.connection.api, text);
        if !message.admit(self.gateway, &self.connection.api) {
            message::refuse(self.gateway, self.connection);
            self.throttled = self.throttled.saturating_add(1);
            let too_many = self.throttled == self.gateway.assumptions.throttled_messages_max;
            return if too_many { Err(Ending::TOO_MANY) } else { Ok(()) };
        }
        self.throttled = 0;
        let room = room_for(self.gateway, self.connection, &message);
        match Arc::clone(&self.room).try_acquire_many_owned(room) {
            Ok(room) => self.handle(message, room),
            Err(_none) => self.held = Some(message),
        }
        let taken = self.gateway.limits.inbound_bytes_max - self.room.available_permits();
        peaks.inbound_bytes.note(taken);
        Ok(())
    }

    fn handle(&self, message: Inbound, room: OwnedSemaphorePermit) {
        let (gateway, connection) = (Arc::clone(self.gateway), Arc::clone(self.connection));
        self.gateway.tasks.spawn(async move {
            message::deliver(gateway, connection, message).await;
            drop(room);
        });
    }

    fn write(&mut self, message: Message) -> Result<(), Ending> {
        self.stream.start_send_unpin(message)?;
        self.unflushed = true;
        Ok(())
    }

    /// Sends what waits and the close frame, and waits for the client's. What is left is the TCP connection.
    async fn close(mut self, ending: &Ending) -> Option<Stream> {
        self.connection.outbox.close();
        match ending {
            // The TCP connection ends as it is.
            Ending::Cut => return None,
            Ending::ByGateway(close_frame) => {
                self.stream.close(Some(close_frame.clone())).await.ok()?;
            }
            Ending::ByClient(_) | Ending::Dropped => {}
        }
        // Reading also sends the answer to the client's close frame.
        while let Some(Ok(_)) = self.stream.next().await {}
        Some(self.stream)
    }
}

/// Closes a TCP connection when nothing more comes. There may be more to read, after an error above all; closing with it
/// unread would reset the connection, and the client might never see the close frame.
async fn drain(mut stream: Stream) {
    let io = stream.get_mut();
    if io.shutdown().await.is_ok() {
        copy(io, &mut sink()).await.ok();
    }
}

/// What a message takes of the room for messages, in bytes. What is larger than the room takes all of it.
fn room_for(gateway: &RunningGateway, connection: &Connection, message: &Inbound) -> u32 {
    let room = gateway.limits.inbound_bytes_max;
    let bytes =
        if connection.api.serialize { room } else { message.len() + MESSAGE_OVERHEAD_BYTES };
    u32::try_from(bytes.min(room)).unwrap_or(u32::MAX)
}
