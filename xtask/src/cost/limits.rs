//! Where AWS's limits bind.

use super::load::{Load, SOCKET_HOURS_MAX};

/// Requests per second of one account and region over all APIs, posts to connections included.
/// Source: API Gateway's account quotas (10,000, and bursts of 5,000); can be raised.
const REQUESTS_PER_SECOND: f64 = 10_000.0;

/// New sockets per second. Source: API Gateway's WebSocket quotas; can be raised.
const CONNECTS_PER_SECOND: f64 = 500.0;

/// Functions at work at the same time. Source: Lambda's quotas; can be raised.
const INSTANCES: f64 = 1000.0;

/// New connections per second to a cluster. Source: Aurora DSQL's quotas (bursts of 1,000).
const DATABASE_CONNECTS_PER_SECOND: f64 = 100.0;

/// Milliseconds that one message holds the row that numbers them: a commit, which must be seen before the next one counts on.
/// Assumed; from 5 to 50.
const HOT_ROW_MS: f64 = 15.0;

/// Seconds for which showing one message may take before the next minute's talk is late. Assumed.
const SHOWING_SECONDS: f64 = 5.0;

/// The most users that a search looks at.
const USERS_MAX: f64 = 1e10;

/// A limit, and how near a load comes to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) at_peak: f64,
    pub(crate) allowed: f64,
    /// How many users reach it, when each does the same.
    pub(crate) users: Option<f64>,
}

/// All limits, those that bind first first.
pub(crate) fn limits(load: &Load) -> Vec<Limit> {
    let names = at_peak(load);
    let mut limits: Vec<Limit> = names
        .into_iter()
        .enumerate()
        .map(|(number, (what, unit, at_peak_now, allowed))| {
            let reached = |users: f64| {
                let (_, _, value, allowed) = at_peak(&Load { users, ..load.clone() })[number];
                value >= allowed
            };
            Limit { what, unit, at_peak: at_peak_now, allowed, users: first(reached) }
        })
        .collect();
    limits.sort_by(|one, other| {
        let users = |limit: &Limit| limit.users.unwrap_or(f64::INFINITY);
        users(one).total_cmp(&users(other))
    });
    limits
}

/// The fewest users for which something is so that more users don't undo.
fn first(is_so: impl Fn(f64) -> bool) -> Option<f64> {
    let mut high = 1.0;
    while !is_so(high) {
        high *= 2.0;
        if high > USERS_MAX {
            return None;
        }
    }
    let mut low = if high > 1.0 { high / 2.0 } else { 0.0 };
    while high - low > 1.0 {
        let middle = f64::midpoint(low, high).floor();
        if is_so(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

fn at_peak(load: &Load) -> [(&'static str, &'static str, f64, f64); 6] {
    // A month's events per second of its busy hours, and more at the peak.
    let busy_seconds = load.busy_hours.max(load.hours) * 730.0 / 24.0 * 3600.0;
    let per_second = |per_month: f64| per_month / busy_seconds * load.peak;
    let online = (load.online() * load.peak).min(load.users);
    let peak_load = Load { hours: load.busy_hours.max(load.hours), users: online, ..load.clone() };
    let said = per_second(load.said());
    let posts = said * online.max(1.0);
    let connects = per_second(load.connections()).max(online / (SOCKET_HOURS_MAX * 3600.0));
    let typed = per_second(load.typed());
    let news = typed + (connects * 2.0 + typed) * peak_load.posts_of_news();
    let requests = said + posts + connects + news + per_second(load.http_requests());
    let showing = peak_load.functions();
    let ms = |name: &str, otherwise: f64| {
        let at_peak = showing.iter().find(|function| function.name == name);
        at_peak.map_or(otherwise, |function| function.ms)
    };
    let shards = peak_load.shards_per_message();
    let mut instances = 0.0;
    for function in load.functions() {
        let events =
            if function.name == "broadcast" { said * shards } else { per_second(function.events) };
        instances += events * ms(function.name, function.ms) / 1000.0;
    }
    let one_by_one = online.max(1.0) / REQUESTS_PER_SECOND;
    [
        ("API Gateway: requests, frames and posts", "per second", requests, REQUESTS_PER_SECOND),
        ("API Gateway: new sockets", "per second", connects, CONNECTS_PER_SECOND),
        ("API Gateway: one message to everybody online", "seconds", one_by_one, SHOWING_SECONDS),
        ("Lambda: functions at work", "at a time", instances, INSTANCES),
        (
            "Aurora DSQL: new connections, when every instance is replaced in a minute",
            "per second",
            instances / 60.0,
            DATABASE_CONNECTS_PER_SECOND,
        ),
        (
            "Aurora DSQL: the row that numbers messages",
            "messages per second",
            said,
            1000.0 / HOT_ROW_MS,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::usual;

    fn limit(limits: &[Limit], part: &str) -> Limit {
        limits.iter().find(|limit| limit.what.contains(part)).unwrap().clone()
    }

    /// Counted by hand: everybody is always there, and says one thing per hour.
    #[test]
    fn limits_are_reached_where_counting_says() {
        let load = Load {
            users: 6_000.0,
            messages: 24.0,
            hours: 24.0,
            busy_hours: 24.0,
            peak: 1.0,
            visits: 0.0,
            logins: 0.0,
            joins: 0.0,
            presence_limit: 0.0,
            ..usual()
        };
        let limits = limits(&load);
        // n²/3600 posts, and little besides, are 10,000 at n = 6,000.
        let requests = limit(&limits, "requests, frames and posts");
        let posts = 6_000.0 * 6_000.0 / 3600.0;
        // A frame each, a reconnect and a page of the history every two hours, a refresh every 15 minutes.
        let besides = 6_000.0 / 3600.0 + 2.0 * 6_000.0 / 7200.0 + 6_000.0 / 900.0;
        assert!((requests.at_peak - posts - besides).abs() < 1e-6, "{requests:?}");
        let users = requests.users.unwrap();
        assert!((5_990.0..6_000.0).contains(&users), "{users}");
        // 500 × 7,200 sockets are the most that can live.
        assert_eq!(limit(&limits, "new sockets").users, Some(3_600_000.0));
        // 50,000 posts take five seconds.
        assert_eq!(limit(&limits, "one message to everybody").users, Some(50_000.0));
        // One message every 15 ms: 240,000 in an hour.
        assert_eq!(limit(&limits, "the row that numbers").users, Some(240_000.0));
        assert_eq!(limits[0].what, requests.what);
    }

    #[test]
    fn who_says_nothing_reaches_few_limits() {
        let load = Load { messages: 0.0, ..usual() };
        assert_eq!(limit(&limits(&load), "the row that numbers").users, None);
    }

    #[test]
    fn more_users_come_nearer_to_every_limit() {
        let mut before: Vec<Limit> = limits(&Load { users: 0.0, ..usual() });
        for users in [10.0, 1e3, 1e5, 1e7] {
            let now = limits(&Load { users, ..usual() });
            for limit in &now {
                let then = before.iter().find(|other| other.what == limit.what).unwrap();
                assert!(limit.at_peak > then.at_peak, "{limit:?} {then:?}");
                assert_eq!(limit.users, then.users);
            }
            before = now;
        }
    }
}
