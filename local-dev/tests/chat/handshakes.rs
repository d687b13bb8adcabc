//! Opening a socket.

use crate::{
    Needs,
    support::{World, room::Room, socket::Handshake},
};

crate::anywhere! {
    Needs::Nothing;
    chat_v1_takes_its_token_as_a_subprotocol,
    plain_takes_its_token_from_the_query,
    a_bad_token_is_refused_with_401,
    a_foreign_page_is_refused_with_403,
}

crate::stories! {
    Needs::Nothing;
    listed_origins_may_connect,
}

async fn chat_v1_takes_its_token_as_a_subprotocol(room: Room) {
    let alice = room.user("alice").await;
    let bearer = format!("bearer.{}", alice.access);
    for offers in [
        format!("chat.v1, {bearer}"),
        format!("{bearer},chat.v1"),
        format!("other, chat.v1,{bearer}"),
    ] {
        let socket = Handshake::new(room.socket_url()).protocols(&offers).open().await.unwrap();
        assert_eq!(socket.protocol.as_deref(), Some("chat.v1"), "{offers}");
    }
    // The token may also come by the query.
    let url = format!("{}?token={}", room.socket_url(), alice.access);
    let socket = Handshake::new(url).protocols("chat.v1").open().await.unwrap();
    assert_eq!(socket.protocol.as_deref(), Some("chat.v1"));
    // The token is never sent back, so it cannot be the only offer.
    let refused = Handshake::new(room.socket_url()).protocols(&bearer).open().await;
    assert_eq!(refused.err().unwrap(), 400);
}

async fn plain_takes_its_token_from_the_query(room: Room) {
    let alice = room.user("alice").await;
    let socket = room.plain_handshake(&alice.access).open().await.unwrap();
    assert_eq!(socket.protocol, None);
}

async fn a_bad_token_is_refused_with_401(room: Room) {
    let url = room.socket_url();
    for handshake in [
        Handshake::new(&url),
        Handshake::new(format!("{url}?token=")),
        Handshake::new(format!("{url}?token=nonsense")),
        Handshake::new(format!("{url}?token=%00")),
        Handshake::new(&url).protocols("chat.v1"),
        Handshake::new(&url).protocols("chat.v1, bearer."),
        Handshake::new(&url).protocols("chat.v1, bearer.a.b.c"),
    ] {
        assert_eq!(handshake.open().await.err().unwrap(), 401);
    }
}

async fn a_foreign_page_is_refused_with_403(room: Room) {
    let alice = room.user("alice").await;
    let own = room.base_url();
    let other_scheme = match own.strip_prefix("https://") {
        Some(rest) => format!("http://{rest}"),
        None => own.replace("http://", "https://"),
    };
    for (origin, status) in [
        (own.as_str(), None),
        ("https://evil.example", Some(403)),
        ("null", Some(403)),
        (&other_scheme, Some(403)),
        (&format!("{own}.evil.example"), Some(403)),
    ] {
        let handshake = room.handshake(&alice.access).header("Origin", origin);
        let refusal = handshake.open().await.err().map(|status| status.as_u16());
        assert_eq!(refusal, status, "{origin}");
    }
}

async fn listed_origins_may_connect(mut world: World) {
    let alice = world.user("alice").await;
    world.restart_with("ALLOWED_ORIGINS", "https://chat.example, http://localhost:8000").await;
    for (origin, status) in [
        ("https://chat.example", None),
        ("http://localhost:8000", None),
        ("https://other.example", Some(403)),
    ] {
        let handshake = world.handshake(&alice.access).header("Origin", origin);
        let refusal = handshake.open().await.err().map(|status| status.as_u16());
        assert_eq!(refusal, status, "{origin}");
    }
}
