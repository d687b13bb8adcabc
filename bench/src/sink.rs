//! A server that takes every post and says nothing more: what posting costs is then the client's.

use std::{
    io::{BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use crate::{Failure, wire::Message};

/// The server, in threads that end with the program.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
}

impl Sink {
    /// On a free port.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || answer_all(&stream));
            }
        });
        Ok(Self { address })
    }
}

fn answer_all(mut stream: &TcpStream) {
    stream.set_nodelay(true).ok();
    let mut reader = BufReader::new(stream);
    while let Ok(Some(_)) = Message::read(&mut reader) {
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}
