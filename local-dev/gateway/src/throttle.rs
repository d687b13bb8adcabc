//! Token buckets, which API Gateway throttles with: one for each route that has a rate of its own, and those of the account.
//!
//! Sources: API Gateway developer guide, "Throttle requests to your HTTP APIs" and "Protect your WebSocket APIs".

use std::sync::Mutex;

use tokio::time::Instant;

use crate::{limits::Rate, lock::lock, usage::Fill};

/// A token bucket. One that has no rate, as by default, is never empty.
#[derive(Debug, Default)]
pub struct Throttle(Option<Mutex<Bucket>>);

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    /// When `tokens` was right.
    at: Instant,
    /// How many tokens have been taken.
    admitted: u64,
}

impl Throttle {
    /// A full bucket. `None` lets everything through.
    pub fn new(rate: Option<Rate>) -> Self {
        let full = |rate: Rate| Bucket {
            rate,
            tokens: rate.burst.into(),
            at: Instant::now(),
            admitted: 0,
        };
        Self(rate.map(full).map(Mutex::new))
    }

    /// Takes a token. `false` when there is none: the request must be refused.
    pub(crate) fn admit(&self) -> bool {
        let Some(bucket) = &self.0 else { return true };
        lock(bucket).take(Instant::now())
    }

    /// Its rate, if it has one.
    pub(crate) fn rate(&self) -> Option<Rate> {
        self.0.as_ref().map(|bucket| lock(bucket).rate)
    }

    /// What is taken of it, if it has a rate.
    pub(crate) fn fill(&self) -> Option<Fill> {
        self.0.as_ref().map(|bucket| lock(bucket).fill(Instant::now()))
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
            self.admitted += 1;
        }
        admitted
    }

    fn fill(&mut self, now: Instant) -> Fill {
        self.refill(now);
        Fill { taken: f64::from(self.rate.burst) - self.tokens, admitted: self.admitted }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let refilled = elapsed.mul_add(self.rate.per_second, self.tokens);
        self.tokens = refilled.min(self.rate.burst.into());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_its_rate() {
        let start = Instant::now();
        let rate = Rate { per_second: 10.0, burst: 3 };
        let mut bucket = Bucket { rate, tokens: 3.0, at: start, admitted: 0 };
        let admitted = |bucket: &mut Bucket, at_ms: u64| {
            let now = start + Duration::from_millis(at_ms);
            (0..100).filter(|_| bucket.take(now)).count()
        };
        assert_eq!(admitted(&mut bucket, 0), 3);
        assert_eq!(admitted(&mut bucket, 99), 0);
        assert_eq!(admitted(&mut bucket, 101), 1);
        assert_eq!(admitted(&mut bucket, 302), 2);
        // However long nothing came, it holds no more than a burst.
        assert_eq!(admitted(&mut bucket, 3_600_000), 3);
        // A clock that two threads read in another order than they take the lock adds nothing.
        assert_eq!(admitted(&mut bucket, 0), 0);
        // What is missing comes back, and what was let through stays counted.
        let fill = |bucket: &mut Bucket, at_ms| bucket.fill(start + Duration::from_millis(at_ms));
        assert_eq!(fill(&mut bucket, 3_600_000), Fill { taken: 3.0, admitted: 9 });
        assert_eq!(fill(&mut bucket, 3_600_200), Fill { taken: 1.0, admitted: 9 });
        assert_eq!(fill(&mut bucket, 7_200_000), Fill { taken: 0.0, admitted: 9 });
    }

    #[test]
    fn without_a_rate_everything_is_let_through() {
        let throttle = Throttle::new(None);
        assert!((0..100_000).all(|_| throttle.admit()));
    }
}
