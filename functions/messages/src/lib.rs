//! `GET /auth/messages?limit&before&after`: a page of the history, oldest first.
//!
//! ```text
//! ← 200 [{"id":17,"username":"alice","text":"Hello!","sent_at":"2026-11-23T10:15:43.377Z","client_id":"7f1c…"}]
//!   Link: </auth/messages?limit=50&before=17>; rel="prev", </auth/messages?limit=50&after=17>; rel="next"
//!   401 · 422
//! ```

use lambda_http::{
    Body, Request, Response,
    http::{HeaderValue, StatusCode, header::LINK},
};
use shared::{
    Error, Result,
    chat::{Message, MessageId},
    clock::Clock,
    http::{Query, bearer_token, json_response},
    lambda::HttpFunction,
    settings::{SettingError, Settings},
    store::{Page, PageRequest, Store},
    token::{Kind, Tokens},
};

const LIMIT_DEFAULT: i64 = 50;
const LIMIT_MAX: i64 = 200;

/// The function and what it needs.
pub struct Messages {
    store: Store,
    tokens: Tokens,
    clock: Clock,
}

impl HttpFunction for Messages {
    const NAME: &str = "messages";

    fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self { store: settings.store(), tokens: settings.tokens()?, clock: settings.clock() })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>> {
        let now = self.clock.now();
        let claims = self.tokens.verify(Kind::Access, bearer_token(&request)?, now)?;
        let page = parse_page(&request)?;
        let found = self.store.messages(page, &claims.sid, now).await?;
        let (messages, last_id) =
            found.ok_or(Error::Unauthorized("The session has ended. Log in again."))?;
        let mut response = json_response(StatusCode::OK, &messages);
        if let Some(links) = neighbours(&messages, page.limit, last_id) {
            response.headers_mut().insert(LINK, links);
        }
        Ok(response)
    }
}

fn parse_page(request: &Request) -> Result<PageRequest> {
    let mut query = Query::read(request);
    let limit = query.number("limit", 1..=LIMIT_MAX).unwrap_or(LIMIT_DEFAULT);
    let before = query.number("before", 0..=MessageId::MAX);
    let after = query.number("after", 0..=MessageId::MAX);
    let page = match (before, after) {
        (None, None) => Page::Newest,
        (Some(id), None) => Page::Before(id),
        (None, Some(id)) => Page::After(id),
        (Some(_), Some(_)) => {
            query.refuse("after", "before and after must not be given together.");
            Page::Newest
        }
    };
    query.checked(PageRequest { page, limit })
}

/// Links to the pages on either side, by RFC 8288: `prev` is older, `next` is newer. Ids have no gaps, so the page's
/// own ids tell whether there is anything on that side.
fn neighbours(messages: &[Message], limit: i64, last_id: MessageId) -> Option<HeaderValue> {
    let (first, last) = (messages.first()?.id, messages.last()?.id);
    let link = |cursor: &str, id: MessageId, rel: &str| {
        format!("</auth/messages?limit={limit}&{cursor}={id}>; rel=\"{rel}\"")
    };
    let links: Vec<String> = [
        (first > 1).then(|| link("before", first, "prev")),
        (last < last_id).then(|| link("after", last, "next")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if links.is_empty() { None } else { HeaderValue::from_str(&links.join(", ")).ok() }
}
