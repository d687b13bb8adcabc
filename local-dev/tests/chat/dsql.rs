//! On Aurora DSQL, or what stands for it: conflicts, ends of sessions, roles.

use crate::{Needs, support::World};

crate::stories! {
    Needs::Dsql;
    conversation_meets_nothing_that_is_refused,
}

async fn conversation_meets_nothing_that_is_refused(world: World) {
    let alice = world.user("alice").await;
    let mut socket = world.connect(&alice).await;
    socket.say("hello", "1").await;
    assert_eq!(socket.next_frame().await["type"], "message");
    assert_eq!(world.dsql().take_refused(), Vec::<String>::new());
    assert_eq!(world.dsql().take_denied(), 0);
}
