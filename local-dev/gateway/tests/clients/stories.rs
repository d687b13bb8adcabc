//! What a client's user sees.

use std::time::{SystemTime, UNIX_EPOCH};

use gateway::Credentials;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    Story,
    client::{Call, Client, Operation, Outcome, Refusal},
    world::{USER_AGENT, World},
};

const OPERATIONS: [Operation; 3] = [Operation::Post, Operation::Get, Operation::Delete];

/// The id of a connection that there never was.
const UNKNOWN_ID: &str = "QkT3rfHsDoECHlw=";

macro_rules! stories {
    ($($story:ident),+ $(,)?) => {
        pub(crate) fn all() -> Vec<Story> {
            vec![$(Story { name: stringify!($story), tell: |client| Box::pin($story(client)) }),+]
        }
    };
}

stories! {
    a_post_arrives,
    a_connection_can_be_looked_at,
    a_deleted_connection_is_closed_and_gone,
    what_was_never_there_is_gone,
    what_is_too_large_does_not_arrive,
    a_client_that_does_not_read_gets_no_more,
    what_is_no_id_is_a_bad_request,
    another_path_is_forbidden,
    a_call_must_be_signed,
    a_call_must_be_signed_by_somebody_known,
    temporary_credentials_need_their_token,
}

/// The error with which a call is refused, if it looks as it should: `is_typed` says whether the API's description has
/// the error.
#[track_caller]
fn assert_refused(outcome: Outcome, status: u16, code: &str, is_typed: bool) -> String {
    let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
    let message = refusal.message.clone();
    let expected = Refusal {
        code: code.to_owned(),
        message: message.clone(),
        status: refusal.status.map(|_status| status),
        is_typed: refusal.is_typed.map(|_is_typed| is_typed),
    };
    assert_eq!(refusal, expected);
    message
}

async fn a_post_arrives(client: Client) {
    let mut world = World::start(Credentials::default()).await;
    let (mut socket, id) = world.connect().await;
    for data in ["hé €", "", "{\"a\": \"b\\n\"}", "YQ=="] {
        let post = Call { data: data.to_owned(), ..world.call(Operation::Post, &id) };
        assert_eq!(client.call(&post).await, Outcome::Done(None));
        assert_eq!(socket.next().await, Message::text(data));
    }
    let whole = Call { data: "x".repeat(128 * 1024), ..world.call(Operation::Post, &id) };
    assert_eq!(client.call(&whole).await, Outcome::Done(None));
    assert_eq!(socket.next().await.len(), 128 * 1024);
}

async fn a_connection_can_be_looked_at(client: Client) {
    let mut world = World::start(Credentials::default()).await;
    let before = epoch_millis();
    let (_socket, id) = world.connect().await;
    let after = epoch_millis();
    let get = world.call(Operation::Get, &id);
    let Outcome::Done(Some(first)) = client.call(&get).await else { panic!("nothing is known") };
    assert_eq!((first.source_ip.as_str(), first.user_agent.as_str()), ("127.0.0.1", USER_AGENT));
    assert!((before..=after).contains(&first.connected_at), "{before} {first:?} {after}");
    assert!((first.connected_at..=after).contains(&first.last_active_at), "{first:?} {after}");
}

async fn a_deleted_connection_is_closed_and_gone(client: Client) {
    let mut world = World::start(Credentials::default()).await;
    let (mut socket, id) = world.connect().await;
    assert_eq!(client.call(&world.call(Operation::Delete, &id)).await, Outcome::Done(None));
    let Message::Close(Some(frame)) = socket.next().await else { panic!("another message") };
    assert_eq!(
        (u16::from(frame.code), frame.reason.as_str()),
        (1000, "Connection Closed Normally")
    );
    for operation in OPERATIONS {
        let outcome = client.call(&world.call(operation, &id)).await;
        assert_refused(outcome, 410, "GoneException", true);
    }
}

async fn what_was_never_there_is_gone(client: Client) {
    let world = World::start(Credentials::default()).await;
    let ids = [UNKNOWN_ID, "-_T3rfHsDoECHlw=", "QkT3rE1tDoEF-_w="];
    for (operation, id) in OPERATIONS.into_iter().zip(ids) {
        let outcome = client.call(&world.call(operation, id)).await;
        assert_refused(outcome, 410, "GoneException", true);
    }
}

async fn what_is_too_large_does_not_arrive(client: Client) {
    let mut world = World::start(Credentials::default()).await;
    let (mut socket, id) = world.connect().await;
    for bytes in [128 * 1024 + 1, 1024 * 1024] {
        let post = Call { data: "x".repeat(bytes), ..world.call(Operation::Post, &id) };
        let outcome = client.call(&post).await;
        let message = assert_refused(outcome, 413, "PayloadTooLargeException", true);
        assert_eq!(message, "Payload Too Large");
    }
    assert_eq!(client.call(&world.call(Operation::Post, &id)).await, Outcome::Done(None));
    assert_eq!(socket.next().await, Message::text("hi"));
}

async fn a_client_that_does_not_read_gets_no_more(client: Client) {
    let mut world = World::start(Credentials::default()).await;
    let (_socket, id) = world.connect().await;
    world.fill_queue(&id).await;
    let post = Call { data: "x".repeat(128 * 1024), ..world.call(Operation::Post, &id) };
    let outcome = client.call(&post).await;
    assert_refused(outcome, 429, "LimitExceededException", true);
    assert!(matches!(client.call(&world.call(Operation::Get, &id)).await, Outcome::Done(Some(_))));
}

async fn what_is_no_id_is_a_bad_request(client: Client) {
    let world = World::start(Credentials::default()).await;
    for (operation, id) in OPERATIONS.into_iter().zip(["junk", "QkT3rfHsDoECHlw=junk", "a/b?é %"])
    {
        let outcome = client.call(&world.call(operation, id)).await;
        let message = assert_refused(outcome, 400, "BadRequestException", false);
        assert_eq!(message, format!("Invalid connectionId: {id}"));
    }
}

async fn another_path_is_forbidden(client: Client) {
    let world = World::start(Credentials::default()).await;
    let endpoint = format!("{}/prod", world.endpoint());
    for operation in OPERATIONS {
        let call = Call { endpoint: endpoint.clone(), ..world.call(operation, UNKNOWN_ID) };
        let message = assert_refused(client.call(&call).await, 403, "ForbiddenException", true);
        assert_eq!(message, "Forbidden");
    }
}

async fn a_call_must_be_signed(client: Client) {
    let mut world = World::start(Credentials::default()).await;
    let (_socket, id) = world.connect().await;
    // Who has not signed does not learn what there is.
    for (operation, id) in OPERATIONS.into_iter().zip([&id, "junk", &id]) {
        let call = Call { sign: false, ..world.call(operation, id) };
        let outcome = client.call(&call).await;
        let message = assert_refused(outcome, 403, "MissingAuthenticationTokenException", false);
        assert_eq!(message, "Missing Authentication Token");
    }
    assert!(matches!(client.call(&world.call(Operation::Get, &id)).await, Outcome::Done(Some(_))));
}

async fn a_call_must_be_signed_by_somebody_known(client: Client) {
    let mut world = World::start(Credentials::default()).await;
    let (_socket, id) = world.connect().await;
    for (credentials, code, message) in [
        (
            Credentials { secret_access_key: "other".into(), ..Credentials::default() },
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. ",
        ),
        (
            Credentials { region: "eu-west-1".to_owned(), ..Credentials::default() },
            "InvalidSignatureException",
            "Credential should be scoped to a valid region, not 'eu-west-1'.",
        ),
        (
            Credentials { access_key_id: "AKIDOTHER".to_owned(), ..Credentials::default() },
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        (
            Credentials { session_token: Some("token".into()), ..Credentials::default() },
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
    ] {
        let call = Call { credentials, ..world.call(Operation::Delete, &id) };
        let answer = assert_refused(client.call(&call).await, 403, code, false);
        assert!(answer.starts_with(message), "{answer}");
    }
    assert!(matches!(client.call(&world.call(Operation::Get, &id)).await, Outcome::Done(Some(_))));
}

async fn temporary_credentials_need_their_token(client: Client) {
    let token = "IQoJb3JpZ2luX2VjEND/+/==";
    let temporary = Credentials { session_token: Some(token.into()), ..Credentials::default() };
    let mut world = World::start(temporary.clone()).await;
    let (mut socket, id) = world.connect().await;
    assert_eq!(client.call(&world.call(Operation::Post, &id)).await, Outcome::Done(None));
    assert_eq!(socket.next().await, Message::text("hi"));

    let without = Call { credentials: Credentials::default(), ..world.call(Operation::Post, &id) };
    assert_refused(client.call(&without).await, 403, "UnrecognizedClientException", false);

    // What the answer says may end up in a log.
    let wrong = Credentials { secret_access_key: "other".into(), ..temporary };
    let wrong = Call { credentials: wrong, ..world.call(Operation::Post, &id) };
    let answer = assert_refused(client.call(&wrong).await, 403, "InvalidSignatureException", false);
    assert!(answer.contains("\nx-amz-security-token:***\n"), "{answer}");
    assert!(!answer.contains(token), "{answer}");
}

#[expect(clippy::disallowed_methods, reason = "the gateway has the machine's clock, too")]
fn epoch_millis() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis().try_into().unwrap()
}
