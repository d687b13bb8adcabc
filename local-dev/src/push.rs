//! Posts of functions that run inside of this program: to the gateway's connections, without the SDK, HTTP and signatures.
//!
//! It is the default in this program, since the SDK alone, with an HTTP client that did nothing, costs several times what
//! writing to a socket does. `--push sdk` posts as on Lambda.

use std::{sync::Arc, time::Duration};

use gateway::{Answer, Direct};
use shared::management::{Delivery, Post, Push};

/// The stage of the chat's WebSocket API.
const STAGE: &str = "ws";

/// What pushes to the gateway that is given `direct`.
pub fn to(direct: Direct) -> Arc<dyn Push> {
    Arc::new(ToGateway(direct))
}

struct ToGateway(Direct);

impl Push for ToGateway {
    fn post_all(&self, posts: &[Post]) -> Vec<Delivery> {
        let posts = posts.iter().map(|Post { connection_id, frame }| (&**connection_id, frame));
        self.0.post_all(STAGE, posts).into_iter().map(delivery).collect()
    }

    fn close(&self, connection_id: &str) -> Delivery {
        delivery(self.0.delete(STAGE, connection_id))
    }

    fn delay(&self) -> Option<Duration> {
        self.0.delay()
    }
}

/// As the SDK's errors are taken.
fn delivery(answer: Answer) -> Delivery {
    match answer {
        Answer::Done => Delivery::Sent,
        Answer::Gone => Delivery::Gone,
        Answer::TooMany | Answer::Failed => Delivery::Later,
        Answer::TooLarge | Answer::Malformed => Delivery::Failed,
    }
}
