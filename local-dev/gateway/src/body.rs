//! Request bodies, read up to a limit.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, header::EXPECT},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::timeout;

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is longer than the limit.
    TooLarge,
    /// Nothing of it came for too long.
    TooSlow,
    /// It ended early or was not encoded as announced.
    Broken,
}

/// How long nothing of a body may come. Ours: a client that stops in the middle must not cost anything for ever.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Reads a body of at most `bytes_max` bytes.
///
/// Says that a body is too large as soon as that is known, while the client may still be sending. The rest is then read
/// and thrown away in the background: a connection that is closed with unread bytes is reset, and many clients
/// would see the reset in place of the answer.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, BodyError> {
    if usize::try_from(body.size_hint().lower()).map_or(true, |bytes| bytes > bytes_max) {
        refuse(headers, body);
        return Err(BodyError::TooLarge);
    }
    let mut body = body.into_data_stream();
    let mut bytes = BytesMut::new();
    loop {
        let next = timeout(PAUSE_MAX, body.next()).await.map_err(|_elapsed| BodyError::TooSlow)?;
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|_error| BodyError::Broken)?;
        if bytes.len() + chunk.len() > bytes_max {
            tokio::spawn(discard(Body::from_stream(body)));
            return Err(BodyError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Reads a body that nobody wants and throws it away, in the background.
pub(crate) fn refuse(headers: &HeaderMap, body: Body) {
    // A client that waits for `100 Continue` has sent nothing, and reading would ask it to.
    if !headers.contains_key(EXPECT) && !body.is_end_stream() {
        tokio::spawn(discard(body));
    }
}

/// Reads a body to its end, within reason.
async fn discard(body: Body) {
    const BYTES_MAX: usize = 64 * 1024 * 1024;
    const TIME_MAX: Duration = Duration::from_secs(10);

    let mut body = body.into_data_stream();
    let mut bytes = 0;
    let read = async {
        while let Some(Ok(chunk)) = body.next().await
            && bytes <= BYTES_MAX
        {
            bytes += chunk.len();
        }
    };
    timeout(TIME_MAX, read).await.ok();
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_is_given_up() {
        let chunks = stream::iter([Ok::<_, std::io::Error>("a")]).chain(stream::pending());
        let body = Body::from_stream(chunks);
        assert_eq!(read(&HeaderMap::new(), body, 10).await, Err(BodyError::TooSlow));
    }

    #[tokio::test]
    async fn a_body_has_a_largest_size() {
        for (chunks, expected) in [
            (vec!["ab", "cd"], Ok(Bytes::from_static(b"abcd"))),
            (vec!["ab", "cde"], Err(BodyError::TooLarge)),
            (vec![], Ok(Bytes::new())),
        ] {
            let chunks = stream::iter(chunks).map(Ok::<_, std::io::Error>);
            assert_eq!(read(&HeaderMap::new(), Body::from_stream(chunks), 4).await, expected);
        }
        assert_eq!(read(&HeaderMap::new(), "abcde".into(), 4).await, Err(BodyError::TooLarge));
    }
}
