//! SQL statements as sqlx tells of them in the log: with the placeholders in them and without the values, when they have been
//! carried out. Functions in this program tell it directly, compiled ones by a line of their log.

use std::{collections::BTreeMap, fmt, time::Duration};

use gateway::Entry;
use serde::Deserialize;
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

/// Who tells of statements.
pub(crate) const TARGET: &str = "sqlx::query";

/// What is said of a statement.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Statement {
    summary: String,
    /// Empty if the summary has all of it.
    #[serde(rename = "db.statement")]
    whole: String,
    rows_affected: u64,
    rows_returned: u64,
    elapsed_secs: f64,
}

impl Statement {
    /// What sqlx has just told.
    pub(crate) fn of(event: &Event<'_>) -> Self {
        let mut statement = Self::default();
        event.record(&mut statement);
        statement
    }

    /// Shows it as a step of its invocation.
    pub(crate) fn tell(self, entry: &Entry) {
        let text = if self.whole.is_empty() { self.summary } else { self.whole };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let rows = |number: u64, verb: &str| match number {
            0 => None,
            1 => Some(format!("1 row {verb}")),
            number => Some(format!("{number} rows {verb}")),
        };
        let counts = [rows(self.rows_returned, "read"), rows(self.rows_affected, "written")];
        let outcome = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let duration = Duration::try_from_secs_f64(self.elapsed_secs).unwrap_or_default();
        entry.step("sql", text, duration, outcome);
    }
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "rows_affected" => self.rows_affected = value,
            "rows_returned" => self.rows_returned = value,
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed_secs = value;
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}

/// A line in a compiled function's log that tells of a statement.
#[derive(Deserialize)]
pub(crate) struct Line {
    target: String,
    level: String,
    /// Lambda's id of the invocation that the statement was part of.
    pub(crate) request_id: String,
    #[serde(flatten)]
    pub(crate) statement: Statement,
}

impl Line {
    /// `None` if a line is about anything else.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        // Most lines are, and need not be read for that.
        let line = line.contains(TARGET).then(|| serde_json::from_str::<Self>(line).ok());
        line.flatten().filter(|line| line.target == TARGET)
    }

    /// Whether this program's log is to have it: what the function was asked to tell for the inspector, it need not.
    pub(crate) fn is_logged(&self) -> bool {
        self.level != Level::DEBUG.as_str() || tracing::enabled!(target: TARGET, Level::DEBUG)
    }
}

/// Has a function of this chat, whose environment this is, tell of its statements, too.
pub(crate) fn ask_for(variables: &mut BTreeMap<String, String>) {
    // People read text, and would have to read statements.
    if variables.get("LOG_FORMAT").is_none_or(|format| format != "text") {
        let levels = variables.get("LOG").map_or("info", String::as_str);
        // What comes later goes before, so who wants none gets none.
        variables.insert("LOG".to_owned(), format!("{TARGET}=debug,{levels}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_about_a_statement_is_told_from_others() {
        let line = r#"{"timestamp":"2026-11-23T10:15:43.377123Z","level":"DEBUG","target":"sqlx::query","message":null,
            "function":"message","request_id":"8476a536","cold_start":false,"summary":"select username from users …",
            "db.statement":"\n\nselect username\nfrom users\n","rows_affected":0,"rows_returned":2,
            "elapsed":"1.25ms","elapsed_secs":0.00125}"#;
        let Line { level, request_id, statement, .. } = Line::parse(line).expect("it is one");
        assert_eq!((&*level, &*request_id), ("DEBUG", "8476a536"));
        assert_eq!(statement.whole, "\n\nselect username\nfrom users\n");
        assert_eq!((statement.rows_affected, statement.rows_returned), (0, 2));
        assert_eq!(format!("{:?}", statement.elapsed_secs), "0.00125");
        for other in [
            "",
            "sqlx::query",
            r#"{"level":"INFO","target":"message","request_id":"1","message":"about sqlx::query"}"#,
            r#"{"level":"DEBUG","target":"sqlx::query"}"#,
            r#"["sqlx::query"]"#,
        ] {
            assert!(Line::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_function_is_asked_for_statements_unless_its_log_is_for_people_or_says_otherwise() {
        for (settings, levels) in [
            (&[] as &[_], Some("sqlx::query=debug,info")),
            (&[("LOG", "warn"), ("LOG_FORMAT", "json")], Some("sqlx::query=debug,warn")),
            (&[("LOG", "info,sqlx::query=off")], Some("sqlx::query=debug,info,sqlx::query=off")),
            (&[("LOG_FORMAT", "text")], None),
        ] {
            let settings = settings.iter().map(|(name, value)| (*name, *value));
            let mut variables: BTreeMap<String, String> =
                settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            ask_for(&mut variables);
            assert_eq!(variables.get("LOG").map(String::as_str), levels);
        }
    }
}
