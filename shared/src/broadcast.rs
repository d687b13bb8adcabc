//! Shows stored messages to everyone, or to a shard of everyone.

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt, future::join, stream::FuturesUnordered};

use crate::{
    chat::{Message, MessageId},
    clock::Clock,
    error::Result,
    frame::Protocol,
    invocation,
    management::{Connections, Delivery, Post},
    metrics::{Count, Time},
    presence::Presence,
    queue::Queue,
    shard::{self, Shard},
    store::{CONNECTION_LIFE_MAX, Recipient, Store, Stretch},
};

/// Connections of one page: to post to them takes at least 200 ms, so there is time to read the next one, and what is in
/// memory is small however many there are.
const PAGE: usize = 2000;

/// Pages that are posted to at once: while a few slow connections hold up the end of one, the next ones go on.
const PAGES_MAX: usize = 4;

/// What it takes to show messages. One bad connection harms no other: those found gone are forgotten together at the
/// end, those that failed are left alone, those whose session is over are closed. What isn't shown now, a client can fetch
/// by its id.
pub struct Broadcast<'a> {
    /// Where is posted to.
    pub connections: &'a Connections,
    /// Knows who is there.
    pub store: &'a Store,
    /// Tells who has been there for too long.
    pub clock: &'a Clock,
    /// In a room of more connections nobody is told whose last one is gone.
    pub presence_limit: Option<usize>,
}

/// Who has said something.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The connection on which it was said.
    pub connection_id: &'a str,
    /// What that speaks.
    pub protocol: Protocol,
}

/// What becomes of posts.
#[derive(Default)]
struct Tally {
    sent: usize,
    failed: usize,
    gone: Vec<String>,
}

impl Broadcast<'_> {
    /// Shows a message to everyone, its sender first. If that is more than the `queue` wants done at once, the others are left
    /// to the queue; those that it doesn't take are shown it here after all.
    ///
    /// # Errors
    /// When the connections can't be read.
    pub async fn to_everyone(
        &self,
        message: &Message,
        sender: Sender<'_>,
        queue: Option<&Queue>,
    ) -> Result<()> {
        let whole = Shard {
            message_id: message.id,
            after: None,
            through: None,
            told: sender.connection_id.to_owned(),
        };
        // One more tells that there are too many.
        let limit = queue.map_or(PAGE, |queue| queue.inline_limit() + 1);
        self.tallied(async |tally| {
            let page =
                self.store.recipients(&[Stretch::ALL], None, limit, self.clock.now()).await?;
            let mut frames = Frames::of([message]);
            let own: Vec<Post> = frames.posts(sender.connection_id, sender.protocol, 1).collect();
            match queue {
                Some(queue) if page.len() > queue.inline_limit() => {
                    let (posted, left) =
                        join(self.connections.post_all(&own), self.leave_to(queue, &whole)).await;
                    tally.add(own, posted);
                    for shard in left? {
                        self.show(&[&shard], &mut frames, Vec::new(), None, tally).await?;
                    }
                    Ok(())
                }
                _ => self.show(&[&whole], &mut frames, own, Some((page, limit)), tally).await,
            }
        })
        .await
    }

    /// Shows the messages of shards to them: to each connection those whose shard has it, in one frame if there can be, but
    /// not what it was told already.
    ///
    /// # Errors
    /// When the connections can't be read.
    ///
    /// # Panics
    /// When the message of a shard is missing.
    pub async fn to_shards(
        &self,
        shards: &[&Shard],
        messages: &BTreeMap<MessageId, Message>,
    ) -> Result<()> {
        self.tallied(async |tally| {
            for shards in shards.chunks(Stretch::NUMBER_MAX) {
                let mut frames =
                    Frames::of(shards.iter().map(|shard| &messages[&shard.message_id]));
                self.show(shards, &mut frames, Vec::new(), None, tally).await?;
            }
            Ok(())
        })
        .await
    }

    /// Does `work`, tells what became of its posts, and forgets who is gone, whether all of it could be done or not.
    async fn tallied(&self, work: impl AsyncFnOnce(&mut Tally) -> Result<()>) -> Result<()> {
        let mut tally = Tally::default();
        let done = invocation::time(Time::FanOut, work(&mut tally)).await;
        for (count, number) in [
            (Count::Deliveries, tally.sent),
            (Count::Failed, tally.failed),
            (Count::Gone, tally.gone.len()),
        ] {
            invocation::count(count, number);
        }
        let Self { connections, store, clock, presence_limit: limit } = *self;
        let forgotten = Presence { connections, store, clock, limit }.found_gone(&tally.gone).await;
        if let Err(error) = forgotten {
            // The next message finds them again.
            error.log();
        }
        done
    }

    /// Cuts a shard of the whole table into small ones for the queue, and returns those that it didn't take.
    async fn leave_to(&self, queue: &Queue, whole: &Shard) -> Result<Vec<Shard>> {
        let cuts = self.store.cuts(queue.inline_limit()).await?;
        let shards = shard::cut(whole.message_id, &whole.told, cuts);
        Ok(shard::join(queue.send(shards).await))
    }

    /// Shows shards their messages, page by page: the next one is read while posts of the ones before run. `ahead` is posted
    /// first. The first page and how many connections were asked for may have been read already.
    async fn show(
        &self,
        shards: &[&Shard],
        frames: &mut Frames<'_>,
        mut ahead: Vec<Post>,
        first: Option<(Arc<[Recipient]>, usize)>,
        tally: &mut Tally,
    ) -> Result<()> {
        let stretches: Vec<Stretch<'_>> = shards.iter().map(|shard| shard.stretch()).collect();
        let read = async |ended: Option<&str>| {
            self.store.recipients(&stretches, ended, PAGE, self.clock.now()).await
        };
        let (mut page, mut limit) = match first {
            Some(first) => first,
            None => (read(None).await?, PAGE),
        };
        let mut posting = FuturesUnordered::new();
        let outcome = loop {
            let ended = page.last().filter(|_| page.len() == limit);
            let ended = ended.map(|last| last.connection_id.clone());
            let work = self.sort_out(&page, shards, frames, tally);
            ahead.extend(work.posts);
            posting.push(self.do_all(std::mem::take(&mut ahead), work.ended));
            let Some(ended) = ended else { break Ok(()) };
            let mut reading = pin!(read(Some(&ended)));
            let next = loop {
                tokio::select! {
                    next = &mut reading => break next,
                    Some(done) = posting.next() => tally.merge(done),
                }
            };
            match next {
                Ok(next) => (page, limit) = (next, PAGE),
                Err(error) => break Err(error),
            }
            while posting.len() >= PAGES_MAX
                && let Some(done) = posting.next().await
            {
                tally.merge(done);
            }
        };
        while let Some(done) = posting.next().await {
            tally.merge(done);
        }
        outcome
    }

    /// What there is to do for the connections of a page.
    fn sort_out(
        &self,
        page: &[Recipient],
        shards: &[&Shard],
        frames: &mut Frames<'_>,
        tally: &mut Tally,
    ) -> Work {
        let too_old = self.clock.now().minus(CONNECTION_LIFE_MAX);
        let mut work = Work::default();
        for recipient in page {
            let Recipient { connection_id, protocol, connected_at, session_ended, stretches } =
                recipient;
            if *connected_at <= too_old {
                tally.gone.push(connection_id.clone());
            } else if *session_ended {
                work.ended.push(connection_id.clone());
            } else {
                let is_for_it = |number: &usize| {
                    stretches & (1 << number) != 0 && shards[*number].told != *connection_id
                };
                let messages = (0..shards.len())
                    .filter(is_for_it)
                    .fold(0, |set, number| set | frames.bit(shards[number].message_id));
                work.posts.extend(frames.posts(connection_id, *protocol, messages));
            }
        }
        work
    }

    async fn do_all(&self, posts: Vec<Post>, ended: Vec<String>) -> Tally {
        let (posted, closed) =
            join(self.connections.post_all(&posts), self.connections.close_all(&ended)).await;
        let mut tally = Tally::default();
        tally.add(posts, posted);
        for (id, delivery) in ended.into_iter().zip(closed) {
            tally.note(id, delivery);
        }
        tally
    }
}

/// What there is to do.
#[derive(Default)]
struct Work {
    posts: Vec<Post>,
    /// Connections to close.
    ended: Vec<String>,
}

impl Tally {
    fn note(&mut self, id: String, delivery: Delivery) {
        match delivery {
            Delivery::Sent => self.sent += 1,
            // One with several frames is gone once.
            Delivery::Gone if self.gone.last() == Some(&id) => {}
            Delivery::Gone => self.gone.push(id),
            Delivery::Later | Delivery::Failed => self.failed += 1,
        }
    }

    fn add(&mut self, posts: Vec<Post>, deliveries: Vec<Delivery>) {
        for (post, delivery) in posts.into_iter().zip(deliveries) {
            self.note(post.connection_id, delivery);
        }
    }

    fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.failed += other.failed;
        self.gone.extend(other.gone);
    }
}

/// The frames of some messages, each encoded once.
struct Frames<'a> {
    /// Oldest first, each once.
    messages: Vec<&'a Message>,
    encoded: HashMap<(Protocol, u32), Vec<Bytes>>,
}

impl<'a> Frames<'a> {
    fn of(messages: impl IntoIterator<Item = &'a Message>) -> Self {
        let messages: BTreeMap<MessageId, &Message> =
            messages.into_iter().map(|message| (message.id, message)).collect();
        Self { messages: messages.into_values().collect(), encoded: HashMap::new() }
    }

    /// The bit that stands for a message in a set of them.
    fn bit(&self, id: MessageId) -> u32 {
        let place = self.messages.iter().position(|message| message.id == id);
        1 << place.expect("shards come with their messages")
    }

    /// The posts that show a set of messages to a connection.
    fn posts(
        &mut self,
        connection_id: &str,
        protocol: Protocol,
        set: u32,
    ) -> impl Iterator<Item = Post> {
        let encode = || {
            let is_in_it = |place: &usize| set & (1 << place) != 0;
            let places = (0..self.messages.len()).filter(is_in_it);
            let messages: Vec<&Message> = places.map(|place| self.messages[place]).collect();
            protocol.messages(&messages).into_iter().map(Bytes::from).collect()
        };
        let frames = self.encoded.entry((protocol, set)).or_insert_with(encode);
        frames
            .iter()
            .map(|frame| Post { connection_id: connection_id.to_owned(), frame: frame.clone() })
    }
}
