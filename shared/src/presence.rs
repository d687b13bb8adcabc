//! What people are told of each other: who has come, who has left, who is writing.
//!
//! Only in a room of up to [`LIMIT_DEFAULT`] connections, or as many as a setting says: in a larger one there would be as many
//! posts for each who comes as there are people, and nobody could read it. Nothing of it is stored or promised. It never makes
//! fail, and hardly delays, what it comes with; who missed something learns who is there from `GET /auth/presence`.
//!
//! Who has opened a socket asks that once it is open. So everyone whose row is written is told of what comes afterwards, and
//! whoever isn't told yet will ask.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::{
    account::Username,
    clock::Clock,
    error::Result,
    frame::{News, Protocol},
    management::{Connections, Delivery, Post},
    store::{Member, Store},
};

/// Connections in a room whose people are told of each other, unless `PRESENCE_LIMIT` says otherwise.
pub const LIMIT_DEFAULT: usize = 100;

/// How long telling may take in all. A post takes some 15 ms; what takes longer is not worth holding up a handshake for.
const TELLING_TIME_MAX: Duration = Duration::from_secs(1);

/// What it takes to tell.
pub struct Presence<'a> {
    /// Where is posted to.
    pub connections: &'a Connections,
    /// Knows who is there.
    pub store: &'a Store,
    /// Tells who has been there for too long.
    pub clock: &'a Clock,
    /// In a room of more connections nobody is told; `None` is nowhere.
    pub limit: Option<usize>,
}

impl Presence<'_> {
    /// Tells the others who has come with a connection that was just opened, if it is their first. Its row must be written.
    pub async fn joined(&self, username: &Username) {
        let Some(limit) = self.limit else { return };
        let told = async {
            let now = self.clock.now();
            if self.store.note_joined(username, limit, now).await? {
                self.tell_members(limit, vec![News::Joined(username.clone())]).await?;
            }
            Ok(())
        };
        in_time(told).await;
    }

    /// Forgets a connection that API Gateway says is closed, and tells the others if its owner has left with it.
    ///
    /// # Errors
    /// When the connection can't be forgotten.
    pub async fn disconnected(&self, connection_id: &str) -> Result<()> {
        let now = self.clock.now();
        let left = self.store.delete_connection(connection_id, self.limit, now).await?;
        self.tell(left.into_iter().map(News::Left).collect()).await;
        Ok(())
    }

    /// Forgets connections that were found gone, and tells the others whose last ones they were.
    ///
    /// # Errors
    /// When they can't be forgotten.
    pub async fn found_gone(&self, ids: &[String]) -> Result<()> {
        let now = self.clock.now();
        let left = self.store.delete_gone_connections(ids, self.limit, now).await?;
        self.tell(left.into_iter().map(News::Left).collect()).await;
        Ok(())
    }

    /// Tells the others that the owner of a connection is writing something, and says whether that was to be told.
    ///
    /// # Errors
    /// When it can't be known whose connection it is.
    pub async fn typing(&self, connection_id: &str) -> Result<bool> {
        let Some(limit) = self.limit else { return Ok(false) };
        let now = self.clock.now();
        let Some(username) = self.store.note_typing(connection_id, limit, now).await? else {
            return Ok(false);
        };
        self.tell(vec![News::Typing(username)]).await;
        Ok(true)
    }

    async fn tell(&self, news: Vec<News>) {
        let Some(limit) = self.limit.filter(|_| !news.is_empty()) else { return };
        in_time(self.tell_members(limit, news)).await;
    }

    /// Tells a room, and of those who turn out to be gone, too.
    async fn tell_members(&self, limit: usize, mut news: Vec<News>) -> Result<()> {
        // Each time there are fewer who could be found gone.
        while !news.is_empty() {
            let members = self.store.members(limit, self.clock.now()).await?;
            let posts = posts(&news, &members.unwrap_or_default());
            let deliveries = self.connections.post_all(&posts).await;
            let posted = posts.into_iter().zip(deliveries);
            let gone = posted.filter(|(_, delivery)| *delivery == Delivery::Gone);
            let mut gone: Vec<String> = gone.map(|(post, _)| post.connection_id).collect();
            gone.dedup();
            let now = self.clock.now();
            let left = self.store.delete_gone_connections(&gone, Some(limit), now).await?;
            news = left.into_iter().map(News::Left).collect();
        }
        Ok(())
    }
}

/// What is to be posted: to each connection of `chat.v1` what is news to its owner. Who is back, by the time that it is told,
/// hasn't left.
fn posts(news: &[News], members: &[Member]) -> Vec<Post> {
    let is_here = |who: &Username| members.iter().any(|member| member.username == *who);
    let is_so = |news: &&News| !matches!(news, News::Left(who) if is_here(who));
    let news = news.iter().filter(is_so);
    let frames: Vec<(&News, Bytes)> = news.map(|news| (news, news.frame().into())).collect();
    let listeners = members.iter().filter(|member| member.protocol == Protocol::ChatV1);
    listeners
        .flat_map(|member| {
            let frames = frames.iter().filter(|(news, _)| *news.username() != member.username);
            frames.map(|(_, frame)| Post {
                connection_id: member.connection_id.clone(),
                frame: frame.clone(),
            })
        })
        .collect()
}

/// Tells as long as there is time. That it fails is only logged.
async fn in_time(telling: impl Future<Output = Result<()>>) {
    // In a box, so that who awaits it takes little room.
    match timeout(TELLING_TIME_MAX, Box::pin(telling)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => error.log(),
        Err(_elapsed) => tracing::warn!("there was no time to tell everyone who is there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_go_to_others_who_speak_chat_v1_and_only_if_they_are_so() {
        let name = |name: &str| Username::parse(name).unwrap();
        let member = |username: &str, protocol| Member {
            connection_id: format!("{username}'s"),
            username: name(username),
            protocol,
        };
        let members = [
            member("alice", Protocol::ChatV1),
            member("bob", Protocol::ChatV1),
            member("carol", Protocol::Plain),
        ];
        for (news, told) in [
            (News::Joined(name("alice")), &["bob's"][..]),
            (News::Typing(name("carol")), &["alice's", "bob's"]),
            (News::Left(name("dave")), &["alice's", "bob's"]),
            (News::Left(name("carol")), &[]),
        ] {
            let posts = posts(std::slice::from_ref(&news), &members);
            assert!(posts.iter().all(|post| post.frame == news.frame()));
            assert!(posts.iter().map(|post| post.connection_id.as_str()).eq(told.iter().copied()));
        }
        let both = [News::Left(name("dave")), News::Joined(name("bob"))];
        let ids: Vec<String> =
            posts(&both, &members).into_iter().map(|post| post.connection_id).collect();
        assert_eq!(ids, ["alice's", "alice's", "bob's"]);
    }
}
