//! Requests to the HTTP API: pages of a long history, and logins. `history` and `login`.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread::{available_parallelism, scope},
    time::{Duration, Instant},
};

use report::{Measure, Row};
use serde_json::Value;
use shared::password::Hasher;
use sqlx::{Connection, SqliteConnection};

use crate::{
    Failure, Plan,
    chat::{Chat, Options, log_in},
    to_f64,
    wire::Client,
};

/// Messages of a page, unless a client asks for another number.
const PAGE: usize = 50;

/// The newest page and the oldest of a long history.
///
/// # Errors
/// When a page is not what it should be.
pub(crate) async fn history(plan: &Plan, local_dev: &Path) -> Result<Vec<Row>, Failure> {
    let count = plan.of(1_000_000, 10_000);
    let mut ours =
        History::of(Chat::local_dev(local_dev, &Options::default())?, count, OURS).await?;
    let mut bare = History::of(Chat::bare()?, count, BARE).await?;
    let (mut first, mut last, mut of_bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.of(5, 1) {
        let requests = plan.of(200, 10);
        of_bare.push(bare.page_millis("", count, requests)?);
        first.push(ours.page_millis("", count, requests)?);
        let oldest = format!("before={}", PAGE + 1);
        last.push(ours.page_millis(&oldest, PAGE, requests)?);
    }
    let row = Row::new("history", format!("newest page of {count} messages"), "ms", &first);
    let newest = row.against("bare chat", &first, &of_bare);
    let row = Row::new("history", format!("oldest page of {count} messages"), "ms", &last);
    Ok(vec![newest, row.against("newest page", &last, &first).at_most(Measure::Ratio, 1.5)])
}

/// Messages from one to `$1`, all at once.
const OURS: &str = "
    with recursive ids (id) as (select 1 union all select id + 1 from ids where id < $1)
    insert into messages (id, username, text, client_id, sent_at)
    select id, 'ada', 'A message of about the usual length, which has the number ' || id, null, 1795428943377 + id
    from ids";
const BARE: &str = "
    with recursive ids (id) as (select 1 union all select id + 1 from ids where id < $1)
    insert into messages (id, username, text, sent_at)
    select id, 'ada', 'A message of about the usual length, which has the number ' || id, 1795428943377 + id
    from ids";

/// A chat with many messages, and a client.
struct History {
    chat: Chat,
    client: Client,
}

impl History {
    async fn of(chat: Chat, count: usize, fill: &'static str) -> Result<Self, Failure> {
        let url = format!("sqlite://{}", chat.database.display());
        let mut database = SqliteConnection::connect(&url).await?;
        sqlx::query(fill).bind(i64::try_from(count)?).execute(&mut database).await?;
        database.close().await?;
        let client = Client::connect(chat.address)?;
        Ok(Self { chat, client })
    }

    /// Milliseconds of one request, of several.
    fn page_millis(&mut self, query: &str, newest: usize, requests: usize) -> Result<f64, Failure> {
        let request = format!("GET /auth/messages?limit={PAGE}&{query}");
        let began = Instant::now();
        let mut page = Vec::new();
        for _ in 0..requests {
            page = self.client.call(request.trim_end_matches('&'), &self.chat.token, "")?;
        }
        let time = began.elapsed().as_secs_f64() * 1e3 / to_f64(requests);
        let page: Vec<Value> = serde_json::from_slice(&page)?;
        let ids = page.iter().filter_map(|message| message["id"].as_u64());
        let newest = u64::try_from(newest)?;
        let oldest = newest + 1 - u64::try_from(PAGE)?;
        if ids.eq(oldest..=newest) {
            Ok(time)
        } else {
            Err("a page is not what was asked for".into())
        }
    }
}

/// Logins by more people than there are processors, beside what these can hash.
///
/// # Errors
/// When one is refused.
pub(crate) fn login(plan: &Plan, local_dev: &Path) -> Result<Vec<Row>, Failure> {
    let cost = if plan.quick { 4 } else { Hasher::DEFAULT_COST };
    let options = Options { bcrypt_cost: Some(cost), ..Options::default() };
    let chat = Chat::local_dev(local_dev, &options)?;
    let processors = available_parallelism()?.get();
    let hash = bcrypt::hash("correct horse battery staple", cost)?;
    let verify = || bcrypt::verify("correct horse battery staple", &hash).map(drop);
    let (mut logins, mut hashes) = (Vec::new(), Vec::new());
    for _ in 0..plan.of(3, 1) {
        let time = Duration::from_millis(if plan.quick { 50 } else { 4000 });
        hashes.push(per_second(processors, time, || Ok(move || Ok(verify()?)))?);
        logins.push(per_second(processors * 2, time, || {
            let mut client = Client::connect(chat.address)?;
            Ok(move || log_in(&mut client).map(drop))
        })?);
    }
    let what = format!("logins by {} people at a time", processors * 2);
    let row = Row::new("login", what, "/s", &logins);
    Ok(vec![row.against(format!("hashes by {processors} threads"), &logins, &hashes)])
}

/// How often per second something is done by so many threads.
fn per_second<W: FnMut() -> Result<(), Failure>>(
    threads: usize,
    time: Duration,
    worker: impl Fn() -> Result<W, Failure> + Sync,
) -> Result<f64, Failure> {
    let done = AtomicUsize::new(0);
    let began = Instant::now();
    scope(|scope| {
        let work = || {
            let mut work = worker()?;
            while began.elapsed() < time {
                work()?;
                done.fetch_add(1, Relaxed);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it doesn't panic"))
    })
    .map(|()| to_f64(done.load(Relaxed)) / began.elapsed().as_secs_f64())
}
