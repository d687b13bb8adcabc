//! The end of a session: nobody refreshes it, nobody sends on it, its sockets are closed.

use futures_util::{StreamExt, stream};

use crate::{clock::Clock, error::Result, management::Management, store::Store, token::SessionId};

/// Revokes a session and closes its sockets.
///
/// # Errors
/// When the database fails. A socket that can't be closed is no error: without its row nothing reaches it or is taken
/// from it any more.
pub async fn revoke(
    session: &SessionId,
    store: &Store,
    management: &Management,
    clock: &Clock,
) -> Result<()> {
    store.revoke_session(session, clock.now()).await?;
    close_sockets(session, store, management).await
}

/// Closes the sockets of a session that is revoked already.
///
/// # Errors
/// When the database fails.
pub async fn close_sockets(
    session: &SessionId,
    store: &Store,
    management: &Management,
) -> Result<()> {
    let connections = management.client()?;
    let ids = store.take_connections_of(session).await?;
    stream::iter(&ids)
        .for_each_concurrent(management.concurrency(), |id| connections.close(id))
        .await;
    Ok(())
}
