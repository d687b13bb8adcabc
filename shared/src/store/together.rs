//! Questions to SQLite that wait for their turn are answered together, in the time of one.
//!
//! A statement's way to its connection's thread and back, and a transaction's end, cost more than most statements do. While one
//! is on its way, all that comes meanwhile waits; whoever is next takes all of it along. What comes alone waits for nothing.

use std::{
    mem,
    sync::{Mutex, PoisonError},
};

use tokio::{
    sync::{Mutex as Turn, oneshot},
    time::Instant,
};

/// What waits.
#[derive(Debug)]
pub(super) struct Together<Q, A> {
    /// What is said of a question that another one's statement answered.
    by_another: &'static str,
    waiting: Mutex<Vec<Waiting<Q, A>>>,
    turn: Turn<()>,
}

#[derive(Debug)]
struct Waiting<Q, A> {
    question: Q,
    answer: oneshot::Sender<Option<A>>,
}

/// Whoever answered stopped in the middle: what has come of the question is unknown.
#[derive(Debug)]
pub(super) struct Interrupted;

impl<Q, A> Together<Q, A> {
    pub(super) fn new(by_another: &'static str) -> Self {
        Self { by_another, waiting: Mutex::default(), turn: Turn::default() }
    }

    /// Asks, and has `answer_all` answer all that waits when it is this question's turn, with an answer for each. `None` is for
    /// a question that must be asked alone. A question is withdrawn by dropping the future, unless it is being answered.
    pub(super) async fn ask(
        &self,
        question: Q,
        answer_all: impl AsyncFnOnce(&[Q]) -> Vec<Option<A>>,
    ) -> Result<Option<A>, Interrupted> {
        let began = Instant::now();
        let (answer, mut answered) = oneshot::channel();
        self.waiting().push(Waiting { question, answer });
        let turn = tokio::select! {
            biased;
            answer = &mut answered => {
                self.tell(began);
                return answer.map_err(|_dropped| Interrupted);
            }
            turn = self.turn.lock() => turn,
        };
        let waiting = mem::take(&mut *self.waiting());
        let (questions, answers): (Vec<Q>, Vec<_>) = waiting
            .into_iter()
            .filter(|waiting| !waiting.answer.is_closed())
            .map(|Waiting { question, answer }| (question, answer))
            .unzip();
        if !questions.is_empty() {
            // In a box, so that who waits takes little room.
            let answered_all = Box::pin(answer_all(&questions)).await;
            for (to, answer) in answers.into_iter().zip(answered_all) {
                // Who has gone away meanwhile needs none.
                to.send(answer).ok();
            }
        }
        drop(turn);
        answered.await.map_err(|_dropped| Interrupted)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting<Q, A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells in sqlx's words of a statement that was another's, too, so that it is not missed where statements are shown.
    fn tell(&self, began: Instant) {
        tracing::debug!(
            target: "sqlx::query",
            summary = self.by_another,
            elapsed_secs = began.elapsed().as_secs_f64(),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use futures_util::{FutureExt, future::join_all};
    use tokio::time::{sleep, timeout};

    use super::*;

    fn doubled(numbers: &[u32]) -> Vec<Option<u32>> {
        numbers.iter().map(|number| (*number > 0).then_some(2 * number)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_answered_together_and_what_is_alone_at_once() {
        let together = Together::new("");
        let batches = Mutex::new(Vec::new());
        let ask = |number: u32| {
            together.ask(number, async |numbers| {
                batches.lock().unwrap().push(numbers.to_vec());
                sleep(Duration::from_millis(1)).await;
                doubled(numbers)
            })
        };
        let answers = join_all([1, 2, 0, 3].map(ask)).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [Some(2), Some(4), None, Some(6)]);
        assert_eq!(ask(5).await.unwrap(), Some(10));
        assert_eq!(*batches.lock().unwrap(), [vec![1], vec![2, 0, 3], vec![5]]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_withdrawn_while_it_waits_is_not_done() {
        let together = Together::new("");
        let asked = Mutex::new(Vec::new());
        let ask = |number: u32| {
            together.ask(number, async |numbers| {
                asked.lock().unwrap().extend(numbers.to_vec());
                sleep(Duration::from_millis(10)).await;
                doubled(numbers)
            })
        };
        let mut first = pin!(ask(1));
        assert!((&mut first).now_or_never().is_none());
        timeout(Duration::from_millis(1), ask(2)).await.unwrap_err();
        let (first, third) = tokio::join!(first, ask(3));
        assert_eq!((first.unwrap(), third.unwrap()), (Some(2), Some(6)));
        assert_eq!(*asked.lock().unwrap(), [1, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_and_stops_leaves_the_others_without_an_answer() {
        let together = Together::new("");
        let ask = |number: u32, pause| {
            together.ask(number, async move |numbers| {
                sleep(pause).await;
                doubled(numbers)
            })
        };
        let (long, short) = (Duration::from_secs(9), Duration::ZERO);
        let mut first = pin!(ask(1, short));
        assert!((&mut first).now_or_never().is_none());
        let mut stopped = Box::pin(ask(2, long));
        assert!((&mut stopped).now_or_never().is_none());
        let mut left = pin!(ask(3, short));
        assert!((&mut left).now_or_never().is_none());
        first.await.unwrap();
        assert!((&mut stopped).now_or_never().is_none());
        drop(stopped);
        left.await.unwrap_err();
        assert_eq!(ask(4, short).await.unwrap(), Some(8));
    }
}
