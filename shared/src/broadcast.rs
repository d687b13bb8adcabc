//! Shows a stored message to everyone.

use futures_util::{StreamExt, stream};

use crate::{
    chat::Message,
    clock::Clock,
    error::Result,
    frame::Protocol,
    management::{Connections, Delivery},
    store::{CONNECTION_LIFE_MAX, Recipient, Store},
};

/// Posts `message` to every connection, `concurrency` at a time. One bad connection harms no other: those found gone
/// are forgotten in one statement at the end, those that failed are left alone, those whose session is over are closed.
///
/// # Errors
/// When the connections can't be read. The message is stored by then; a client can fetch it by its id.
pub async fn broadcast(
    message: &Message,
    connections: &Connections,
    store: &Store,
    clock: &Clock,
    concurrency: usize,
) -> Result<()> {
    let now = clock.now();
    let recipients = store.recipients(now).await?;
    let plain = Protocol::Plain.message(message);
    let chat_v1 = Protocol::ChatV1.message(message);

    let deliveries = stream::iter(recipients).map(async |recipient: Recipient| {
        let id = recipient.connection_id;
        let frame = match recipient.protocol {
            Protocol::Plain => &plain,
            Protocol::ChatV1 => &chat_v1,
        };
        let gone = if recipient.connected_at <= now.minus(CONNECTION_LIFE_MAX) {
            true
        } else if recipient.session_ended {
            connections.close(&id).await
        } else {
            connections.post(&id, frame).await == Delivery::Gone
        };
        gone.then_some(id)
    });
    let gone: Vec<String> =
        deliveries.buffer_unordered(concurrency).filter_map(std::future::ready).collect().await;

    if let Err(error) = store.delete_gone_connections(&gone, clock.now()).await {
        // The next message finds them again.
        error.log();
    }
    Ok(())
}
