//! Values of properties, with the way to them, so that whatever is wrong can be named.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use crate::{
    node::{Entry, Kind, Node},
    problem::Problem,
    report::Report,
};

/// A value whose intrinsic functions have been worked out.
#[derive(Clone)]
pub(crate) struct Property<'a> {
    pub(crate) path: String,
    pub(crate) node: &'a Node,
}

impl<'a> Property<'a> {
    pub(crate) fn new(path: impl Into<String>, node: &'a Node) -> Self {
        Self { path: path.into(), node }
    }

    pub(crate) fn line(&self) -> usize {
        self.node.line
    }

    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(&self.path, self.line(), message)
    }

    /// The value of an entry of this map, unless it is null.
    pub(crate) fn get(&self, key: &str) -> Option<Property<'a>> {
        self.node.get(key).map(|node| Property::new(format!("{}.{key}", self.path), node))
    }

    /// The same, where it can't be left out.
    pub(crate) fn required(&self, key: &str) -> Result<Property<'a>, Problem> {
        self.get(key).ok_or_else(|| self.problem(format!("{key} is missing")))
    }

    /// The value, if it is a map.
    pub(crate) fn map(self) -> Result<Property<'a>, Problem> {
        match &self.node.kind {
            Kind::Map(_) => Ok(self),
            _ => Err(self.not("a map")),
        }
    }

    /// The entries of a map that aren't null.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a Entry, Property<'a>)> + '_ {
        self.node.entries().iter().filter(|entry| !matches!(entry.value.kind, Kind::Null)).map(
            |entry| (entry, Property::new(format!("{}.{}", self.path, entry.key), &entry.value)),
        )
    }

    /// The value, if it is text; numbers and booleans are text as well.
    pub(crate) fn text(&self) -> Result<&'a str, Problem> {
        match &self.node.kind {
            Kind::Scalar(text) => Ok(text),
            _ => Err(self.not("text")),
        }
    }

    /// The texts of a list; a single text is a list of one.
    pub(crate) fn texts(&self) -> Result<Vec<String>, Problem> {
        match &self.node.kind {
            Kind::Scalar(text) => Ok(vec![text.clone()]),
            Kind::List(nodes) => nodes
                .iter()
                .map(|node| Ok(Property::new(&self.path, node).text()?.to_owned()))
                .collect(),
            _ => Err(self.not("a list of texts")),
        }
    }

    pub(crate) fn boolean(&self) -> Result<bool, Problem> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(self.problem(format!("{other:?} is not allowed, it takes true or false"))),
        }
    }

    /// A number within `range`, in `unit`.
    pub(crate) fn number<N>(&self, range: &RangeInclusive<N>, unit: &str) -> Result<N, Problem>
    where
        N: FromStr + PartialOrd + Display,
    {
        let text = self.text()?;
        text.trim().parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            self.problem(format!("{text:?} is not allowed, it takes {least} to {most} {unit}"))
        })
    }

    fn not(&self, wanted: &str) -> Problem {
        match &self.node.kind {
            Kind::Unknown(unknown) => self.problem(format!(
                "{} is not known here, but has to be: {}",
                unknown.expression, unknown.why
            )),
            Kind::Null => self.problem(format!("has no value, it takes {wanted}")),
            Kind::Scalar(text) => {
                self.problem(format!("{text:?} is not allowed, it takes {wanted}"))
            }
            Kind::List(_) => self.problem(format!("a list is not allowed, it takes {wanted}")),
            Kind::Map(_) => self.problem(format!("a map is not allowed, it takes {wanted}")),
        }
    }
}

/// What becomes of a property.
#[derive(Clone, Copy)]
pub(crate) enum Fate {
    /// It is read.
    Read,
    /// The answers are the same without it.
    PassedOver,
    /// What it asks for isn't done, and somebody may wonder; the text says what.
    Warned(&'static str),
    /// Without it, the answers would not be those of AWS; the text says why.
    Refused(&'static str),
}

/// The fates of all properties that a map of this kind can have.
pub(crate) struct Fates {
    /// For example `AWS::Serverless::HttpApi`.
    pub(crate) of: &'static str,
    pub(crate) read: &'static [&'static str],
    pub(crate) passed_over: &'static [&'static str],
    pub(crate) others: &'static [(&'static str, Fate)],
}

impl Fates {
    pub(crate) fn of(&self, property: &str) -> Option<Fate> {
        if self.read.contains(&property) {
            return Some(Fate::Read);
        }
        if self.passed_over.contains(&property) {
            return Some(Fate::PassedOver);
        }
        self.others.iter().find(|(name, _)| *name == property).map(|(_, fate)| *fate)
    }

    /// Says of each property of `map` what becomes of it, unless it is read.
    pub(crate) fn announce(&self, map: &Property<'_>, report: &mut Report) {
        for (entry, property) in map.entries() {
            // Written out, but off.
            if property.node.scalar() == Some("false") {
                continue;
            }
            match self.of(&entry.key) {
                Some(Fate::Read) => {}
                Some(Fate::PassedOver) => {
                    report.passed_over.insert(format!("{}.{}", self.of, entry.key));
                }
                Some(Fate::Warned(text)) => report.warn(property.path, entry.line, text),
                Some(Fate::Refused(text)) => {
                    report.errors.push(Problem::new(property.path, entry.line, text));
                }
                None => {
                    let message =
                        format!("local-dev knows no such property of {} and ignores it", self.of);
                    report.warn(property.path, entry.line, message);
                }
            }
        }
    }
}
