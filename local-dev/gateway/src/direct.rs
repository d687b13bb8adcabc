//! The gateway for functions that run in the same program: requests without a socket, and what the management API promises
//! without HTTP and signatures.

use std::{
    fmt,
    net::Ipv4Addr,
    ptr,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::Response,
};
use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    RunningGateway, connection::Moment, dispatch, faults::Fault, identifier, journal::Entry,
    outbox::QueueFull, outgoing, refusal::Refusal, request::Peer, websocket_api::WebSocketApi,
};

/// The connections of a gateway, for whoever is in the same program. It is made before the gateway, and as long as that is not
/// served, there are none.
#[derive(Clone, Default)]
pub struct Direct(Arc<OnceLock<Weak<RunningGateway>>>);

/// What became of a post, or of a wish to see or to close a connection, by the status that the management API would have
/// answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: it is queued, or there; 204: it is closed.
    Done,
    /// 410: there is no such connection.
    Gone,
    /// 429: the client reads too slowly, or there are too many requests.
    TooMany,
    /// 413: it is longer than a message may be.
    TooLarge,
    /// 400: it is no text, or the id is none.
    Malformed,
    /// 500: a fault on demand.
    Failed,
}

impl Direct {
    pub(crate) fn begin(&self, gateway: &Arc<RunningGateway>) {
        // Of two gateways that are given it, it stays with the first.
        self.0.set(Arc::downgrade(gateway)).ok();
    }

    /// How long posts are to be held back: a fault on demand.
    pub fn delay(&self) -> Option<Duration> {
        self.gateway()?.faults.delay_of(Fault::PostDelay, None)
    }

    /// Posts to connections of the API at `stage`, all in one go: every client that gets several of them, or of another
    /// such batch, sees them in the same order.
    pub fn post_all<'a>(
        &self,
        stage: &str,
        posts: impl IntoIterator<Item = (&'a str, &'a Bytes)>,
    ) -> Vec<Answer> {
        let gateway = self.gateway();
        let api = gateway.as_ref().and_then(|gateway| gateway.api_at(stage));
        let (Some(gateway), Some(api)) = (&gateway, api) else {
            return posts.into_iter().map(|_post| Answer::Gone).collect();
        };
        let Some(_entry) = Entry::current() else { return gateway.post_all(api, posts) };
        let began = Instant::now();
        let posts: Vec<_> = posts.into_iter().collect();
        let answers = gateway.post_all(api, posts.iter().copied());
        tell_of_posts(began, posts.iter().map(|(id, _text)| *id), &answers);
        answers
    }

    /// Closes a connection of the API at `stage`.
    pub fn delete(&self, stage: &str, id: &str) -> Answer {
        self.ask(stage, id, |gateway, api| gateway.delete(api, id))
    }

    /// Looks whether a connection of the API at `stage` is there.
    pub fn check(&self, stage: &str, id: &str) -> Answer {
        self.ask(stage, id, |gateway, api| gateway.connections.get(api, id).is_some())
    }

    /// Makes a request about one connection, which says whether there is such.
    fn ask(
        &self,
        stage: &str,
        id: &str,
        request: impl FnOnce(&RunningGateway, &WebSocketApi) -> bool,
    ) -> Answer {
        let Some(gateway) = self.gateway() else { return Answer::Gone };
        let Some(api) = gateway.api_at(stage) else { return Answer::Gone };
        if !gateway.requests.admit() {
            gateway.refuse(Refusal::CallThrottled, id, None);
            return Answer::TooMany;
        }
        if request(&gateway, api) {
            return Answer::Done;
        }
        gateway.refused_call(id, absence(id))
    }

    /// Answers a request of HTTP/1.1 from this very machine as if it had come to the gateway's port; `None` as long as that is
    /// not served.
    pub async fn call(&self, request: Request) -> Option<Response<Body>> {
        let peer = Peer { address: (Ipv4Addr::LOCALHOST, 0).into(), is_tls: false };
        Some(dispatch(State(self.gateway()?), ConnectInfo(peer), request).await)
    }

    fn gateway(&self) -> Option<Arc<RunningGateway>> {
        self.0.get()?.upgrade()
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Direct").finish_non_exhaustive()
    }
}

impl RunningGateway {
    fn api_at(&self, stage: &str) -> Option<&Arc<WebSocketApi>> {
        self.websocket_apis.iter().find(|api| api.stage == stage)
    }

    fn post_all<'a>(
        &self,
        api: &WebSocketApi,
        posts: impl IntoIterator<Item = (&'a str, &'a Bytes)>,
    ) -> Vec<Answer> {
        let now = Moment::now();
        let mut encoder = Encoder { gateway: self, encoded: Vec::new() };
        let mut told = Vec::new();
        let is_faulty = self.faults.are_set();
        let known = self.connections.lock();
        let answers = posts.into_iter().map(|(id, text)| {
            if !self.requests.admit() {
                self.refuse(Refusal::CallThrottled, id, None);
                return Answer::TooMany;
            }
            let frame = match encoder.encode(text) {
                Ok(frame) => frame,
                Err(answer) => return self.refused_call(id, answer),
            };
            if is_faulty
                && let Some(answer) = self.post_fault()
                && identifier::is_well_formed(id)
            {
                return answer;
            }
            let Some(connection) = known.get(api, id, now) else {
                return self.refused_call(id, absence(id));
            };
            match self.leave(connection, frame, now) {
                Ok(false) => Answer::Done,
                Ok(true) => {
                    told.push(Arc::clone(connection));
                    Answer::Done
                }
                Err(QueueFull) => self.refused_call(id, Answer::TooMany),
            }
        });
        let answers = answers.collect();
        drop(known);
        self.courier.tell(told);
        answers
    }

    /// Notes that a call about the connection with this id is refused, with what answers it.
    pub(crate) fn refused_call(&self, id: &str, answer: Answer) -> Answer {
        let refusal = match answer {
            Answer::Gone => Refusal::ConnectionGone,
            Answer::TooMany => Refusal::SlowReader,
            Answer::TooLarge => Refusal::PostTooLarge,
            Answer::Malformed if identifier::is_well_formed(id) => Refusal::PostMalformed,
            Answer::Malformed => Refusal::BadConnectionId,
            Answer::Done | Answer::Failed => return answer,
        };
        self.refuse(refusal, id, None);
        answer
    }

    /// What a fault on demand answers in place of a post.
    pub(crate) fn post_fault(&self) -> Option<Answer> {
        let faults = [
            (Fault::Post410, Answer::Gone),
            (Fault::Post429, Answer::TooMany),
            (Fault::Post500, Answer::Failed),
        ];
        let strikes = |(fault, _): &(Fault, Answer)| self.faults.strikes(*fault, None);
        faults.into_iter().find(strikes).map(|(_, answer)| answer)
    }

    /// What may be sent to a client: text, with whatever stands for bytes that are none, within the size of a message.
    pub(crate) fn check_text(&self, text: &Bytes) -> Result<Bytes, Answer> {
        let text = match str::from_utf8(text) {
            Ok(_) => text.clone(),
            Err(_) if !self.assumptions.invalid_utf8_is_replaced => return Err(Answer::Malformed),
            Err(_) => Bytes::from(String::from_utf8_lossy(text).into_owned()),
        };
        self.peaks.message_bytes.note(text.len());
        if text.len() > self.limits.message_bytes_max {
            return Err(Answer::TooLarge);
        }
        Ok(text)
    }
}

/// How many connections are named of those that are posted to in one go.
const NAMED_MAX: usize = 3;

/// Shows posts as a step of the invocation that makes them, if one does in this task.
pub(crate) fn tell_of_posts<'a>(
    began: Instant,
    ids: impl IntoIterator<Item = &'a str>,
    answers: &[Answer],
) {
    let Some(entry) = Entry::current() else { return };
    let named: Vec<_> = ids.into_iter().take(NAMED_MAX).collect();
    if named.is_empty() {
        return;
    }
    let others = match answers.len() - named.len() {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let label = format!("to {}{others}", named.join(", "));
    let outcomes = [
        (Answer::Done, "sent"),
        (Answer::Gone, "410 gone"),
        (Answer::TooMany, "429 too many"),
        (Answer::TooLarge, "413 too large"),
        (Answer::Malformed, "400 malformed"),
        (Answer::Failed, "500 failed"),
    ];
    let counted = outcomes.map(|(outcome, words)| {
        (answers.iter().filter(|answer| **answer == outcome).count(), words)
    });
    let counted = counted.iter().filter(|(count, _words)| *count > 0);
    let outcome: Vec<_> = counted.map(|(count, words)| format!("{count} {words}")).collect();
    entry.step("post", label, began.elapsed(), outcome.join(", "));
}

/// What is said of a connection that there isn't: it may be gone, or can never have been.
fn absence(id: &str) -> Answer {
    if identifier::is_well_formed(id) { Answer::Gone } else { Answer::Malformed }
}

/// Encodes the texts of a batch, each once: most posts share theirs with others.
struct Encoder<'g, 'a> {
    gateway: &'g RunningGateway,
    encoded: Vec<(&'a Bytes, Result<Bytes, Answer>)>,
}

impl<'a> Encoder<'_, 'a> {
    fn encode(&mut self, text: &'a Bytes) -> Result<Bytes, Answer> {
        // What is shared is in the same place in memory.
        let is_same =
            |(known, _): &&(&Bytes, _)| ptr::eq(&raw const known[..], &raw const text[..]);
        if let Some((_, frame)) = self.encoded.iter().rev().find(is_same) {
            return frame.clone();
        }
        let frame = self
            .gateway
            .check_text(text)
            .map(|text| outgoing::encode(&text, self.gateway.assumptions.outbound_frame_bytes));
        self.encoded.push((text, frame.clone()));
        frame
    }
}
