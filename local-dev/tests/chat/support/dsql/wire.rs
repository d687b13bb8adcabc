//! PostgreSQL's wire protocol, as far as messages go.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A message: its tag and what it says.
#[derive(Clone, Debug)]
pub struct Message {
    pub tag: u8,
    pub body: Bytes,
}

impl Message {
    pub fn new(tag: u8, body: &[u8]) -> Self {
        Self { tag, body: Bytes::copy_from_slice(body) }
    }

    /// An error as the server words it.
    pub fn error(severity: &str, code: &str, text: &str) -> Self {
        let fields = [('S', severity), ('V', severity), ('C', code), ('M', text)];
        let mut body = String::new();
        for (field, value) in fields {
            body.extend([&format!("{field}{value}"), "\0"]);
        }
        body.push('\0');
        Self::new(b'E', body.as_bytes())
    }

    pub fn ready(status: u8) -> Self {
        Self::new(b'Z', &[status])
    }

    /// The strings it begins with.
    pub fn strings<const COUNT: usize>(&self) -> [String; COUNT] {
        let mut parts = self.body.split(|byte| *byte == 0);
        std::array::from_fn(|_| {
            String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned()
        })
    }

    /// A field of an error.
    pub fn field(&self, name: u8) -> Option<String> {
        let mut fields = self.body.split(|byte| *byte == 0);
        let field = fields.find(|field| field.first() == Some(&name))?;
        Some(String::from_utf8_lossy(&field[1..]).into_owned())
    }
}

/// One end of a connection. To wait for a message may be given up and begun again.
pub struct Wire<S> {
    stream: S,
    read: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, read: BytesMut::new() }
    }

    /// The next message; none when the other side has gone.
    pub async fn message(&mut self) -> Option<Message> {
        while self.frame_len(1).is_none_or(|length| self.read.len() < length) {
            self.fill().await?;
        }
        let length = self.frame_len(1)?;
        let mut frame = self.read.split_to(length).freeze();
        let tag = frame.get_u8();
        frame.advance(4);
        Some(Message { tag, body: frame })
    }

    /// The first message, which has no tag.
    pub async fn startup(&mut self) -> Option<Bytes> {
        while self.frame_len(0).is_none_or(|length| self.read.len() < length) {
            self.fill().await?;
        }
        let length = self.frame_len(0)?;
        let mut frame = self.read.split_to(length).freeze();
        frame.advance(4);
        Some(frame)
    }

    fn frame_len(&self, tag: usize) -> Option<usize> {
        let length = self.read.get(tag..tag + 4)?;
        Some(tag + u32::from_be_bytes(length.try_into().ok()?) as usize)
    }

    async fn fill(&mut self) -> Option<()> {
        (self.stream.read_buf(&mut self.read).await.ok()? > 0).then_some(())
    }

    pub async fn send(&mut self, messages: &[Message]) -> Option<()> {
        let mut written = BytesMut::new();
        for Message { tag, body } in messages {
            written.extend_from_slice(&[*tag]);
            written.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
            written.extend_from_slice(body);
        }
        self.send_bytes(&written).await
    }

    /// Sends a message without a tag.
    pub async fn send_startup(&mut self, body: &[u8]) -> Option<()> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        self.send_bytes(&[&length, body].concat()).await
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()?;
        self.stream.flush().await.ok()
    }
}
