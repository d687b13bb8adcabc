//! `cargo xtask smoke`: whether a chat works, in the way of two people who use it.

use std::{
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    say,
    waiting::Waiting,
    web::{self, Socket},
};

/// Which chat.
#[derive(Args)]
pub(crate) struct Smoke {
    /// Its address: <http://127.0.0.1:3000>
    #[arg(long, value_parser = base_url)]
    url: String,
}

/// How often it is asked for.
const NEW_NAME_PAUSE: Duration = Duration::from_secs(3);

/// An address without a path.
pub(crate) fn base_url(url: &str) -> Result<String, String> {
    let url = url.trim_end_matches('/');
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
        Ok(url.to_owned())
    } else {
        Err("it begins with https:// or http:// and has no path, like https://chat.example.com"
            .to_owned())
    }
}

impl Smoke {
    pub(crate) fn run(&self) -> Result<(), String> {
        test(&self.url, Duration::ZERO)
    }
}

/// Registers a user, opens two sockets, says one message, looks who is online, and signs out. User and message stay. A name that is
/// new to the world may be unknown for a while: that is borne for as long as `patience`.
pub(crate) fn test(url: &str, patience: Duration) -> Result<(), String> {
    let agent = web::agent();
    until_it_answers(&agent, url, patience)?;
    let username = format!("deploy-check-{}", hex::encode(rand::random::<[u8; 6]>()));
    let password = hex::encode(rand::random::<[u8; 24]>());
    let account = json!({"username": username, "password": password});
    let text = "This deployment was checked.";

    let ask = |path: &str, body: &Value, expected: u16| {
        let (status, answer) = web::post(&agent, &format!("{url}{path}"), body)?;
        // The answer to a login is a secret; a problem's text is not.
        let detail = answer["detail"].as_str().or(answer["message"].as_str()).unwrap_or_default();
        let unexpected =
            format!("POST {path} was answered {status} instead of {expected}: {detail}");
        if status == expected { Ok(answer) } else { Err(unexpected) }
    };
    ask("/auth/register", &account, 201)?;
    say("  registered");
    let tokens = ask("/auth/login", &account, 200)?;
    let token = |name: &str| {
        tokens[name].as_str().ok_or_else(|| format!("the answer to the login has no {name}"))
    };
    let (access_token, refresh_token) = (token("access_token")?, token("refresh_token")?);
    say("  logged in");
    let mut sender = Socket::open(url, access_token)?;
    let mut reader = Socket::open(url, access_token)?;
    say("  opened two sockets");
    let started = Instant::now();
    let client_id = hex::encode(rand::random::<[u8; 8]>());
    sender.send(&json!({"action": "send", "text": text, "client_id": client_id}))?;
    for socket in [&mut sender, &mut reader] {
        let frame = socket.wait_for(|frame| {
            let ours = frame["client_id"] == client_id.as_str();
            frame["type"] == "error" || (ours && frame["type"] == "message")
        })?;
        if frame["type"] == "error" {
            return Err(format!("the message was refused: {}", frame["detail"]));
        }
        if frame["text"] != text || frame["username"] != username.as_str() {
            return Err(format!("the message has come as {frame}"));
        }
    }
    say(&format!("  a message came to both after {} ms", started.elapsed().as_millis()));
    is_online(&agent, url, &username, access_token)?;
    say("  is online");
    ask("/auth/logout", &json!({"refresh_token": refresh_token}), 204)?;
    say("  logged out");
    Ok(())
}

/// Asks for the part of the list that begins with a user who has opened a socket.
fn is_online(
    agent: &ureq::Agent,
    url: &str,
    username: &str,
    access_token: &str,
) -> Result<(), String> {
    // Between a name and the same without its last letter lies nobody else's, but by an unheard-of chance.
    let before = &username[..username.len() - 1];
    let question = format!("/auth/presence?limit=1&after={before}");
    let (status, answer) = web::get_as(agent, &format!("{url}{question}"), access_token)?;
    if status != 200 {
        let detail = answer["detail"].as_str().or(answer["message"].as_str()).unwrap_or_default();
        return Err(format!("GET {question} was answered {status} instead of 200: {detail}"));
    }
    if answer["users"][0] == username {
        Ok(())
    } else {
        Err(format!("{username} has two open sockets and is not among who is online"))
    }
}

fn until_it_answers(agent: &ureq::Agent, url: &str, patience: Duration) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let problem = match web::get(agent, url) {
            Ok(answer) if answer.status() == 200 => return Ok(()),
            Ok(answer) => format!("{url} is answered {}", answer.status()),
            Err(problem) => problem,
        };
        if started.elapsed() >= patience {
            return Err(problem);
        }
        let _waiting = Waiting::since(started, &format!("waiting for {url}"));
        thread::sleep(NEW_NAME_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_path() {
        for url in ["http://127.0.0.1:3000", "https://chat.example.com/"] {
            assert_eq!(base_url(url).as_deref(), Ok(url.trim_end_matches('/')));
        }
        for url in ["", "chat.example.com", "https://", "https://chat.example.com/ws", "ftp://x"] {
            assert!(base_url(url).is_err(), "{url}");
        }
    }
}
