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

/// All probes.
pub fn all() -> impl Iterator<Item = &'static Probe> {
    [
        handshake::PROBES,
        connect_event::PROBES,
        messages::PROBES,
        frames::PROBES,
        closing::PROBES,
        disconnect::PROBES,
        management::PROBES,
        http_event::PROBES,
        http_routing::PROBES,
        http_answers::PROBES,
        cors::PROBES,
        limits::PROBES,
        lambda::PROBES,
    ]
    .into_iter()
    .flatten()
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
