//! People in one room: sockets that count what they are shown, some of which talk.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    net::SocketAddr,
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    select,
    sync::{Notify, Semaphore},
    time::timeout,
};

use crate::{
    Failure,
    process::Process,
    socket::{Socket, text_frame},
};

/// Handshakes under way at a time.
const HANDSHAKES: usize = 64;

/// How long the last deliveries may take.
const END_TIME_MAX: Duration = Duration::from_secs(30);

/// Somebody in a room.
#[derive(Debug)]
pub(crate) struct Member {
    socket: Socket,
    tally: Tally,
}

/// Opens so many sockets, before anything has been said.
///
/// # Errors
/// When one is refused.
pub(crate) async fn open(
    to: SocketAddr,
    token: &str,
    count: usize,
) -> Result<Vec<Member>, Failure> {
    let places = Semaphore::new(HANDSHAKES);
    try_join_all((0..count).map(async |_| {
        let _place = places.acquire().await?;
        Ok(Member { socket: Socket::open(to, token).await?, tally: Tally::default() })
    }))
    .await
}

/// What was seen while some talked.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) deliveries: usize,
    /// From the first send to the last delivery.
    pub(crate) seconds: f64,
    /// Of the server.
    pub(crate) cpu_seconds: f64,
}

/// Has the first `senders` members talk for some time: each says the next thing when it is shown its last one. Returns when
/// everybody has been shown everything.
///
/// # Errors
/// When somebody is not shown a message, or is shown one twice.
pub(crate) async fn talk(
    members: &mut [Member],
    senders: usize,
    time: Duration,
    server: &Process,
) -> Result<Seen, Failure> {
    let began = Instant::now();
    let cpu_before = server.cpu_seconds()?;
    let talk = Talk {
        until: began + time,
        listeners: members.len(),
        sent: Cell::new(0),
        talking: Cell::new(senders),
        shown: Cell::new(0),
        last: Cell::new(began),
        ended: Notify::new(),
        buffer: RefCell::new(vec![0; 64 * 1024]),
    };
    let listen = members
        .iter_mut()
        .enumerate()
        .map(|(number, member)| talk.take_part(member, (number < senders).then_some(number)));
    let listen = timeout(time + END_TIME_MAX, try_join_all(listen)).await;
    let (shown, sent) = (talk.shown.get(), talk.sent.get());
    listen.map_err(|_elapsed| {
        format!(
            "{sent} messages to {} sockets are {shown} deliveries: some are lost",
            members.len()
        )
    })??;
    Ok(Seen {
        deliveries: shown,
        seconds: talk.last.get().duration_since(began).as_secs_f64(),
        cpu_seconds: server.cpu_seconds_since(cpu_before)?,
    })
}

/// What those in a room know together.
struct Talk {
    until: Instant,
    listeners: usize,
    sent: Cell<usize>,
    /// Those who will say more.
    talking: Cell<usize>,
    shown: Cell<usize>,
    /// When somebody was last shown something.
    last: Cell<Instant>,
    ended: Notify,
    buffer: RefCell<Vec<u8>>,
}

impl Talk {
    /// Listens until the end, and talks if there is a number to do it by.
    async fn take_part(&self, member: &mut Member, number: Option<usize>) -> Result<(), Failure> {
        let mut ended = pin!(self.ended.notified());
        ended.as_mut().enable();
        let Member { socket, tally } = member;
        let mut said = 0;
        let mut mark = String::new();
        if let Some(number) = number {
            mark = self.say(socket, number, said).await?;
        }
        while !self.is_over() {
            select! {
                ready = socket.stream.readable() => ready?,
                () = &mut ended => return Ok(()),
            }
            let (mut shown, mut is_my_turn) = (0, false);
            let mut problem = None;
            socket.read_ready(&mut self.buffer.borrow_mut(), |text| {
                let counted = tally.count(text);
                shown += counted.unwrap_or_else(|is_wrong| {
                    problem = Some(is_wrong);
                    0
                });
                is_my_turn |= !mark.is_empty() && contains(text, mark.as_bytes());
            })?;
            if let Some(problem) = problem {
                return Err(problem);
            }
            self.shown.set(self.shown.get() + shown);
            if let (true, Some(number)) = (is_my_turn, number) {
                if Instant::now() < self.until {
                    said += 1;
                    mark = self.say(socket, number, said).await?;
                } else {
                    mark.clear();
                    self.talking.set(self.talking.get() - 1);
                }
            }
        }
        self.last.set(Instant::now());
        self.ended.notify_waiters();
        Ok(())
    }

    /// Says something, and returns what it can be known by.
    async fn say(
        &self,
        socket: &mut Socket,
        number: usize,
        said: usize,
    ) -> Result<String, Failure> {
        let mark = format!(r#""text":"{number}:{said} "#);
        let text = format!("{number}:{said} is a message of about the usual length for a chat");
        let frame = text_frame(&json!({"action": "send", "text": text}).to_string());
        self.sent.set(self.sent.get() + 1);
        socket.stream.write_all(&frame).await?;
        Ok(mark)
    }

    /// Whether everybody has been shown everything that will be said.
    fn is_over(&self) -> bool {
        self.talking.get() == 0 && self.shown.get() == self.sent.get() * self.listeners
    }
}

/// Which messages somebody was shown. Their ids count from 1 without gaps, but may come a little out of order.
#[derive(Debug, Default)]
struct Tally {
    highest: u64,
    /// Below that, and not yet shown.
    gaps: BTreeSet<u64>,
}

impl Tally {
    /// How many messages a frame has shown.
    ///
    /// # Errors
    /// When it has shown one a second time, or is something else.
    fn count(&mut self, text: &[u8]) -> Result<usize, Failure> {
        // As nearly all of them begin, so that they need not be read.
        if let Some(rest) = text.strip_prefix(br#"{"type":"message","id":"#) {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
            let id = digits.fold(0, |id, digit| id * 10 + u64::from(digit - b'0'));
            return self.note(id).map(|()| 1);
        }
        let frame: Value = serde_json::from_slice(text)?;
        let messages = frame["messages"].as_array();
        let messages = messages.ok_or_else(|| format!("somebody is told {frame}"))?;
        for message in messages {
            self.note(message["id"].as_u64().unwrap_or_default())?;
        }
        Ok(messages.len())
    }

    fn note(&mut self, id: u64) -> Result<(), Failure> {
        if id > self.highest {
            self.gaps.extend(self.highest + 1..id);
            self.highest = id;
        } else if !self.gaps.remove(&id) {
            return Err(format!("somebody is shown message {id} twice").into());
        }
        Ok(())
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_counted_once() {
        let mut tally = Tally::default();
        let one = |id: u64| format!(r#"{{"type":"message","id":{id},"text":"\"id\":9"}}"#);
        for id in [1, 4, 3] {
            assert_eq!(tally.count(one(id).as_bytes()).unwrap(), 1);
        }
        assert_eq!(tally.gaps, [2].into());
        assert!(tally.count(one(3).as_bytes()).is_err());
        let several = br#"{"type":"messages","messages":[{"id":2},{"id":5}]}"#;
        assert_eq!(tally.count(several).unwrap(), 2);
        assert_eq!((tally.highest, tally.gaps.len()), (5, 0));
        assert!(tally.count(several).is_err());
        assert!(tally.count(br#"{"type":"error","code":"rate_limited"}"#).is_err());
    }
}
