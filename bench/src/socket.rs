//! A WebSocket as its client sees it, as cheaply as can be: the load must not take the processor from what it is put on.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Failure, wire::header};

/// The longest head of an answer to a handshake.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// An open socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    /// What came and is not yet a whole frame.
    unread: Vec<u8>,
}

impl Socket {
    /// Opens one that speaks `chat.v1`.
    ///
    /// # Errors
    /// When the handshake is refused.
    pub(crate) async fn open(to: SocketAddr, token: &str) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /ws HTTP/1.1\r\nhost: {to}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: chat.v1, bearer.{token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut unread = Vec::with_capacity(512);
        let end = loop {
            if let Some(end) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            if unread.len() > HEAD_BYTES_MAX || stream.read_buf(&mut unread).await? == 0 {
                return Err("no answer to a handshake".into());
            }
        };
        let head = String::from_utf8_lossy(&unread[..end]).into_owned();
        if !head.starts_with("HTTP/1.1 101 ") || header(&head, "sec-websocket-accept").is_none() {
            let status = head.lines().next().unwrap_or_default();
            return Err(format!("a handshake is answered {status}").into());
        }
        unread.drain(..end);
        Ok(Self { stream, unread })
    }

    /// Reads what is there, by way of a buffer that sockets may share, and shows each text in it. No byte is copied of frames
    /// that came whole. Waits for nothing.
    ///
    /// # Errors
    /// When the socket is closed, or something else comes than texts.
    pub(crate) fn read_ready(
        &mut self,
        buffer: &mut [u8],
        mut show: impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        loop {
            match self.stream.try_read(buffer) {
                Ok(0) => return Err("the server has closed a socket".into()),
                Ok(count) if self.unread.is_empty() => {
                    let rest = texts(&buffer[..count], &mut show)?;
                    self.unread.extend_from_slice(rest);
                }
                Ok(count) => {
                    self.unread.extend_from_slice(&buffer[..count]);
                    let left = texts(&self.unread, &mut show)?.len();
                    self.unread.drain(..self.unread.len() - left);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Shows each text among frames of a server, and returns what is left: the beginning of a frame.
///
/// # Errors
/// When a frame is no whole text, ping or pong.
fn texts<'a>(mut bytes: &'a [u8], show: &mut impl FnMut(&[u8])) -> Result<&'a [u8], Failure> {
    loop {
        let (first, length, header) = match bytes {
            [first, 126, high, low, ..] => {
                (first, usize::from(u16::from_be_bytes([*high, *low])), 4)
            }
            [first, 127, length @ ..] if length.len() >= 8 => {
                let length = length.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                (first, usize::try_from(length)?, 10)
            }
            [first, length @ 0..=125, ..] => (first, usize::from(*length), 2),
            [_, 128..=255, ..] => return Err("the server masks its frames".into()),
            _ => return Ok(bytes),
        };
        let Some((frame, rest)) = bytes.split_at_checked(header + length) else { return Ok(bytes) };
        match first {
            0x81 => show(&frame[header..]),
            0x89 | 0x8a => {}
            _ => return Err(format!("a frame that begins with {first:#x}").into()),
        }
        bytes = rest;
    }
}

/// The frame of a client with a text of at most 125 bytes. Its mask is zero, which is as good as any where no proxy is in
/// between.
pub(crate) fn text_frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length <= 125);
    let mut frame = vec![0x81, 0x80 | length.expect("texts here are short"), 0, 0, 0, 0];
    frame.extend(text.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(first: u8, text: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match text.len() {
            length @ 0..=125 => frame.push(u8::try_from(length).unwrap()),
            length @ 126..=65535 => {
                frame.push(126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(text);
        frame
    }

    #[test]
    fn frames_are_found_wherever_they_are_cut() {
        let sent: Vec<Vec<u8>> =
            [0, 1, 125, 126, 65_535, 65_536].into_iter().map(|length| vec![b'a'; length]).collect();
        let mut bytes: Vec<u8> = sent.iter().flat_map(|text| server_frame(0x81, text)).collect();
        // A ping says nothing.
        bytes.extend(server_frame(0x89, b"?"));
        let mut seen = Vec::new();
        assert_eq!(texts(&bytes, &mut |text| seen.push(text.to_vec())).unwrap(), b"");
        assert_eq!(seen, sent);
        for cut in (0..200).chain(65_700..65_720) {
            let mut seen = Vec::new();
            let mut show = |text: &[u8]| seen.push(text.to_vec());
            let rest = texts(&bytes[..cut], &mut show).unwrap();
            let rest = [rest, &bytes[cut..]].concat();
            assert_eq!(texts(&rest, &mut show).unwrap(), b"");
            assert_eq!(seen, sent, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for first in [0x01, 0x80, 0x82, 0x88, 0xc1] {
            assert!(texts(&server_frame(first, b"a"), &mut |_| ()).is_err(), "{first:#x}");
        }
        assert!(texts(&[0x81, 0x81, 0, 0, 0, 0, b'a'], &mut |_| ()).is_err());
    }

    #[test]
    fn a_frame_of_a_client_is_masked() {
        assert_eq!(text_frame("hi"), b"\x81\x82\0\0\0\0hi");
    }
}
