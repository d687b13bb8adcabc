//! Shows a stored message to everyone.

use bytes::Bytes;
use futures_util::future::join;

use crate::{
    chat::Message,
    clock::Clock,
    error::{Error, Result},
    frame::Protocol,
    invocation,
    management::{Connections, Delivery, Post},
    metrics::{Count, Time},
    queue::Queue,
    shard::{self, Shard},
    store::{CONNECTION_LIFE_MAX, Recipient, Store},
};

/// A message, and what it takes to show it. One bad connection harms no other: those found gone are forgotten in one
/// statement at the end, those that failed are left alone, those whose session is over are closed.
pub struct Broadcast<'a> {
    /// It is stored: what isn't shown now, a client can fetch by its id.
    pub message: &'a Message,
    /// Where it is posted to.
    pub connections: &'a Connections,
    /// Knows who is there.
    pub store: &'a Store,
    /// Tells who has been there for too long.
    pub clock: &'a Clock,
}

impl Broadcast<'_> {
    /// Shows it to everyone. If that is more than the `queue` wants done at once, the sender is shown it, and the others
    /// are left to the queue; those that it doesn't take are shown it here after all.
    ///
    /// # Errors
    /// When the connections can't be read.
    pub async fn to_everyone(&self, sender: &str, queue: Option<&Queue>) -> Result<()> {
        let shown = async {
            let recipients = self.store.recipients(self.clock.now()).await?;
            let gone = match queue.filter(|queue| recipients.len() > queue.inline_limit()) {
                Some(queue) => self.leave_to(queue, sender, recipients).await,
                None => self.post_to(recipients).await,
            };
            Ok::<_, Error>(gone)
        };
        let gone = invocation::time(Time::FanOut, shown).await?;
        self.forget(&gone).await;
        Ok(())
    }

    /// Shows it to a shard, but for who was told already.
    ///
    /// # Errors
    /// When the connections can't be read.
    pub async fn to_shard(&self, shard: &Shard) -> Result<()> {
        let shown = async {
            let (after, through) = (shard.after.as_deref(), shard.through.as_deref());
            let now = self.clock.now();
            let mut recipients = self.store.recipients_between(after, through, now).await?;
            recipients.retain(|recipient| recipient.connection_id != shard.told);
            Ok::<_, Error>(self.post_to(recipients).await)
        };
        let gone = invocation::time(Time::FanOut, shown).await?;
        self.forget(&gone).await;
        Ok(())
    }

    /// Queues all but the sender, and returns who was found gone on the way.
    async fn leave_to(
        &self,
        queue: &Queue,
        sender: &str,
        recipients: Vec<Recipient>,
    ) -> Vec<String> {
        let is_sender = |recipient: &Recipient| recipient.connection_id == sender;
        let (own, others) = recipients.into_iter().partition(is_sender);
        let mut gone = self.post_to(own).await;
        let shards = shard::cut(self.message.id, sender, others, queue.inline_limit());
        let left = queue.send(shards).await.into_iter().flatten().collect();
        gone.extend(self.post_to(left).await);
        gone
    }

    /// Posts it, and returns the connections that are no more.
    async fn post_to(&self, recipients: Vec<Recipient>) -> Vec<String> {
        let plain = Bytes::from(Protocol::Plain.message(self.message));
        let chat_v1 = Bytes::from(Protocol::ChatV1.message(self.message));
        let too_old = self.clock.now().minus(CONNECTION_LIFE_MAX);
        let (mut gone, mut ended, mut posts) = (Vec::new(), Vec::new(), Vec::new());
        for Recipient { connection_id, protocol, connected_at, session_ended } in recipients {
            if connected_at <= too_old {
                gone.push(connection_id);
            } else if session_ended {
                ended.push(connection_id);
            } else {
                let frame = match protocol {
                    Protocol::Plain => plain.clone(),
                    Protocol::ChatV1 => chat_v1.clone(),
                };
                posts.push(Post { connection_id, frame });
            }
        }
        let (posted, closed) =
            join(self.connections.post_all(&posts), self.connections.close_all(&ended)).await;
        let (mut sent, mut failed) = (0, 0);
        let posted = posts.into_iter().map(|post| post.connection_id).zip(posted);
        for (id, delivery) in posted.chain(ended.into_iter().zip(closed)) {
            match delivery {
                Delivery::Sent => sent += 1,
                Delivery::Gone => gone.push(id),
                Delivery::Later | Delivery::Failed => failed += 1,
            }
        }
        for (count, number) in
            [(Count::Deliveries, sent), (Count::Failed, failed), (Count::Gone, gone.len())]
        {
            invocation::count(count, number);
        }
        gone
    }

    async fn forget(&self, gone: &[String]) {
        if let Err(error) = self.store.delete_gone_connections(gone, self.clock.now()).await {
            // The next message finds them again.
            error.log();
        }
    }
}
