//! A month's bill.

use super::{
    load::{Load, Quantity, Stack},
    prices::{ALL, Price},
};

/// One line of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) price: &'static Price,
    pub(crate) quantity: f64,
    /// Dollars, if nothing were free.
    pub(crate) full: f64,
    /// Dollars beyond what is free for ever.
    pub(crate) paid: f64,
}

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bill {
    pub(crate) lines: Vec<Line>,
}

impl Bill {
    pub(crate) fn of(load: &Load, stack: &Stack) -> Self {
        Self::add_up(&load.quantities(stack))
    }

    /// One line per price: what is free is so once, whatever it is used for.
    fn add_up(quantities: &[Quantity]) -> Self {
        let lines = ALL.into_iter().filter_map(|price| {
            let of_this = quantities.iter().filter(|(other, _)| *other == price);
            let quantity = of_this.map(|(_, quantity)| quantity).sum::<f64>();
            let line =
                Line { price, quantity, full: price.of(quantity), paid: price.of_paid(quantity) };
            (quantity > 0.0).then_some(line)
        });
        Self { lines: lines.collect() }
    }

    /// Dollars, if nothing were free.
    pub(crate) fn full(&self) -> f64 {
        self.lines.iter().fold(0.0, |sum, line| sum + line.full)
    }

    /// Dollars beyond what is free for ever.
    pub(crate) fn paid(&self) -> f64 {
        self.lines.iter().fold(0.0, |sum, line| sum + line.paid)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use proptest::prelude::*;

    use super::*;
    use crate::cost::prices;

    const STACK: Stack = Stack { alarm_metrics: 15.0, secrets: 2.0, dashboards: 1.0, queues: 1.0 };

    fn load(arguments: &str) -> Result<Load, clap::Error> {
        let words = std::iter::once("cost").chain(arguments.split_whitespace());
        let matches = Load::augment_args(Command::new("cost")).try_get_matches_from(words)?;
        Load::from_arg_matches(&matches)
    }

    fn quantity(bill: &Bill, price: &Price) -> f64 {
        let lines = bill.lines.iter();
        lines.filter(|line| line.price == price).map(|line| line.quantity).sum()
    }

    /// Counted by hand, with a month of 730 hours.
    #[test]
    fn a_month_of_1000_users_is_as_counted_by_hand() {
        // Always online: each message is one in and 1,000 out.
        let load = load("--users 1000 --messages 24 --hours 24 --busy-hours 24 --visits 12 --logins 0 --joins 0 --presence-limit 0").unwrap();
        let bill = Bill::of(&load, &STACK);
        let messages = 1000.0 * 730.0;
        let connections = 1000.0 * 365.0;
        // Every 15 minutes a refresh, every two hours a connection and a page of the history.
        let refreshes = 1000.0 * 4.0 * 730.0;
        for (price, expected) in [
            (&prices::SOCKET_MINUTES, 43.8e6),
            (&prices::SOCKET_MESSAGES, messages * 1001.0 + connections),
            (&prices::HTTP_REQUESTS, refreshes + connections),
            // message, two shards each, refresh, connect, messages, disconnect
            (&prices::LAMBDA_REQUESTS, messages * 3.0 + refreshes + connections * 3.0),
            // 250 bytes to everybody, a page of 50 with each connection, 20,000 for the page.
            (
                &prices::CDN_OUT,
                (messages * 1000.0 * 250.0 + connections * (50.0 * 250.0 + 20_000.0)) / 1e9,
            ),
            (&prices::QUEUE, 657_000.0 + messages * 2.0 * 3.0),
            (
                &prices::DSQL_WORK,
                messages * (0.14 + 2.0 * 0.02 + (501.0 + 1000.0) * 0.00036)
                    + messages * 2.0 * (2.0 * 0.02 + 501.0 * 0.00036)
                    + refreshes * 0.14
                    + connections * (2.0 * 0.02 + 50.0 * 0.00036)
                    + connections * (0.02 + 0.14 + 0.00036)
                    + connections * 0.14,
            ),
            // message: three statements, one call to queue both shards, 2 ms of its own; broadcast: two statements, four rounds of
            // 128 posts.
            (
                &prices::LAMBDA_ARM,
                messages * (30.0 + 10.0 + 2.0 + 1.0) / 1000.0 * 0.5
                    + messages * 2.0 * (20.0 + 40.0 + 2.0 + 1.0) / 1000.0 * 0.5
                    + refreshes * (12.0 + 1.0) / 1000.0 * 0.25
                    + connections * (22.0 + 22.0 + 12.0 + 3.0) / 1000.0 * 0.25,
            ),
        ] {
            let counted = quantity(&bill, price);
            assert!(
                (counted - expected).abs() < expected * 1e-9,
                "{}: {counted}, by hand {expected}",
                price.what
            );
        }
        let minutes = bill.lines.iter().find(|line| *line.price == prices::SOCKET_MINUTES).unwrap();
        assert!((minutes.paid - 10.95).abs() < 1e-9);
    }

    /// Likewise, what people being told of each other adds.
    #[test]
    fn presence_costs_as_counted_by_hand() {
        // Always online, one says something every hour; a new connection every two hours.
        let of = |users: u32, limit: u32| {
            let load = load(&format!(
                "--users {users} --messages 24 --hours 24 --busy-hours 24 --visits 12 --presence-limit {limit}"
            ));
            Bill::of(&load.unwrap(), &STACK)
        };
        let added = |users: u32, price: &Price| {
            quantity(&of(users, 100), price) - quantity(&of(users, 0), price)
        };
        let (messages, connections) = (730.0, 365.0);
        for (users, price, expected) in [
            // Two frames in for each message; those, and two news for each connection, out to 99 others.
            (
                100,
                &prices::SOCKET_MESSAGES,
                100.0 * (messages * 2.0 * 100.0 + connections * 2.0 * 99.0),
            ),
            (100, &prices::HTTP_REQUESTS, 100.0 * connections),
            (100, &prices::LAMBDA_REQUESTS, 100.0 * (messages * 2.0 + connections)),
            // A statement of 100 rows to ask; to tell, one more and another that writes.
            (
                100,
                &prices::DSQL_WORK,
                100.0
                    * (connections * (0.02 + 0.036)
                        + connections * 2.0 * (0.02 + 0.14 + 0.036)
                        + messages * 2.0 * (0.02 + 0.14 + 101.0 * 0.00036)),
            ),
            // In a large room nothing goes out, and everybody asks every five minutes.
            (101, &prices::SOCKET_MESSAGES, 101.0 * messages * 2.0),
            (101, &prices::HTTP_REQUESTS, 101.0 * (connections + 730.0 * 12.0)),
        ] {
            let counted = added(users, price);
            assert!(
                (counted - expected).abs() < expected * 1e-9,
                "{} of {users}: {counted}, by hand {expected}",
                price.what
            );
        }
    }

    #[test]
    fn nobody_pays_for_what_stands_there() {
        let bill = Bill::of(&load("--users 0").unwrap(), &STACK);
        // 15 alarms, two secrets, a dashboard, 657,000 empty receives.
        assert!((bill.full() - (1.5 + 0.8 + 3.0 + 0.3285)).abs() < 1e-9, "{}", bill.full());
        // Ten alarms, three dashboards and a million receives are free.
        assert!((bill.paid() - (0.5 + 0.8)).abs() < 1e-9, "{}", bill.paid());
    }

    #[test]
    fn numbers_out_of_range_are_named_with_the_range() {
        for (arguments, problem) in [
            ("--users -1", "it must be from 0 to 100000000"),
            ("--users many", "it is not a number; one from 0 to 100000000 is"),
            ("--hours 25", "it must be from 0 to 24"),
            ("--hours NaN", "it must be from 0 to 24"),
            ("--memory 64", "it must be from 128 to 10240"),
            ("--cold-share 1.5", "it must be from 0 to 1"),
            ("--busy-hours 0", "it must be from 1 to 24"),
        ] {
            let arguments = arguments.replace("--users -1", "--users=-1");
            let refused = load(&arguments).unwrap_err().to_string();
            assert!(refused.contains(problem), "{arguments}: {refused}");
        }
    }

    /// Without presence: a room that is just too large for it costs less than one that is not.
    fn loads() -> impl Strategy<Value = Load> {
        (0.0..1e6, 0.0..100.0, 0.0..24.0, 1.0..24.0, 0.0..20.0, 1.0..16_384.0).prop_map(
            |(users, messages, hours, busy_hours, visits, text_bytes)| Load {
                users,
                messages,
                hours,
                busy_hours,
                visits,
                text_bytes,
                presence_limit: 0.0,
                ..load("").unwrap()
            },
        )
    }

    proptest! {
        #[test]
        fn more_never_costs_less(one in loads(), more in 1.0..3.0) {
            let bill = Bill::of(&one, &STACK);
            for other in [
                Load { users: one.users * more, ..one.clone() },
                Load { messages: one.messages * more, ..one.clone() },
                Load { visits: one.visits * more, ..one.clone() },
                Load { text_bytes: one.text_bytes * more, ..one.clone() },
                Load { months: one.months * more, ..one.clone() },
                Load { dpu_write: one.dpu_write * more, ..one.clone() },
                Load { log_bytes: one.log_bytes * more, ..one.clone() },
            ] {
                let more = Bill::of(&other, &STACK);
                prop_assert!(more.full() >= bill.full() * (1.0 - 1e-12), "{other:?}");
                prop_assert!(more.paid() >= bill.paid() * (1.0 - 1e-12), "{other:?}");
            }
        }

        #[test]
        fn the_whole_is_the_sum_and_free_is_no_gift(load in loads()) {
            let bill = Bill::of(&load, &STACK);
            for line in &bill.lines {
                prop_assert!(line.paid >= 0.0 && line.paid <= line.full, "{line:?}");
                prop_assert!(line.full - line.paid <= line.price.of(line.price.free) + 1e-9, "{line:?}");
            }
            let sum: f64 = bill.lines.iter().map(|line| line.paid).sum();
            prop_assert!((sum - bill.paid()).abs() <= sum * 1e-12);
        }

        #[test]
        fn what_is_flat_adds_up(one in 0.0..1e5, other in 0.0..1e5) {
            // Without fan-out and what is free, two chats cost what one of both sizes does.
            let quiet = |users: f64| {
                Load { users, messages: 0.0, metrics: 0.0, presence_limit: 0.0, ..load("").unwrap() }
            };
            let bare = Stack { alarm_metrics: 0.0, secrets: 0.0, dashboards: 0.0, queues: 0.0 };
            let full = |users: f64| Bill::of(&quiet(users), &bare).full();
            let (apart, together) = (full(one) + full(other), full(one + other));
            prop_assert!((apart - together).abs() <= together * 1e-9, "{apart} {together}");
        }
    }
}
