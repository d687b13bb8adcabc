//! Posts of functions that run inside of this program, none of which takes a socket to the gateway that is in it, too.
//!
//! The default is to post to its connections without the SDK, HTTP and signatures, since the SDK alone, with an HTTP client that
//! did nothing, costs several times what writing to a socket does. `--push sdk` signs and answers calls as on Lambda.

use std::{sync::Arc, time::Duration};

use gateway::{Answer, Direct};
use shared::{
    management::{Delivery, Post, Push},
    settings::Settings,
};

use crate::in_memory;

/// The stage of the chat's WebSocket API.
const STAGE: &str = "ws";

/// Has functions push to the gateway that is given `direct`.
pub fn directly(settings: Settings, direct: Direct) -> Settings {
    settings.with_push(Arc::new(ToGateway(direct)))
}

/// Has functions call AWS by the SDK, and the gateway that is given `direct` in memory, where a URL names its `authority`.
pub fn by_sdk(settings: Settings, direct: Direct, authority: &str) -> Settings {
    let http = in_memory::client(direct, authority, settings.http_client());
    settings.with_http_client(http)
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

    fn check(&self, connection_id: &str) -> Delivery {
        delivery(self.0.check(STAGE, connection_id))
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
