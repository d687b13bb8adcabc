//! The end of a session: nobody refreshes it, nobody sends on it, its sockets are closed.

use crate::{error::Result, management::Delivery, presence::Presence, token::SessionId};

/// Revokes a session and closes its sockets; others are told by way of `presence`.
///
/// # Errors
/// When the database fails.
pub async fn revoke(session: &SessionId, presence: &Presence<'_>) -> Result<()> {
    presence.store.revoke_session(session, presence.clock.now()).await?;
    close_sockets(session, presence).await
}

/// Closes the sockets of a session that is revoked already. One that can't be closed now, because its handshake is still
/// under way or API Gateway is away, gets no message and has none taken; the next broadcast closes it.
///
/// # Errors
/// When the database fails.
pub async fn close_sockets(session: &SessionId, presence: &Presence<'_>) -> Result<()> {
    let ids = presence.store.connections_of(session).await?;
    let deliveries = presence.connections.close_all(&ids).await;
    let closed = ids.into_iter().zip(deliveries);
    let closed = closed.filter_map(|(id, delivery)| (delivery == Delivery::Gone).then_some(id));
    let closed: Vec<String> = closed.collect();
    presence.found_gone(&closed).await
}
