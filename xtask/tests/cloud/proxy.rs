//! What stands between the AWS CLI and moto: it hands everything through, but for the faults that it was told of.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What is done to a request.
#[derive(Clone)]
pub enum Fault {
    /// Answered without moto: status, body.
    Answer(u16, String),
    /// The connection is broken off.
    Reset,
    /// moto's answer, with another text in place of one. Where the answer doesn't hold it, nothing is done.
    Replace(String, String),
}

impl Fault {
    /// An error as AWS's services answer it, in the forms of all the protocols that the commands speak.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Answer(
            status,
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>injected</Message></Error>\
                 <RequestId>1</RequestId></ErrorResponse>"
            ),
        )
    }

    /// The same of S3.
    pub fn s3_error(status: u16, code: &str) -> Self {
        Self::Answer(
            status,
            format!("<Error><Code>{code}</Code><Message>injected</Message></Error>"),
        )
    }

    /// The same of services that speak JSON.
    pub fn json_error(status: u16, code: &str) -> Self {
        Self::Answer(status, format!(r#"{{"__type":"{code}","message":"injected"}}"#))
    }

    pub fn replace(what: &str, with: &str) -> Self {
        Self::Replace(what.to_owned(), with.to_owned())
    }
}

/// A fault for the next so many requests that hold a text.
struct Rule {
    holds: String,
    times: usize,
    fault: Fault,
}

/// The running proxy.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    moto: SocketAddr,
    rules: Mutex<Vec<Rule>>,
    /// Heads and bodies of all requests.
    seen: Mutex<Vec<String>>,
}

impl Proxy {
    pub fn start(moto: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { moto, rules: Mutex::default(), seen: Mutex::default() });
        let proxy = Self { address, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                // A client that has gone is no matter of ours.
                thread::spawn(move || stream.and_then(|stream| shared.serve(stream)).ok());
            }
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, the next `times` requests that hold `holds` in head or body meet a fault.
    pub fn inject(&self, holds: &str, times: usize, fault: Fault) {
        let rule = Rule { holds: holds.to_owned(), times, fault };
        self.shared.rules.lock().unwrap().push(rule);
    }

    /// The same, before all other faults.
    pub fn inject_first(&self, holds: &str, times: usize, fault: Fault) {
        let rule = Rule { holds: holds.to_owned(), times, fault };
        self.shared.rules.lock().unwrap().insert(0, rule);
    }

    /// Holds that the faults of that text have all been met.
    #[track_caller]
    pub fn met(&self, holds: &str) {
        let mut rules = self.shared.rules.lock().unwrap();
        let left = rules.iter().filter(|rule| rule.holds == holds && rule.times > 0).count();
        assert_eq!(left, 0, "nothing has met the fault at {holds}");
        rules.retain(|rule| rule.holds != holds);
    }

    /// No more faults of that text.
    pub fn forget(&self, holds: &str) {
        self.shared.rules.lock().unwrap().retain(|rule| rule.holds != holds);
    }

    /// How many requests held a text.
    pub fn count(&self, holds: &str) -> usize {
        self.shared.seen.lock().unwrap().iter().filter(|request| request.contains(holds)).count()
    }
}

impl Shared {
    /// One request, one connection.
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut head, mut length, mut is_chunked) = (String::new(), 0, false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            } else if lower.starts_with("transfer-encoding:") {
                is_chunked = true;
            } else if lower.starts_with("expect:") {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                continue;
            } else if lower.starts_with("connection:") {
                continue;
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        assert!(!is_chunked, "the CLI says how long its requests are");
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let text = format!("{head}\n{}", String::from_utf8_lossy(&body));
        let fault = self.fault(&text);
        self.seen.lock().unwrap().push(text);
        match fault {
            Some(Fault::Reset) => return Ok(()),
            Some(Fault::Answer(status, answer)) => {
                let length = answer.len();
                return write!(
                    stream,
                    "HTTP/1.1 {status} Injected\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\
                     Connection: close\r\n\r\n{answer}"
                );
            }
            _ => {}
        }
        let mut moto = TcpStream::connect(self.moto)?;
        write!(moto, "{head}Connection: close\r\n\r\n")?;
        moto.write_all(&body)?;
        let mut answer = Vec::new();
        moto.read_to_end(&mut answer)?;
        if let Some(Fault::Replace(what, with)) = fault {
            answer = replace(&answer, &what, &with);
        }
        stream.write_all(&answer)
    }

    fn fault(&self, request: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.iter_mut().find(|rule| rule.times > 0 && request.contains(&rule.holds))?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }
}

/// Puts a text in place of another in an answer, and makes its length right.
fn replace(answer: &[u8], what: &str, with: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let body = body.replace(what, with);
    let lines =
        head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
    let head: Vec<&str> = lines.collect();
    format!("{}\r\nContent-Length: {}\r\n\r\n{body}", head.join("\r\n"), body.len()).into_bytes()
}
