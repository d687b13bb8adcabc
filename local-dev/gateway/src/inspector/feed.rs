//! The live feed: Server-Sent Events.
//!
//! Nothing is queued for a reader. Whenever it has room, it is told what has changed since the last time; when more has
//! happened meanwhile than is remembered, it starts again from a snapshot.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};
use serde::Serialize;
use serde_json::json;
use tokio::{sync::watch, time::sleep};

use super::view::{self, ConnectionView, RefusalView, Summary};
use crate::{RunningGateway, journal::Mark, queues::Queue};

/// How long changes are gathered before they are told, and how long a change to a connection or a queue may go unnoticed.
const GATHER_TIME: Duration = Duration::from_millis(100);
const LOOK_TIME: Duration = Duration::from_millis(500);

/// How many connections are listed. All of them are counted.
const CONNECTIONS_MAX: usize = 500;

/// Somebody who follows.
struct Reader {
    gateway: Arc<RunningGateway>,
    changed: watch::Receiver<()>,
    mark: Mark,
    connections: Option<Connections>,
    queues: Vec<Queue>,
    refusals: Vec<RefusalView>,
    /// What is known and not yet told.
    events: VecDeque<Event>,
}

#[derive(PartialEq, Serialize)]
struct Connections {
    total: usize,
    /// The newest first.
    connections: Vec<ConnectionView>,
}

/// The feed of a gateway, until the gateway ends or the reader leaves.
pub(super) fn feed(
    gateway: Arc<RunningGateway>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let reader = Reader::new(gateway);
    let events = stream::unfold(reader, async |mut reader| {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

impl Reader {
    fn new(gateway: Arc<RunningGateway>) -> Self {
        let changed = gateway.journal.follow();
        let mut reader = Self {
            gateway,
            changed,
            mark: Mark::default(),
            connections: None,
            queues: Vec::new(),
            refusals: Vec::new(),
            events: VecDeque::new(),
        };
        reader.start();
        reader
    }

    /// `None` when the gateway ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            tokio::select! {
                () = self.gateway.closing.cancelled() => return None,
                // It fails only when the journal is gone, and so the gateway.
                changed = self.changed.changed() => changed.ok()?,
                () = sleep(LOOK_TIME) => {}
            }
            sleep(GATHER_TIME).await;
            self.look();
        }
    }

    /// Tells all that there is.
    fn start(&mut self) {
        self.mark = Mark::default();
        let invocations = self.gateway.journal.news(&mut self.mark).entries;
        let invocations: Vec<_> = invocations.iter().rev().map(Summary::of).collect();
        let connections = Connections::of(&self.gateway);
        let queues = view::queues(&self.gateway);
        let refusals = view::refusals(&self.gateway);
        let all = json!({
            "invocations": invocations,
            "connections": connections,
            "queues": queues,
            "refusals": refusals,
        });
        self.tell("snapshot", &all);
        self.connections = Some(connections);
        self.queues = queues;
        self.refusals = refusals;
    }

    /// Tells what is new.
    fn look(&mut self) {
        self.changed.mark_unchanged();
        let news = self.gateway.journal.news(&mut self.mark);
        if news.has_gap {
            self.tell("reset", &json!({}));
            self.start();
            return;
        }
        for entry in &news.entries {
            self.tell("invocation", &Summary::of(entry));
        }
        let connections = Connections::of(&self.gateway);
        if self.connections.as_ref() != Some(&connections) {
            self.tell("connections", &connections);
            self.connections = Some(connections);
        }
        let queues = view::queues(&self.gateway);
        if self.queues != queues {
            self.tell("queues", &queues);
            self.queues = queues;
        }
        let refusals = view::refusals(&self.gateway);
        if self.refusals != refusals {
            self.tell("refusals", &refusals);
            self.refusals = refusals;
        }
    }

    fn tell(&mut self, kind: &str, document: &impl Serialize) {
        let document = json!(document).to_string();
        self.events.push_back(Event::default().event(kind).data(document));
    }
}

impl Connections {
    fn of(gateway: &RunningGateway) -> Self {
        let all = gateway.connections.all();
        let newest = all.iter().rev().take(CONNECTIONS_MAX);
        let connections =
            newest.map(|connection| ConnectionView::of(connection, &gateway.limits)).collect();
        Self { total: all.len(), connections }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        Function, Gateway,
        identifier::Identifier,
        journal::{Call, INVOCATIONS_MAX},
        timestamp::Timestamp,
    };

    fn invoke(gateway: &RunningGateway) {
        let call = Call {
            id: String::new(),
            request_id: Identifier::mint(Timestamp::now()),
            function: Function::new("test", async |_invocation| Ok(Bytes::new())),
            route_key: String::new(),
            event: Bytes::new(),
            time_max: Duration::from_secs(1),
            replay_of: None,
        };
        gateway.journal.begin(call).end(Ok(Bytes::new()));
    }

    /// The kinds of the next events.
    async fn kinds<const N: usize>(reader: &mut Reader) -> [String; N] {
        let mut kinds = [const { String::new() }; N];
        for kind in &mut kinds {
            let event = format!("{:?}", reader.next().await.unwrap());
            let known = ["snapshot", "reset", "invocation", "connections"];
            *kind = known
                .into_iter()
                .find(|kind| event.contains(&format!("event: {kind}")))
                .unwrap()
                .to_owned();
        }
        kinds
    }

    #[tokio::test(start_paused = true)]
    async fn who_lags_behind_starts_again() {
        let gateway = RunningGateway::new(Gateway::default());
        let mut reader = Reader::new(Arc::clone(&gateway));
        assert_eq!(kinds(&mut reader).await, ["snapshot"]);
        invoke(&gateway);
        invoke(&gateway);
        assert_eq!(kinds(&mut reader).await, ["invocation", "invocation"]);
        for _ in 0..=INVOCATIONS_MAX {
            invoke(&gateway);
        }
        assert_eq!(kinds(&mut reader).await, ["reset", "snapshot"]);
        assert!(reader.events.is_empty());
        invoke(&gateway);
        assert_eq!(kinds(&mut reader).await, ["invocation"]);
        gateway.closing.cancel();
        assert!(reader.next().await.is_none());
    }
}
