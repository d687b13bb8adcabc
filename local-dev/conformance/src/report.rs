//! What came of probes, for people and for programs.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde_json::{Value, json};

use crate::{
    probe::{Evidence, Outcome, Probe},
    probes::AREAS,
};

/// Writes a line for each probe, with what was seen where it is not what AWS does, and a sum.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_table(out: &mut dyn Write, outcomes: &[(&Probe, Outcome)]) -> io::Result<()> {
    let width = outcomes.iter().map(|(probe, _)| probe.name.len()).max().unwrap_or_default();
    let mut sums = BTreeMap::<&str, usize>::new();
    for (probe, outcome) in outcomes {
        let (word, detail) = match outcome {
            Outcome::Ok => ("ok", None),
            Outcome::Differs(seen) => ("differs", Some(("seen", seen))),
            Outcome::Assumed(seen) => ("assumed", Some(("seen", seen))),
            Outcome::Skipped(why) => ("skipped", Some(("why", why))),
        };
        *sums.entry(word).or_default() += 1;
        writeln!(out, "{word:<8} {:<width$}  {}", probe.name, probe.fact)?;
        if let Some((label, detail)) = detail {
            writeln!(out, "         {label}: {detail}")?;
            if word != "skipped" {
                writeln!(out, "         {}: {}", probe.evidence, probe.source)?;
            }
        }
    }
    let sums: Vec<_> = sums.iter().map(|(word, count)| format!("{count} {word}")).collect();
    writeln!(out, "\n{} probes: {}", outcomes.len(), sums.join(", "))
}

/// What came of probes as a table for a document, a line for each area: how many do as AWS does, by how that is known. Names what
/// differs below.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_markdown(out: &mut dyn Write, outcomes: &[(&Probe, Outcome)]) -> io::Result<()> {
    let of = |name: &str| outcomes.iter().find(|(probe, _)| probe.name == name);
    let row = |title: &str, probes: &[&Probe]| {
        let is_ok = |probe: &&&Probe| matches!(of(probe.name), Some((_, Outcome::Ok)));
        let share = |evidence: Option<Evidence>| {
            let counts =
                |probe: &&Probe| evidence.is_none_or(|evidence| probe.evidence == evidence);
            let known: Vec<&Probe> = probes.iter().copied().filter(counts).collect();
            match known.len() {
                0 => "–".to_owned(),
                all => format!("{} of {all}", known.iter().filter(is_ok).count()),
            }
        };
        let [documented, captured, assumed] =
            [Evidence::Documented, Evidence::Captured, Evidence::Assumed].map(|of| share(Some(of)));
        format!("| {title} | {} | {documented} | {captured} | {assumed} |", share(None))
    };
    writeln!(out, "| what is probed | as AWS | AWS says so | seen on AWS | assumed of AWS |")?;
    writeln!(out, "| --- | ---: | ---: | ---: | ---: |")?;
    for (title, probes) in AREAS {
        writeln!(out, "{}", row(title, &probes.iter().collect::<Vec<_>>()))?;
    }
    let all: Vec<&Probe> = AREAS.iter().flat_map(|(_, probes)| probes.iter()).collect();
    writeln!(out, "{}", row("**all**", &all))?;
    for (probe, outcome) in outcomes {
        if let Outcome::Differs(_) | Outcome::Assumed(_) = outcome {
            writeln!(out, "\n`{}` differs. On AWS: {}.", probe.name, probe.fact)?;
        }
    }
    Ok(())
}

/// What came of each probe, as JSON.
pub fn to_json(outcomes: &[(&Probe, Outcome)]) -> Value {
    let entry = |(probe, outcome): &(&Probe, Outcome)| {
        let mut entry = describe(probe);
        let outcome = serde_json::to_value(outcome).unwrap_or_default();
        if let (Value::Object(entry), Value::Object(outcome)) = (&mut entry, outcome) {
            entry.extend(outcome);
        }
        entry
    };
    outcomes.iter().map(entry).collect()
}

/// Writes a line for each probe, with its source.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_list(out: &mut dyn Write, probes: &[&Probe]) -> io::Result<()> {
    for probe in probes {
        writeln!(
            out,
            "{}\n    {}\n    {}: {}",
            probe.name, probe.fact, probe.evidence, probe.source
        )?;
    }
    writeln!(out, "\n{} probes", probes.len())
}

/// A probe as JSON.
pub fn describe(probe: &Probe) -> Value {
    let Probe { name, evidence, source, fact, .. } = probe;
    json!({ "name": name, "fact": fact, "evidence": evidence, "source": source })
}
