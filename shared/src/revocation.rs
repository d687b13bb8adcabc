//! The end of a session: nobody refreshes it, nobody sends on it, its sockets are closed.

use futures_util::{StreamExt, stream};

use crate::{clock::Clock, error::Result, management::Management, store::Store, token::SessionId};

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
    let closed = stream::iter(ids)
        .map(async |id: String| connections.close(&id).await.then_some(id))
        .buffer_unordered(management.concurrency());
    let closed: Vec<String> = closed.filter_map(std::future::ready).collect().await;
    store.delete_gone_connections(&closed, clock.now()).await
}
