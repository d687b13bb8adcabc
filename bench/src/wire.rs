//! As much of HTTP/1.1 as both ends need here: heads, and bodies of a known length.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
};

use crate::Failure;

/// A request or a response.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    /// `GET / HTTP/1.1` or `HTTP/1.1 200 OK`, and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The next one; none when the other end has closed.
    ///
    /// # Errors
    /// When it breaks off, or is chunked.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if from.read_line(&mut head)? == 0 {
                let is_between = head.is_empty();
                return if is_between {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
        if header(&head, "transfer-encoding").is_some() {
            return Err(io::Error::other("a body without a length"));
        }
        let length = header(&head, "content-length").map_or(Ok(0), str::parse::<usize>);
        let mut body = vec![0; length.map_err(io::Error::other)?];
        from.read_exact(&mut body)?;
        Ok(Some(Self { head, body }))
    }

    /// The second word of the first line: a request's path, a response's status.
    pub(crate) fn second_word(&self) -> &str {
        self.head.split_whitespace().nth(1).unwrap_or_default()
    }
}

/// A header's value.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (of, value) = line.split_once(':')?;
        of.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// An HTTP client with one connection.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects to a server.
    ///
    /// # Errors
    /// When that fails.
    pub(crate) fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The body of an answer with a status 2xx.
    ///
    /// # Errors
    /// When the status is another, or there is no answer.
    pub(crate) fn call(
        &mut self,
        request: &str,
        token: &str,
        body: &str,
    ) -> Result<Vec<u8>, Failure> {
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.0.get_mut().write_all(text.as_bytes())?;
        let answer = Message::read(&mut self.0)?.ok_or("no answer")?;
        if answer.second_word().starts_with('2') {
            return Ok(answer.body);
        }
        // Not the whole request: it may have a password in it.
        let said = String::from_utf8_lossy(&answer.body);
        Err(format!("{request} is answered {}: {said}", answer.second_word()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_one_after_the_other() {
        let mut bytes =
            &b"POST /a HTTP/1.1\r\nContent-Length:  2\r\n\r\nhiHTTP/1.1 204 No\r\n\r\nHTTP"[..];
        let first = Message::read(&mut bytes).unwrap().unwrap();
        assert_eq!((first.second_word(), &first.body[..]), ("/a", &b"hi"[..]));
        let second = Message::read(&mut bytes).unwrap().unwrap();
        assert_eq!((second.second_word(), &second.body[..]), ("204", &b""[..]));
        assert!(Message::read(&mut bytes).is_err());
        assert_eq!(Message::read(&mut &b""[..]).unwrap(), None);
        let chunked = b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(Message::read(&mut &chunked[..]).is_err());
    }
}
