//! What the fan-out costs on AWS.

use report::{Point, Results};

use crate::cost::{
    prices::{LAMBDA_ARM, LAMBDA_REQUESTS, QUEUE, SOCKET_MESSAGES},
    usual,
};

/// Adds what a million deliveries cost to each point of the curve.
pub(crate) fn add(results: &mut Results) {
    for point in results.curve.iter_mut().flat_map(|curve| &mut curve.points) {
        point.dollars_per_million = Some(per_million(point));
    }
}

/// US dollars for a million deliveries like these: posts and sends, functions' time at the template's memory, requests to the
/// queue; without free tiers, and without the database.
fn per_million(point: &Point) -> f64 {
    let count = |count: usize| f64::from(u32::try_from(count).expect("no curve goes that far"));
    let gigabytes = usual().memory_push / 1024.0;
    let gigabyte_seconds = (point.message_ms + point.broadcast_ms) / 1e3 * gigabytes;
    let invocations = count(point.message_invocations + point.broadcast_invocations);
    let dollars = SOCKET_MESSAGES.of(count(point.posts + point.messages))
        + LAMBDA_REQUESTS.of(invocations)
        + LAMBDA_ARM.of(gigabyte_seconds)
        + QUEUE.of(count(point.queue_requests));
    dollars / count(point.deliveries) * 1e6
}

#[cfg(test)]
mod tests {
    use report::Mode;

    use super::*;

    #[test]
    fn a_million_deliveries_are_as_counted_by_hand() {
        let point = Point {
            mode: Mode::Coalesced,
            connections: 1000,
            messages: 10,
            seconds: 1.0,
            deliveries: 10_000,
            missed: 0,
            repeated: 0,
            posts: 2_000,
            throttled: 500,
            share_of_allowed: 0.5,
            message_invocations: 10,
            message_ms: 1000.0,
            broadcast_invocations: 4,
            broadcast_ms: 3000.0,
            queue_requests: 16,
            connect_seconds: 2.0,
            dollars_per_million: None,
        };
        // A hundred times all of that; half a GB; what was throttled costs nothing.
        let by_hand =
            201_000.0 * 1e-6 + 1400.0 * 0.2e-6 + 200.0 * 0.000_013_333_4 + 1600.0 * 0.5e-6;
        assert!((per_million(&point) - by_hand).abs() < 1e-9, "{}", per_million(&point));
    }
}
