//! Text messages on their way to clients, as frames.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::{
    Frame,
    coding::{Data, OpCode},
};

/// The most that a frame's header takes (RFC 6455, 5.2), without the mask that a server's has not.
const HEADER_BYTES_MAX: usize = 10;

/// The frames of a text message, ready to be written to any number of sockets. Each has up to `frame_bytes` of it; 0 makes
/// one frame.
pub(crate) fn encode(text: &Bytes, frame_bytes: u32) -> Bytes {
    let frame_bytes = match usize::try_from(frame_bytes).unwrap_or(usize::MAX) {
        0 => text.len(),
        bytes => bytes,
    };
    let mut rest = text.clone();
    let mut opcode = Data::Text;
    let mut encoded = Vec::with_capacity(text.len() + HEADER_BYTES_MAX);
    loop {
        let payload = rest.split_to(frame_bytes.min(rest.len()));
        let frame = Frame::message(payload, OpCode::Data(opcode), rest.is_empty());
        frame.format(&mut encoded).expect("memory takes all that is written");
        opcode = Data::Continue;
        if rest.is_empty() {
            return encoded.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_out_in_frames_of_the_size_that_is_assumed() {
        let encoded = |text: &'static str, frame_bytes| {
            encode(&Bytes::from_static(text.as_bytes()), frame_bytes).to_vec()
        };
        assert_eq!(encoded("", 0), b"\x81\x00");
        assert_eq!(encoded("", 2), b"\x81\x00");
        assert_eq!(encoded("abcd", 0), b"\x81\x04abcd");
        assert_eq!(encoded("abcd", 4), b"\x81\x04abcd");
        assert_eq!(encoded("abcde", 2), b"\x01\x02ab\x00\x02cd\x80\x01e");
    }

    #[test]
    fn long_messages_have_long_lengths() {
        let text = Bytes::from("x".repeat(70_000));
        assert_eq!(encode(&text, 0)[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        assert_eq!(encode(&text.slice(..300), 0)[..4], [0x81, 126, 1, 44]);
    }
}
