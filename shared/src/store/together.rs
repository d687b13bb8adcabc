//! Questions to SQLite that wait for their turn are answered together, in the time of one.
//!
//! A statement's way to its connection's thread and back, and a transaction's end, cost more than most statements do. While one
//! is on its way, all that comes meanwhile waits; whoever is next takes it along. What comes alone waits for nothing.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
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
    waiting: Mutex<VecDeque<Waiting<Q, A>>>,
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

    /// Asks, and has `answer_all` answer what waits, up to `max` questions, when it is this one's turn, with an answer for each.
    /// `None` is for a question that must be asked alone. A question is withdrawn by dropping the future, unless it is being
    /// answered.
    pub(super) async fn ask<F: Future<Output = Vec<Option<A>>>>(
        &self,
        question: Q,
        max: usize,
        answer_all: impl Fn(Vec<Q>) -> F,
    ) -> Result<Option<A>, Interrupted> {
        let began = Instant::now();
        let (answer, mut answered) = oneshot::channel();
        self.waiting().push_back(Waiting { question, answer });
        let mut has_answered = false;
        loop {
            let turn = tokio::select! {
                biased;
                answer = &mut answered => {
                    if !has_answered {
                        self.tell(began);
                    }
                    return answer.map_err(|_dropped| Interrupted);
                }
                turn = self.turn.lock() => turn,
            };
            let (questions, askers) = self.take(max);
            if !questions.is_empty() {
                // In a box, so that who waits takes little room.
                let answers = Box::pin(answer_all(questions)).await;
                for (asker, answer) in askers.into_iter().zip(answers) {
                    // Who has gone away meanwhile needs none.
                    asker.send(answer).ok();
                }
            }
            has_answered = true;
            drop(turn);
        }
    }

    /// The first `max` questions that wait and are not withdrawn, and where their answers go.
    fn take(&self, max: usize) -> (Vec<Q>, Vec<oneshot::Sender<Option<A>>>) {
        let mut waiting = self.waiting();
        waiting.retain(|waiting| !waiting.answer.is_closed());
        let number = waiting.len().min(max);
        let taken = waiting.drain(..number);
        taken.map(|Waiting { question, answer }| (question, answer)).unzip()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting<Q, A>>> {
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

    fn doubled(numbers: Vec<u32>) -> Vec<Option<u32>> {
        numbers.into_iter().map(|number| (number > 0).then_some(2 * number)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_answered_together_and_what_is_alone_at_once() {
        let together = Together::new("");
        let batches = Mutex::new(Vec::new());
        let ask = |number: u32| {
            together.ask(number, 3, |numbers| async {
                batches.lock().unwrap().push(numbers.clone());
                sleep(Duration::from_millis(1)).await;
                doubled(numbers)
            })
        };
        let answers = join_all([1, 2, 0, 3, 4].map(ask)).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [Some(2), Some(4), None, Some(6), Some(8)]);
        assert_eq!(ask(5).await.unwrap(), Some(10));
        assert_eq!(*batches.lock().unwrap(), [vec![1], vec![2, 0, 3], vec![4], vec![5]]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_withdrawn_while_it_waits_is_not_done() {
        let together = Together::new("");
        let asked = Mutex::new(Vec::new());
        let ask = |number: u32| {
            together.ask(number, 3, |numbers| async {
                asked.lock().unwrap().extend(numbers.clone());
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
            together.ask(number, 3, move |numbers| async move {
                sleep(pause).await;
                doubled(numbers)
            })
        };
        let (long, short) = (Duration::from_secs(9), Duration::from_millis(1));
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
