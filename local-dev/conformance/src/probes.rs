//! The facts, by area.

mod closing;
mod connect_event;
mod cors;
mod disconnect;
mod event;
mod frames;
mod handshake;
mod http_answers;
mod http_event;
mod http_routing;
mod lambda;
mod limits;
mod management;
mod messages;

use crate::probe::Probe;

/// What belongs together: a title, and the probes of it.
pub(crate) const AREAS: &[(&str, &[Probe])] = &[
    ("WebSocket handshake", handshake::PROBES),
    ("`$connect` events", connect_event::PROBES),
    ("messages and routes", messages::PROBES),
    ("frames", frames::PROBES),
    ("ends of sockets", closing::PROBES),
    ("`$disconnect`", disconnect::PROBES),
    ("`@connections`", management::PROBES),
    ("HTTP events", http_event::PROBES),
    ("HTTP routes", http_routing::PROBES),
    ("HTTP answers", http_answers::PROBES),
    ("CORS", cors::PROBES),
    ("quotas and throttling", limits::PROBES),
    ("Lambda", lambda::PROBES),
];

/// All probes.
pub fn all() -> impl Iterator<Item = &'static Probe> {
    AREAS.iter().flat_map(|(_, probes)| probes.iter())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_facts_are_said() {
        let mut names = BTreeSet::new();
        for probe in all() {
            assert!(names.insert(probe.name), "{}", probe.name);
            assert!(!probe.fact.is_empty() && !probe.fact.ends_with('.'), "{}", probe.name);
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
            assert!(probe.name.chars().all(is_name), "{}", probe.name);
        }
        assert!(names.len() > 100);
    }
}
