//! The client of API Gateway's `@connections` API: posts frames to sockets, closes them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_apigatewaymanagement::{config::http::HttpResponse, error::SdkError};
use aws_smithy_runtime_api::client::interceptors::context;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    aws::Access,
    backoff::Backoff,
    error::{Error, Result, causes},
    operations::{Operations, Outcome},
    websocket,
};

/// How long one call may take before it has failed.
const CALL_TIME_MAX: Duration = Duration::from_secs(3);

/// The waits before a call is made again that was throttled or met a failure of the moment: 1.8 seconds in all on average. As
/// long as no more than a quarter of the calls is throttled, eight tries are in vain for one post in 65,000. A slow client,
/// which is answered 429 as well, is given up after at most 3.6 seconds.
const BACKOFF: Backoff = Backoff::new(7, Duration::from_millis(50), Duration::from_secs(1));

/// A frame for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Whose it is.
    pub connection_id: String,
    /// What is sent, as text; the posts of one message share it.
    pub frame: Bytes,
}

/// What became of a post, or of closing a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// API Gateway has it; the connection is closed.
    Sent,
    /// The connection is no more (410).
    Gone,
    /// Not now, perhaps in a moment: throttled, a slow client, API Gateway in trouble. [`Connections`] tries again.
    Later,
    /// It didn't work out this time.
    Failed,
}

/// What stands for `@connections` where API Gateway is in this very program.
pub trait Push: Send + Sync {
    /// Sends frames, each connection's in their order, and says of each what became of it. Two batches are not mixed: every
    /// client sees them in the same order.
    fn post_all(&self, posts: &[Post]) -> Vec<Delivery>;

    /// Closes a connection.
    fn close(&self, connection_id: &str) -> Delivery;

    /// Looks whether a connection is there: [`Delivery::Sent`] if it is.
    fn check(&self, connection_id: &str) -> Delivery;

    /// How long to wait before each batch, if that is to be tried out.
    fn delay(&self) -> Option<Duration> {
        None
    }
}

/// Posts to and closes connections of one WebSocket API.
pub struct Management {
    way: Way,
    /// Calls in flight in one invocation.
    concurrency: usize,
}

enum Way {
    Call {
        /// `CONNECTIONS_ENDPOINT`, without which each event names the endpoint.
        endpoint: Option<String>,
        access: Access,
        /// The operations at the endpoint used last.
        operations: Mutex<Option<(String, Arc<Operations>)>>,
    },
    Push(Arc<dyn Push>),
}

impl Management {
    /// Posts in flight in one invocation, unless `BROADCAST_CONCURRENCY` says otherwise: so many that at 512 MB the processor
    /// is what binds. Simulated with 10 to 15 ms for a post and 138 µs of waiting for the processor (40 µs of work at 29 % of
    /// one), an invocation posts 1,250 a second with 16 in flight, 2,460 with 32, 4,750 with 64, 6,660 with 96, and 6,670 with
    /// 128 or more. On a whole, busy processor, with the SDK over HTTP/1.1 and the same times, it was 1,130 with 16, 4,170 with 64,
    /// 5,920 with 96, 7,190 with 128 and 8,510 with 256. More than 128 may not fit into one HTTP/2 connection.
    ///
    /// `broadcast` is deployed with 96, since two of it run at a time. Of what API Gateway's 10,000 requests a second allow they
    /// use 97 % then to reach 100,000 connections, and a seventh of their calls is throttled; with 128 it is 95 to 96 % and a fifth
    /// (`cargo xtask bench`).
    pub const DEFAULT_CONCURRENCY: usize = 128;

    /// A client of the API at `endpoint`, or of the one that each event names.
    pub fn new(endpoint: Option<String>, access: Access, concurrency: usize) -> Self {
        Self { way: Way::Call { endpoint, access, operations: Mutex::default() }, concurrency }
    }

    /// One that pushes, wherever an event comes from.
    pub fn pushing(push: Arc<dyn Push>) -> Self {
        // Pushing takes no time, so nothing is in flight.
        Self { way: Way::Push(push), concurrency: 1 }
    }

    /// A client for the API that `event` came from.
    ///
    /// # Errors
    /// When neither a setting nor the event says where that is.
    pub fn client_for(&self, event: &websocket::Event) -> Result<Connections> {
        let named = || websocket::connections_endpoint(event);
        self.connections(named, "the event has no requestContext.domainName and stage")
    }

    /// A client for the API that `CONNECTIONS_ENDPOINT` names.
    ///
    /// # Errors
    /// When that is not set.
    pub fn client(&self) -> Result<Connections> {
        self.connections(|| None, "CONNECTIONS_ENDPOINT is not set")
    }

    fn connections(
        &self,
        named: impl FnOnce() -> Option<String>,
        lacking: &'static str,
    ) -> Result<Connections> {
        let permits = Semaphore::new(self.concurrency);
        let (endpoint, access, operations) = match &self.way {
            Way::Push(push) => return Ok(Connections { to: To::Push(Arc::clone(push)), permits }),
            Way::Call { endpoint, access, operations } => (endpoint, access, operations),
        };
        let endpoint = endpoint.clone().or_else(named).ok_or_else(|| Error::internal(lacking))?;
        let mut kept = operations.lock().unwrap_or_else(PoisonError::into_inner);
        let (_endpoint, operations) = match kept.take() {
            Some((of, operations)) if of == endpoint => kept.insert((of, operations)),
            _ => {
                let operations = Arc::new(Operations::new(&endpoint, access));
                kept.insert((endpoint, operations))
            }
        };
        Ok(Connections { to: To::Call(Arc::clone(operations)), permits })
    }
}

/// The connections of one WebSocket API, as one invocation sees them.
pub struct Connections {
    to: To,
    /// One for each call in flight.
    permits: Semaphore,
}

enum To {
    Call(Arc<Operations>),
    Push(Arc<dyn Push>),
}

impl Connections {
    /// Sends frames, and says of each what became of it, which is never [`Delivery::Later`]. Posts to the same connection
    /// stand side by side: they are sent one after the other, and none after one that wasn't. What is throttled or meets a
    /// failure of the moment is tried again a few times while the others go on. Failures other than "gone" are logged here;
    /// none is worth stopping for.
    pub async fn post_all(&self, posts: &[Post]) -> Vec<Delivery> {
        match &self.to {
            To::Call(operations) => {
                let of_one = posts.chunk_by(|one, next| one.connection_id == next.connection_id);
                let deliveries = of_one.map(|posts| self.post_in_turn(operations, posts));
                join_all(deliveries).await.concat()
            }
            To::Push(push) => push_all(&**push, posts).await,
        }
    }

    /// Sends a frame to a connection, in the same way.
    pub async fn post(&self, connection_id: &str, frame: impl Into<Bytes>) -> Delivery {
        let post = Post { connection_id: connection_id.to_owned(), frame: frame.into() };
        self.post_all(&[post]).await.pop().unwrap_or(Delivery::Failed)
    }

    /// Closes connections, and says of each what became of it, in the same way. One that is closed now is gone.
    pub async fn close_all(&self, connection_ids: &[String]) -> Vec<Delivery> {
        join_all(connection_ids.iter().map(|id| self.close(id))).await
    }

    /// Closes a connection, in the same way.
    pub async fn close(&self, connection_id: &str) -> Delivery {
        let delivery = match &self.to {
            To::Call(operations) => {
                let call = || operations.delete(connection_id);
                self.repeat("close failed", connection_id, call).await
            }
            To::Push(push) => push.close(connection_id),
        };
        match delivery {
            Delivery::Sent => Delivery::Gone,
            Delivery::Later => Delivery::Failed,
            other => other,
        }
    }

    /// Those of these connections that are no more, as far as API Gateway says so. A failure is logged here, and says nothing of
    /// a connection.
    pub async fn gone_among(&self, connection_ids: Vec<String>) -> Vec<String> {
        let checks = join_all(connection_ids.iter().map(|id| self.check(id))).await;
        let checked = connection_ids.into_iter().zip(checks);
        checked.filter_map(|(id, found)| (found == Delivery::Gone).then_some(id)).collect()
    }

    async fn check(&self, connection_id: &str) -> Delivery {
        match &self.to {
            To::Call(operations) => {
                let call = || operations.get(connection_id);
                self.repeat("check failed", connection_id, call).await
            }
            To::Push(push) => push.check(connection_id),
        }
    }

    /// Sends one connection's frames.
    async fn post_in_turn(&self, operations: &Operations, posts: &[Post]) -> Vec<Delivery> {
        let mut deliveries = Vec::with_capacity(posts.len());
        for Post { connection_id, frame } in posts {
            let call = || operations.post(connection_id, frame.to_vec());
            let delivery = self.repeat("post failed", connection_id, call).await;
            deliveries.push(delivery);
            if delivery != Delivery::Sent {
                deliveries.resize(posts.len(), delivery);
                break;
            }
        }
        deliveries
    }

    /// Makes a call until it is settled, and logs `failure` if it fails for good. A call that comes again keeps its place
    /// among those in flight for the first, shortest wait: so fewer are made while API Gateway takes no more. For any longer
    /// one the others go on, since a slow client is answered 429 as well.
    async fn repeat<F: Future<Output = Outcome>>(
        &self,
        failure: &'static str,
        recipient: &str,
        call: impl Fn() -> F,
    ) -> Delivery {
        let mut backoff = BACKOFF;
        let mut is_first = true;
        let mut kept = None;
        loop {
            let permit = match kept.take() {
                Some(permit) => permit,
                None => self.permits.acquire().await,
            };
            // In a box, so that who waits for a permit takes little room.
            let outcome = timeout(CALL_TIME_MAX, Box::pin(call())).await;
            kept = std::mem::take(&mut is_first).then_some(permit);
            let error = match outcome {
                Ok(Ok(())) => return Delivery::Sent,
                Ok(Err(error)) => error,
                Err(_elapsed) => {
                    tracing::warn!(recipient, error = "no answer in time", "{failure}");
                    return Delivery::Failed;
                }
            };
            let delivery = delivery_of(&error);
            if delivery == Delivery::Gone {
                return Delivery::Gone;
            }
            if delivery == Delivery::Failed || !backoff.wait().await {
                tracing::warn!(recipient, error = %causes(&error), "{failure}");
                return Delivery::Failed;
            }
        }
    }
}

/// Pushes until all is settled, within a few tries.
async fn push_all(push: &dyn Push, posts: &[Post]) -> Vec<Delivery> {
    if let Some(delay) = push.delay() {
        tokio::time::sleep(delay).await;
    }
    let mut deliveries = push.post_all(posts);
    let mut backoff = BACKOFF;
    loop {
        let is_late = |index: &usize| deliveries[*index] == Delivery::Later;
        let late: Vec<usize> = (0..posts.len()).filter(is_late).collect();
        if late.is_empty() {
            return deliveries;
        }
        let is_over = !backoff.wait().await;
        let again: Vec<Post> = late.iter().map(|index| posts[*index].clone()).collect();
        let settled =
            if is_over { vec![Delivery::Failed; again.len()] } else { push.post_all(&again) };
        for (index, delivery) in late.into_iter().zip(settled) {
            if is_over {
                let recipient = &posts[index].connection_id;
                tracing::warn!(recipient, error = "it takes no more", "post failed");
            }
            deliveries[index] = delivery;
        }
    }
}

/// What an error of `@connections` comes to. Gone by status: API Gateway has been seen to send 410 without the header that
/// makes it a `GoneException`. A call that got no answer at all met, most likely, a kept HTTP connection that has died.
fn delivery_of(error: &SdkError<context::Error, HttpResponse>) -> Delivery {
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(410) => Delivery::Gone,
        Some(429 | 500..) => Delivery::Later,
        None if matches!(error, SdkError::DispatchFailure(_)) => Delivery::Later,
        _ => Delivery::Failed,
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::{
        client::{
            http::{
                HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
                http_client_fn,
            },
            orchestrator::HttpRequest,
        },
        http::StatusCode,
    };
    use tokio::time::Instant;

    use super::*;
    use crate::{aws::Trust, invocation::Invocation};

    /// Connections that are called by what becomes of posts to them: `gone`, `failed`, or the number of tries that they take.
    #[derive(Default)]
    struct Moody {
        batches: Mutex<Vec<Vec<String>>>,
    }

    impl Moody {
        fn outcome(&self, id: &str) -> Delivery {
            let batches = self.batches.lock().unwrap();
            let tries = batches.iter().flatten().filter(|other| *other == id).count();
            match id.parse::<usize>() {
                Ok(needed) if tries < needed => Delivery::Later,
                Ok(_) => Delivery::Sent,
                Err(_) if id == "gone" => Delivery::Gone,
                Err(_) => Delivery::Failed,
            }
        }
    }

    impl Push for Moody {
        fn post_all(&self, posts: &[Post]) -> Vec<Delivery> {
            let ids = posts.iter().map(|post| post.connection_id.clone()).collect();
            self.batches.lock().unwrap().push(ids);
            posts.iter().map(|post| self.outcome(&post.connection_id)).collect()
        }

        fn close(&self, connection_id: &str) -> Delivery {
            self.outcome(connection_id)
        }

        fn check(&self, connection_id: &str) -> Delivery {
            self.outcome(connection_id)
        }
    }

    fn connections() -> (Arc<Moody>, Connections) {
        let moody = Arc::<Moody>::default();
        let push: Arc<dyn Push> = Arc::<Moody>::clone(&moody);
        (moody, Management::pushing(push).client().unwrap())
    }

    fn posts(ids: &[&str]) -> Vec<Post> {
        let frame = Bytes::from_static(b"hello");
        ids.iter()
            .map(|id| Post { connection_id: (*id).to_owned(), frame: frame.clone() })
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_late_is_pushed_again_a_few_times_and_nothing_else_is() {
        use Delivery::{Failed, Gone, Sent};
        let (moody, connections) = connections();
        let began = Instant::now();
        let deliveries =
            connections.post_all(&posts(&["9", "1", "gone", "3", "failed", "8"])).await;
        assert_eq!(deliveries, [Failed, Sent, Gone, Sent, Failed, Sent]);
        let batches = moody.batches.lock().unwrap().clone();
        assert_eq!(batches[0], ["9", "1", "gone", "3", "failed", "8"]);
        assert!(batches[1..3].iter().all(|batch| *batch == ["9", "3", "8"]));
        assert!(batches[3..].iter().all(|batch| *batch == ["9", "8"]));
        assert_eq!(batches.len(), 8);
        assert!(began.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_pushed_again_when_time_is_up() {
        let (moody, connections) = connections();
        let hurried = Invocation::unmeasured("a function", "1").with_time(Duration::from_secs(3));
        let deliveries = hurried.scope(connections.post_all(&posts(&["1", "2"]))).await;
        assert_eq!(deliveries, [Delivery::Sent, Delivery::Failed]);
        assert_eq!(moody.batches.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_closed_is_gone() {
        let (_, connections) = connections();
        let ids = ["0", "gone", "failed", "1"].map(str::to_owned);
        let closed = connections.close_all(&ids).await;
        // The last one takes a post first.
        assert_eq!(closed, [Delivery::Gone, Delivery::Gone, Delivery::Failed, Delivery::Failed]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_said_to_be_gone_is_taken_for_gone() {
        let (_, connections) = connections();
        let ids = ["0", "gone", "failed", "1"].map(str::to_owned).to_vec();
        assert_eq!(connections.gone_among(ids).await, ["gone"]);
    }

    /// API Gateway, which throttles every post to the connection `slow`.
    #[derive(Clone, Debug, Default)]
    struct Throttle {
        /// Whose posts came, in their order.
        posts: Arc<Mutex<Vec<String>>>,
    }

    impl HttpConnector for Throttle {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let id = request.uri().rsplit('/').next().unwrap().to_owned();
            let status = if id == "slow" { 429 } else { 200 };
            self.posts.lock().unwrap().push(id);
            let status = StatusCode::try_from(status).unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, "".into())))
        }
    }

    impl Throttle {
        fn client(&self) -> SharedHttpClient {
            let connector = SharedHttpConnector::new(self.clone());
            http_client_fn(move |_, _| connector.clone())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_throttled_keeps_its_place_for_one_wait_and_then_holds_up_nobody() {
        let throttle = Throttle::default();
        let access = Access::new(None, None, Trust::Amazon).by_way_of(throttle.client());
        let endpoint = Some("https://api.example.com/ws".to_owned());
        let connections = Management::new(endpoint, access, 1).client().unwrap();
        let deliveries = connections.post_all(&posts(&["slow", "one", "other"])).await;
        assert_eq!(deliveries, [Delivery::Failed, Delivery::Sent, Delivery::Sent]);
        let posts = throttle.posts.lock().unwrap().clone();
        assert_eq!(posts[..4], ["slow", "slow", "one", "other"]);
        assert_eq!(posts[4..], ["slow"; 6]);
    }
}
