//! Faults on demand: what goes wrong in the cloud now and then goes wrong here as often as one likes.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use serde::{Serialize, Serializer};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `$disconnect` does not run.
    DropDisconnect,
    /// A post is answered 410 although the connection is there.
    Post410,
    /// A post is answered 429.
    Post429,
    /// A post is answered 500.
    Post500,
    /// A post takes longer, in milliseconds.
    PostDelay,
    /// A function starts later, in milliseconds.
    FunctionDelay,
    /// A function fails without having done anything.
    CrashBefore,
    /// A function does its work, and its answer is lost.
    CrashAfter,
    /// At a message in either direction, the TCP connection breaks without a close frame.
    Cut,
}

/// What a fault's number is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Of how many, from 0 to 1.
    Share,
    Milliseconds,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::DropDisconnect,
        Self::Post410,
        Self::Post429,
        Self::Post500,
        Self::PostDelay,
        Self::FunctionDelay,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Cut,
    ];

    /// How the fault is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DropDisconnect => "drop-disconnect",
            Self::Post410 => "post-410",
            Self::Post429 => "post-429",
            Self::Post500 => "post-500",
            Self::PostDelay => "post-delay",
            Self::FunctionDelay => "function-delay",
            Self::CrashBefore => "crash-before",
            Self::CrashAfter => "crash-after",
            Self::Cut => "cut",
        }
    }

    const fn unit(self) -> Unit {
        match self {
            Self::PostDelay | Self::FunctionDelay => Unit::Milliseconds,
            _ => Unit::Share,
        }
    }

    /// Whether the fault can be limited to one function.
    const fn is_of_functions(self) -> bool {
        matches!(self, Self::FunctionDelay | Self::CrashBefore | Self::CrashAfter)
    }
}

/// A fault that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Not of the form `name=value`.
    #[error("{0:?} is not FAULT=VALUE, for example post-410=0.1 or crash-after@message=1")]
    NotAPair(String),
    /// There is no such fault.
    #[error("there is no fault {0:?}; there are {names}", names = Fault::ALL.map(Fault::name).join(", "))]
    UnknownName(String),
    /// The fault happens to no function.
    #[error(
        "{0} cannot be limited to a function; function-delay, crash-before and crash-after can"
    )]
    NotOfFunctions(&'static str),
    /// The number is out of range.
    #[error("{value:?} is no value of {name}, allowed is {allowed}")]
    BadValue {
        /// The fault.
        name: &'static str,
        /// The value as it was given.
        value: String,
        /// The range.
        allowed: &'static str,
    },
}

/// Faults and how often they happen. By default, none does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults(BTreeMap<(Fault, Option<String>), f64>);

impl Faults {
    /// The longest delay, in milliseconds.
    const DELAY_MS_MAX: f64 = 900_000.0;

    /// Sets one fault as `name=value` or `name@function=value` says. 0 ends it.
    ///
    /// # Errors
    /// When it is not such a pair, there is no such fault, or the value is out of range.
    pub fn set_pair(&mut self, pair: &str) -> Result<(), FaultError> {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| FaultError::NotAPair(pair.to_owned()))?;
        self.set(name, value)
    }

    /// Sets the fault `name`, or `name@function`.
    ///
    /// # Errors
    /// When there is no such fault, or the value is out of range.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), FaultError> {
        let (name, function) = match name.split_once('@') {
            Some((name, function)) => (name, Some(function.to_owned())),
            None => (name, None),
        };
        let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name);
        let fault = fault.ok_or_else(|| FaultError::UnknownName(name.to_owned()))?;
        if function.is_some() && !fault.is_of_functions() {
            return Err(FaultError::NotOfFunctions(fault.name()));
        }
        let (max, allowed) = match fault.unit() {
            Unit::Share => (1.0, "a share from 0 to 1"),
            Unit::Milliseconds => (Self::DELAY_MS_MAX, "milliseconds from 0 to 900000"),
        };
        let number = value.parse().ok().filter(|number| (0.0..=max).contains(number));
        let number = number.ok_or_else(|| FaultError::BadValue {
            name: fault.name(),
            value: value.to_owned(),
            allowed,
        })?;
        if number == 0.0 {
            self.0.remove(&(fault, function));
        } else {
            self.0.insert((fault, function), number);
        }
        Ok(())
    }

    /// The functions to which a fault is limited.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|(_fault, function)| function.as_deref())
    }

    /// The value for `function`, or else for all.
    fn value(&self, fault: Fault, function: Option<&str>) -> Option<f64> {
        let of = |function: Option<&str>| self.0.get(&(fault, function.map(str::to_owned)));
        of(function).or_else(|| of(None)).copied()
    }
}

/// `{"post-410": 0.1, "crash-after@message": 1.0}`
impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|((fault, function), value)| {
            let function = function.as_ref().map(|function| format!("@{function}"));
            (format!("{}{}", fault.name(), function.unwrap_or_default()), value)
        }))
    }
}

/// The faults of a running gateway, which can be changed.
pub(crate) struct FaultSwitch(RwLock<Faults>);

impl FaultSwitch {
    pub(crate) fn new(faults: Faults) -> Self {
        Self(RwLock::new(faults))
    }

    pub(crate) fn get(&self) -> Faults {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn replace(&self, faults: Faults) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Whether `fault` happens this time.
    pub(crate) fn strikes(&self, fault: Fault, function: Option<&str>) -> bool {
        let share = self.value(fault, function);
        share.is_some_and(|share| rand::random::<f64>() < share)
    }

    /// Whether there are any.
    pub(crate) fn are_set(&self) -> bool {
        !self.0.read().unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }

    /// Waits as long as `fault` says.
    pub(crate) async fn delay(&self, fault: Fault, function: Option<&str>) {
        if let Some(delay) = self.delay_of(fault, function) {
            tokio::time::sleep(delay).await;
        }
    }

    /// How long `fault` says to wait.
    pub(crate) fn delay_of(&self, fault: Fault, function: Option<&str>) -> Option<Duration> {
        let milliseconds = self.value(fault, function)?;
        Some(Duration::from_secs_f64(milliseconds / 1000.0))
    }

    fn value(&self, fault: Fault, function: Option<&str>) -> Option<f64> {
        let faults = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if faults.0.is_empty() { None } else { faults.value(fault, function) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_set_by_its_name_for_all_functions_or_for_one() {
        let mut faults = Faults::default();
        for pair in ["post-410=0.25", "crash-after=0.5", "crash-after@message=1", "post-delay=1500"]
        {
            faults.set_pair(pair).unwrap();
        }
        assert_eq!(faults.value(Fault::CrashAfter, Some("message")), Some(1.0));
        assert_eq!(faults.value(Fault::CrashAfter, Some("connect")), Some(0.5));
        assert_eq!(faults.value(Fault::Post410, None), Some(0.25));
        assert_eq!(faults.value(Fault::Post429, None), None);
        assert_eq!(
            serde_json::to_string(&faults).unwrap(),
            r#"{"post-410":0.25,"post-delay":1500.0,"crash-after":0.5,"crash-after@message":1.0}"#
        );
        faults.set_pair("crash-after@message=0").unwrap();
        assert_eq!(faults.value(Fault::CrashAfter, Some("message")), Some(0.5));
    }

    #[test]
    fn a_bad_fault_is_refused_with_what_is_allowed() {
        for (pair, problem) in [
            ("cut", "\"cut\" is not FAULT=VALUE, for example post-410=0.1"),
            ("post-404=1", "there is no fault \"post-404\"; there are drop-disconnect, post-410,"),
            ("post-410=2", "\"2\" is no value of post-410, allowed is a share from 0 to 1"),
            ("cut=NaN", "allowed is a share from 0 to 1"),
            ("post-delay=-1", "allowed is milliseconds from 0 to 900000"),
            ("cut@message=1", "cut cannot be limited to a function"),
        ] {
            let error = Faults::default().set_pair(pair).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_share_of_all_or_nothing_is_exact() {
        let mut faults = Faults::default();
        faults.set_pair("cut=1").unwrap();
        let switch = FaultSwitch::new(faults);
        assert!((0..1000).all(|_| switch.strikes(Fault::Cut, None)));
        switch.replace(Faults::default());
        assert!((0..1000).all(|_| !switch.strikes(Fault::Cut, None)));
    }
}
