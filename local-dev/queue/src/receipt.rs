//! Receipt handles: which receipt of which message somebody deletes. SQS's are opaque; these say what they are for.

use base64::{Engine, prelude::BASE64_STANDARD};

/// What a receipt handle stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// The message's number in its queue.
    pub(crate) number: u64,
    /// How often it had been received then.
    pub(crate) receive_count: u32,
}

impl Receipt {
    /// The handle, for a message of that queue.
    pub(crate) fn handle(&self, queue: &str) -> String {
        BASE64_STANDARD.encode(format!("{queue}/{}/{}", self.number, self.receive_count))
    }

    /// `None` for what is no handle of that queue.
    pub(crate) fn read(handle: &str, queue: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_STANDARD.decode(handle).ok()?).ok()?;
        let (number, receive_count) =
            text.strip_prefix(queue)?.strip_prefix('/')?.split_once('/')?;
        Some(Self { number: number.parse().ok()?, receive_count: receive_count.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_good_for_its_own_queue() {
        let receipt = Receipt { number: 17, receive_count: 2 };
        let handle = receipt.handle("jobs.fifo");
        assert_eq!(Receipt::read(&handle, "jobs.fifo"), Some(receipt));
        for (handle, queue) in
            [(&*handle, "jobs"), (&*handle, "others"), ("", "jobs"), ("%", "jobs")]
        {
            assert_eq!(Receipt::read(handle, queue), None, "{handle} of {queue}");
        }
    }
}
