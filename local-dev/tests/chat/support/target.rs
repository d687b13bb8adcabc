//! A chat that runs somewhere already: its URL is all that the suite gets.

use std::{env, time::Duration};

use url::Url;

use super::room::{Guests, Room};

/// How long a target may take to show that it is there.
const PATIENCE: Duration = Duration::from_secs(30);

/// What stories may expect of a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Routes {
    /// Everything that this repository describes.
    All,
    /// What the chat's ancestor, one Python program, answered as well.
    Seed,
}

/// Where it is, and what it should have.
#[derive(Clone, Debug)]
pub struct Target {
    base_url: String,
    socket_url: Option<String>,
    pub routes: Routes,
    /// Whether `/` is the page.
    pub has_page: bool,
}

impl Target {
    /// What the environment asks for: `CHAT_URL`, and with it `CHAT_WS_URL`, `CHAT_ROUTES` and `CHAT_PAGE`, as
    /// `cargo xtask contract` sets them. None without `CHAT_URL`.
    ///
    /// # Errors
    /// What is wrong with one of them, and what it should be.
    pub fn from_environment() -> Result<Option<Self>, String> {
        let setting = |name: &str| env::var(name).ok();
        let Some(base_url) = setting("CHAT_URL") else { return Ok(None) };
        let base_url = parse(&base_url, ["https", "http"], "https://chat.example.com")
            .map_err(|problem| format!("CHAT_URL {problem}"))?;
        let socket_url = setting("CHAT_WS_URL")
            .map(|url| parse(&url, ["wss", "ws"], "wss://sockets.example.com/ws"))
            .transpose()
            .map_err(|problem| format!("CHAT_WS_URL {problem}"))?;
        let routes = match setting("CHAT_ROUTES").as_deref() {
            None | Some("all") => Routes::All,
            Some("seed") => Routes::Seed,
            Some(other) => {
                return Err(format!("CHAT_ROUTES {other:?} is unknown; it is all or seed"));
            }
        };
        let has_page = match setting("CHAT_PAGE").as_deref() {
            None | Some("on") => true,
            Some("off") => false,
            Some(other) => return Err(format!("CHAT_PAGE {other:?} is unknown; it is on or off")),
        };
        Ok(Some(Self { base_url, socket_url, routes, has_page }))
    }

    /// The room for one story.
    pub fn room(&self) -> Room {
        let mut room = Room::new(self.base_url.clone()).shared(Guests::unheard_of());
        if let Some(url) = &self.socket_url {
            room = room.with_sockets_at(url.clone());
        }
        match self.routes {
            Routes::All => room,
            Routes::Seed => room.of_any_chat(),
        }
    }

    /// Looks whether a chat is there at all.
    ///
    /// # Errors
    /// What came instead of an answer to `GET /auth/messages` without a token.
    pub async fn is_there(&self) -> Result<(), String> {
        let url = format!("{}/auth/messages", self.base_url);
        let room = self.room();
        let request = room.http.request(reqwest::Method::GET, "/auth/messages").build();
        let request = request.map_err(|error| format!("cannot ask for {url}: {error}"))?;
        let answer = tokio::time::timeout(PATIENCE, room.http.try_execute(request)).await;
        let answer = answer.map_err(|_elapsed| format!("{url} gives no answer in {PATIENCE:?}"))?;
        let status = answer.map_err(|error| format!("cannot reach {url}: {error}"))?.status();
        match status.as_u16() {
            401 | 403 => Ok(()),
            _ => Err(format!(
                "there is no chat at {}: GET /auth/messages without a token is answered {status}, and should be 401",
                self.base_url
            )),
        }
    }
}

/// A URL without a slash in the end.
fn parse(text: &str, schemes: [&str; 2], example: &str) -> Result<String, String> {
    let problem = match Url::parse(text) {
        Err(error) => error.to_string(),
        Ok(url) if !schemes.contains(&url.scheme()) => {
            format!("its scheme is {}, not {} or {}", url.scheme(), schemes[0], schemes[1])
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            "it has a query or a fragment".to_owned()
        }
        Ok(url) => return Ok(url.as_str().trim_end_matches('/').to_owned()),
    };
    Err(format!("is not a URL of a chat: {problem}. An example: {example}"))
}
