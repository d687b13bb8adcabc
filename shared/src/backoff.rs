//! The waits between tries: full jitter below a ceiling that doubles, within the time that the event at hand has left.
//!
//! Source: Amazon Builders' Library, "Timeouts, retries, and backoff with jitter".

use std::time::Duration;

use crate::invocation;

/// What is still to be waited for one call.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    waits: u32,
    ceiling: Duration,
    ceiling_max: Duration,
}

impl Backoff {
    /// At most `waits` waits: the first below `ceiling`, each further one below twice as much, none above `ceiling_max`.
    pub(crate) const fn new(waits: u32, ceiling: Duration, ceiling_max: Duration) -> Self {
        Self { waits, ceiling, ceiling_max }
    }

    /// Waits, and says whether there is another try: not after the last one, nor once time is up.
    pub(crate) async fn wait(&mut self) -> bool {
        let pause = jitter(self.ceiling);
        if self.waits == 0 || pause >= invocation::time_left() {
            return false;
        }
        self.waits -= 1;
        self.ceiling = (self.ceiling * 2).min(self.ceiling_max);
        tokio::time::sleep(pause).await;
        true
    }
}

/// Any time below `ceiling`, which is less than an hour.
pub(crate) fn jitter(ceiling: Duration) -> Duration {
    let share = f64::from(uuid::Uuid::new_v4().as_fields().0) / (f64::from(u32::MAX) + 1.0);
    ceiling.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::invocation::Invocation;

    const CEILINGS: [u64; 5] = [10, 20, 40, 50, 50];

    fn backoff() -> Backoff {
        Backoff::new(5, Duration::from_millis(10), Duration::from_millis(50))
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_below_ceilings_that_double_up_to_the_highest() {
        let mut longest = [Duration::ZERO; 5];
        for _ in 0..200 {
            let mut backoff = backoff();
            for (longest, ceiling) in longest.iter_mut().zip(CEILINGS) {
                let began = Instant::now();
                assert!(backoff.wait().await);
                // The timer is exact to the millisecond.
                assert!(began.elapsed() <= Duration::from_millis(ceiling + 1));
                *longest = began.elapsed().max(*longest);
            }
            assert!(!backoff.wait().await, "there was one more");
        }
        // Of 200, one is in the upper half for sure (but for once in 2^200).
        for (longest, ceiling) in longest.into_iter().zip(CEILINGS) {
            assert!(longest >= Duration::from_millis(ceiling / 2), "{longest:?} of {ceiling}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_waited_for_when_time_is_up() {
        let hurried = Invocation::unmeasured("a function", "1").with_time(Duration::ZERO);
        hurried.scope(async { assert!(!backoff().wait().await) }).await;
        let began = Instant::now();
        let unhurried = Invocation::unmeasured("a function", "2");
        unhurried.scope(async { assert!(backoff().wait().await) }).await;
        assert!(began.elapsed() <= Duration::from_millis(11));
    }
}
