//! The end of a session: nobody refreshes it, nobody sends on it, its sockets are closed.

use crate::{
    clock::Clock,
    error::Result,
    management::{Delivery, Management},
    store::Store,
    token::SessionId,
};

/// Revokes a session and closes its sockets.
///
/// # Errors
/// When the database fails.
pub async fn revoke(
    session: &SessionId,
    store: &Store,
    management: &Management,
    clock: &Clock,
) -> Result<()> {
    store.revoke_session(session, clock.now()).await?;
    close_sockets(session, store, management, clock).await
}

/// Closes the sockets of a session that is revoked already. One that can't be closed now, because its handshake is still
/// under way or API Gateway is away, gets no message and has none taken; the next broadcast closes it.
///
/// # Errors
/// When the database fails.
pub async fn close_sockets(
    session: &SessionId,
    store: &Store,
    management: &Management,
    clock: &Clock,
) -> Result<()> {
    let connections = management.client()?;
    let ids = store.connections_of(session).await?;
    let deliveries = connections.close_all(&ids).await;
    let closed = ids.into_iter().zip(deliveries);
    let closed = closed.filter_map(|(id, delivery)| (delivery == Delivery::Gone).then_some(id));
    let closed: Vec<String> = closed.collect();
    store.delete_gone_connections(&closed, clock.now()).await
}
