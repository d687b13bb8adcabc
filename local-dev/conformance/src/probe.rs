//! What a probe is, and what comes of one.

use std::{fmt, future::Future, io, pin::Pin};

use serde::Serialize;
use serde_json::Value;

use crate::target::Target;

/// One observable fact about API Gateway or Lambda, and how to see whether a target has it, too.
pub struct Probe {
    /// Stable, for example `ws.close.binary-1003`.
    pub name: &'static str,
    /// How it is known.
    pub evidence: Evidence,
    /// Where it is known from.
    pub source: &'static Source,
    /// What AWS does.
    pub fact: &'static str,
    pub(crate) run: for<'a> fn(&'a Target) -> Run<'a>,
}

pub(crate) type Run<'a> = Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 'a>>;

/// How a fact is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// AWS says so.
    Documented,
    /// It was seen in traffic with AWS.
    Captured,
    /// It is likely, but nobody has published it: a target that does otherwise is not wrong.
    Assumed,
}

/// Where a fact is known from.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The page's title.
    pub title: &'static str,
    /// Its address, if it is public.
    pub url: &'static str,
}

/// What comes of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "detail", rename_all = "snake_case")]
pub enum Outcome {
    /// The target does what AWS does.
    Ok,
    /// It does something else: what was seen.
    Differs(String),
    /// It does something else than what is only assumed of AWS.
    Assumed(String),
    /// It was not tried: why.
    Skipped(String),
}

impl Outcome {
    /// Whether the target is wrong.
    pub fn is_difference(&self) -> bool {
        matches!(self, Self::Differs(_))
    }
}

/// Why a probe did not come to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    Differs(String),
    Skipped(String),
}

impl Stop {
    pub(crate) fn differs(seen: impl Into<String>) -> Self {
        Self::Differs(seen.into())
    }

    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }

    /// Says in what part of the probe it was.
    pub(crate) fn at(self, place: &str) -> Self {
        match self {
            Self::Differs(seen) => Self::Differs(format!("{place}: {seen}")),
            Self::Skipped(why) => Self::Skipped(why),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Differs(error.to_string())
    }
}

impl Probe {
    /// Tries it.
    pub async fn run(&self, target: &Target) -> Outcome {
        match ((self.run)(target).await, self.evidence) {
            (Ok(()), _) => Outcome::Ok,
            (Err(Stop::Skipped(why)), _) => Outcome::Skipped(why),
            (Err(Stop::Differs(seen)), Evidence::Assumed) => Outcome::Assumed(shorten(seen)),
            (Err(Stop::Differs(seen)), _) => Outcome::Differs(shorten(seen)),
        }
    }
}

/// Whole messages of 128 KB are of no use to a reader.
fn shorten(text: String) -> String {
    const CHARS_MAX: usize = 600;

    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Documented => "documented",
            Self::Captured => "captured",
            Self::Assumed => "assumed",
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, url } = self;
        if url.is_empty() {
            formatter.write_str(title)
        } else {
            write!(formatter, "{title} <{url}>")
        }
    }
}

/// What was seen must be what is expected.
#[expect(clippy::needless_pass_by_value, reason = "most of what is compared is made for that")]
pub(crate) fn same<T: PartialEq<U> + fmt::Debug, U: fmt::Debug>(
    what: &str,
    seen: T,
    expected: U,
) -> Result<(), Stop> {
    if seen == expected {
        return Ok(());
    }
    Err(Stop::differs(format!("{what} is {seen:?}, expected {expected:?}")))
}

/// What was seen in a document must be what is expected.
pub(crate) fn is(what: &str, seen: &Value, expected: impl Into<Value>) -> Result<(), Stop> {
    let expected = expected.into();
    if *seen == expected {
        return Ok(());
    }
    Err(Stop::differs(format!("{what} is {seen}, expected {expected}")))
}

/// What was seen must be as `seen` says.
pub(crate) fn check(is_so: bool, seen: impl FnOnce() -> String) -> Result<(), Stop> {
    if is_so { Ok(()) } else { Err(Stop::Differs(seen())) }
}

/// A table of probes.
macro_rules! probes {
    ($($name:literal $evidence:ident $source:ident $fact:literal => $run:expr;)+) => {
        pub(crate) const PROBES: &[crate::probe::Probe] = &[
            $(crate::probe::Probe {
                name: $name,
                evidence: crate::probe::Evidence::$evidence,
                source: &crate::source::$source,
                fact: $fact,
                run: |target| Box::pin($run(target)),
            },)+
        ];
    };
}
pub(crate) use probes;
