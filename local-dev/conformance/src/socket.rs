//! A WebSocket client whose every bit can be chosen (RFC 6455).

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use url::Url;

use crate::{
    probe::Stop,
    wire::{self, Request, Response, Wire},
};

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Whether it ends its message.
    pub(crate) fin: bool,
    /// The three reserved bits.
    pub(crate) reserved: u8,
    pub(crate) opcode: u8,
    pub(crate) is_masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// A whole message, or a control frame, as clients send them.
    pub(crate) fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { fin: true, reserved: 0, opcode, is_masked: true, payload: payload.into() }
    }

    /// One that its message goes on after.
    pub(crate) fn begin(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { fin: false, ..Self::new(opcode, payload) }
    }

    fn encode(&self) -> Vec<u8> {
        let first = u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode;
        let mask_bit = u8::from(self.is_masked) << 7;
        let mut bytes = vec![first];
        let length = self.payload.len();
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(length @ ..126), _) => bytes.push(mask_bit | length),
            (_, Ok(length)) => {
                bytes.push(mask_bit | 0x7e);
                bytes.extend(length.to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 0x7f);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        if self.is_masked {
            let mask: [u8; 4] = rand::random();
            bytes.extend(mask);
            bytes.extend(
                self.payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask),
            );
        } else {
            bytes.extend(&self.payload);
        }
        bytes
    }
}

/// How the other side closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// `None` if the close frame had none.
    pub(crate) code: Option<u16>,
    pub(crate) reason: String,
}

/// An open WebSocket.
pub(crate) struct Socket {
    wire: Wire,
    patience: Duration,
}

/// The key of RFC 6455, section 1.3, and what a server must make of it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// How a socket is opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening {
    /// The query string, without the question mark.
    pub(crate) query: String,
    /// Headers beside those that every handshake has.
    pub(crate) headers: Vec<(String, String)>,
    /// How much the system takes from the target before anybody reads.
    pub(crate) receive_bytes: Option<u32>,
}

/// What came of a handshake.
pub(crate) struct Handshake {
    pub(crate) response: Response,
    /// If the answer was 101.
    pub(crate) socket: Option<Socket>,
}

impl Opening {
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a parameter to the query string.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        let value =
            percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        let separator = if self.query.is_empty() { "" } else { "&" };
        self.query = format!("{}{separator}{name}={value}", self.query);
        self
    }

    /// Shakes hands with `url`.
    pub(crate) async fn open(&self, url: &Url, patience: Duration) -> Result<Handshake, Stop> {
        let shake = async {
            let mut wire = wire::open(url, self.receive_bytes).await?;
            let request = self.request(url);
            wire.write_all(request.head().as_bytes()).await?;
            wire.flush().await?;
            let mut response = wire::read_head(&mut wire).await?;
            if response.status != 101 {
                response.body = wire::read_body(&mut wire, &request, &response).await?;
                return Ok(Handshake { response, socket: None });
            }
            if response.header("sec-websocket-accept") != Some(ACCEPT) {
                let accept = response.header("sec-websocket-accept");
                return Err(Stop::differs(format!("sec-websocket-accept is {accept:?}")));
            }
            Ok(Handshake { response, socket: Some(Socket { wire, patience }) })
        };
        timeout(patience, shake)
            .await
            .map_err(|_elapsed| Stop::differs("no answer to the handshake"))?
    }

    fn request(&self, url: &Url) -> Request {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let mut request = Request::new("GET", format!("{}{query}", url.path()))
            .header("Host", url_host(url))
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", KEY);
        request.headers.extend(self.headers.clone());
        request
    }
}

/// The `Host` header for a URL.
pub(crate) fn url_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl Socket {
    pub(crate) async fn send(&mut self, frame: Frame) -> Result<(), Stop> {
        self.write(&frame.encode()).await
    }

    /// Sends one frame after the other at once.
    pub(crate) async fn send_all(
        &mut self,
        frames: impl IntoIterator<Item = Frame>,
    ) -> Result<(), Stop> {
        let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.encode()).collect();
        self.write(&bytes).await
    }

    pub(crate) async fn text(&mut self, text: impl AsRef<[u8]>) -> Result<(), Stop> {
        self.send(Frame::new(TEXT, text.as_ref())).await
    }

    /// Starts to close.
    pub(crate) async fn close(&mut self, code: Option<u16>, reason: &str) -> Result<(), Stop> {
        let code = code.map(|code| code.to_be_bytes().to_vec()).unwrap_or_default();
        self.send(Frame::new(CLOSE, [&code, reason.as_bytes()].concat())).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let write = async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        };
        let written = timeout(self.patience, write).await;
        Ok(written.map_err(|_elapsed| Stop::differs("the target does not read"))??)
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Result<Frame, Stop> {
        self.frame_within(self.patience).await
    }

    /// The next frame, if it comes so soon.
    pub(crate) async fn frame_within(&mut self, time_max: Duration) -> Result<Frame, Stop> {
        let frame = timeout(time_max, self.read_frame()).await;
        let frame = frame.map_err(|_elapsed| Stop::differs("nothing came"))?;
        frame.map_err(|error| Stop::differs(format!("the connection ended ({error})")))
    }

    async fn read_frame(&mut self) -> io::Result<Frame> {
        let [first, second] = [self.wire.read_u8().await?, self.wire.read_u8().await?];
        let length = match second & 0x7f {
            126 => self.wire.read_u16().await?.into(),
            127 => self.wire.read_u64().await?,
            length => length.into(),
        };
        let mut payload = Vec::new();
        let read = (&mut self.wire).take(length).read_to_end(&mut payload).await?;
        if read as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Frame {
            fin: first & 0x80 != 0,
            reserved: first >> 4 & 0x7,
            opcode: first & 0xf,
            is_masked: second & 0x80 != 0,
            payload,
        })
    }

    /// The next text message, in however many frames. Pongs are passed over.
    pub(crate) async fn message(&mut self) -> Result<String, Stop> {
        let mut message = Vec::new();
        loop {
            let frame = self.frame().await?;
            match frame.opcode {
                TEXT | CONTINUATION => message.extend(&frame.payload),
                PING | PONG => continue,
                CLOSE => return Err(Stop::differs(format!("closed with {:?}", closed(&frame)))),
                opcode => return Err(Stop::differs(format!("a frame with opcode {opcode}"))),
            }
            if frame.fin {
                return String::from_utf8(message)
                    .map_err(|_error| Stop::differs("a text frame that is not UTF-8"));
            }
        }
    }

    /// How the target closes, whatever it sends before.
    pub(crate) async fn closed(&mut self) -> Result<Closed, Stop> {
        self.closed_within(self.patience).await
    }

    /// The same, if it comes so soon.
    pub(crate) async fn closed_within(&mut self, time_max: Duration) -> Result<Closed, Stop> {
        loop {
            let frame = self.frame_within(time_max).await?;
            if frame.opcode == CLOSE {
                return Ok(closed(&frame));
            }
        }
    }
}

fn closed(frame: &Frame) -> Closed {
    match frame.payload.split_first_chunk() {
        Some((code, reason)) => Closed {
            code: Some(u16::from_be_bytes(*code)),
            reason: String::from_utf8_lossy(reason).into_owned(),
        },
        None => Closed { code: None, reason: String::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_what_is_read() {
        let (one, other) = tokio::io::duplex(1024 * 1024);
        let [mut one, mut other] = [one, other]
            .map(|end| Socket { wire: Wire::new(Box::new(end)), patience: Duration::from_secs(5) });
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let frame = Frame { is_masked: false, ..Frame::new(BINARY, vec![7; length]) };
            one.send(frame.clone()).await.unwrap();
            assert_eq!(other.frame().await.unwrap(), frame);
        }
        let frames = [Frame::begin(TEXT, "a"), Frame::new(PONG, ""), Frame::new(CONTINUATION, "b")];
        one.send_all(frames.map(|frame| Frame { is_masked: false, ..frame })).await.unwrap();
        assert_eq!(other.message().await.unwrap(), "ab");
        one.send(Frame { is_masked: false, ..Frame::new(CLOSE, b"\x03\xe9bye") }).await.unwrap();
        let closed = other.closed().await.unwrap();
        assert_eq!(closed, Closed { code: Some(1001), reason: "bye".to_owned() });
    }

    #[test]
    fn a_masked_frame_hides_its_payload() {
        let frame = Frame::new(TEXT, "hello").encode();
        assert_eq!(frame[..2], [0x81, 0x85]);
        let payload: Vec<u8> = frame[6..]
            .iter()
            .zip(frame[2..6].iter().cycle())
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        assert_eq!(payload, b"hello");
    }
}
