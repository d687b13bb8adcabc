//! Messages on their way to a client, in frames.

use std::mem;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

/// A text message on its way out.
pub(crate) struct Outgoing {
    rest: Bytes,
    /// The size of its frames; 0 is one frame.
    frame_bytes: usize,
    opcode: Data,
}

impl Outgoing {
    pub(crate) fn new(text: String, frame_bytes: u32) -> Self {
        let frame_bytes = usize::try_from(frame_bytes).unwrap_or(usize::MAX);
        Self { rest: text.into(), frame_bytes, opcode: Data::Text }
    }

    /// Whether all of it has been sent.
    pub(crate) const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> Message {
        let bytes = if self.frame_bytes == 0 { self.rest.len() } else { self.frame_bytes };
        let payload = self.rest.split_to(bytes.min(self.rest.len()));
        let opcode = OpCode::Data(mem::replace(&mut self.opcode, Data::Continue));
        Message::Frame(Frame::message(payload, opcode, self.is_done()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(text: &str, frame_bytes: u32) -> Vec<(Vec<u8>, OpCode, bool)> {
        let mut outgoing = Outgoing::new(text.to_owned(), frame_bytes);
        let mut frames = Vec::new();
        loop {
            let Message::Frame(frame) = outgoing.next() else { panic!("it is in frames") };
            let header = frame.header();
            frames.push((frame.payload().to_vec(), header.opcode, header.is_final));
            if outgoing.is_done() {
                return frames;
            }
        }
    }

    #[test]
    fn messages_go_out_in_frames_of_the_size_that_is_assumed() {
        let [text, more] = [Data::Text, Data::Continue].map(OpCode::Data);
        assert_eq!(frames("", 0), [(b"".to_vec(), text, true)]);
        assert_eq!(frames("", 2), [(b"".to_vec(), text, true)]);
        assert_eq!(frames("abcd", 0), [(b"abcd".to_vec(), text, true)]);
        assert_eq!(frames("abcd", 4), [(b"abcd".to_vec(), text, true)]);
        let three = [
            (b"ab".to_vec(), text, false),
            (b"cd".to_vec(), more, false),
            (b"e".to_vec(), more, true),
        ];
        assert_eq!(frames("abcde", 2), three);
    }
}
