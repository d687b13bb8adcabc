//! `GET /auth/presence?limit&after`: who is online, by name.
//!
//! ```text
//! ← 200 {"count":3,"users":["alice","bob","carol"]}
//!   Link: </auth/presence?limit=200&after=carol>; rel="next"
//!   401 · 422
//! ```
//!
//! In a small room API Gateway is asked about connections that weren't looked at for a minute, and those that died without a
//! word are forgotten. A larger one is cleaned by what is said in it.

use std::time::Duration;

use lambda_http::{
    Body, Request, Response,
    http::{HeaderValue, StatusCode, header::LINK},
};
use serde::Serialize;
use shared::{
    Error, Result,
    account::Username,
    clock::Clock,
    http::{Query, bearer_token, json_response},
    lambda::HttpFunction,
    management::Management,
    settings::{SettingError, Settings},
    store::Store,
    token::{Claims, Kind, Tokens},
};
use tokio::time::timeout;

const LIMIT_MAX: i64 = 200;

/// How long API Gateway may take to say which connections are there: those that it says nothing of are asked about again.
const CHECK_TIME_MAX: Duration = Duration::from_secs(2);

/// The function and what it needs.
pub struct Presence {
    store: Store,
    tokens: Tokens,
    management: Management,
    limit: Option<usize>,
    clock: Clock,
}

/// Which part of the list is asked for.
struct PageRequest {
    limit: i64,
    after: Option<Username>,
}

#[derive(Serialize)]
struct Online {
    /// How many people are online in all.
    count: i64,
    /// Some of them.
    users: Vec<Username>,
}

impl HttpFunction for Presence {
    const NAME: &str = "presence";

    fn new(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            store: settings.store(),
            tokens: settings.tokens()?,
            management: settings.management_by_endpoint()?,
            limit: settings.presence_limit()?,
            clock: settings.clock(),
        })
    }

    async fn handle(&self, request: Request) -> Result<Response<Body>> {
        let claims = self.tokens.verify(Kind::Access, bearer_token(&request)?, self.clock.now())?;
        let page = parse_page(&request)?;
        let mut online = self.read(&page, &claims).await?;
        if online.has_unchecked && self.forget_gone().await? {
            online = self.read(&page, &claims).await?;
        }
        let (count, mut users) = (online.count, online.users);
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_next = users.len() > limit;
        users.truncate(limit);
        let next = users.last().filter(|_| has_next).and_then(|last| {
            let limit = page.limit;
            let after = last.as_str();
            let link = format!("</auth/presence?limit={limit}&after={after}>; rel=\"next\"");
            HeaderValue::from_str(&link).ok()
        });
        let mut response = json_response(StatusCode::OK, &Online { count, users });
        if let Some(next) = next {
            response.headers_mut().insert(LINK, next);
        }
        Ok(response)
    }
}

impl Presence {
    async fn read(&self, page: &PageRequest, claims: &Claims) -> Result<shared::store::Online> {
        let after = page.after.as_ref().map_or("", Username::as_str);
        let now = self.clock.now();
        let online = self.store.online(after, page.limit, self.limit, &claims.sid, now).await?;
        online.ok_or(Error::Unauthorized("The session has ended. Log in again."))
    }

    /// Forgets connections that turn out to be no more, tells the others who has left with them, and says whether there were
    /// any.
    async fn forget_gone(&self) -> Result<bool> {
        let connections = &self.management.client()?;
        let unchecked = self.store.take_unchecked(self.clock.now()).await?;
        let gone = timeout(CHECK_TIME_MAX, connections.gone_among(unchecked)).await;
        let gone = gone.unwrap_or_default();
        let Self { store, clock, limit, .. } = self;
        let presence = shared::presence::Presence { connections, store, clock, limit: *limit };
        presence.found_gone(&gone).await?;
        Ok(!gone.is_empty())
    }
}

fn parse_page(request: &Request) -> Result<PageRequest> {
    let mut query = Query::read(request);
    let limit = query.number("limit", 1..=LIMIT_MAX).unwrap_or(LIMIT_MAX);
    let after = query.parameter("after", |name| {
        Username::parse(name).map_err(|rule| format!("after must be a username: {rule}"))
    });
    query.checked(PageRequest { limit, after })
}
