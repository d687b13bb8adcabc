//! `cargo xtask cost`: what a month costs on AWS, and which limit binds first.

mod bill;
mod limits;
mod load;
mod page;
pub(crate) mod prices;

use std::{
    fs,
    io::{Write, stdout},
};

use bill::Bill;
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use limits::limits;
use load::{Load, Stack};
use serde_json::json;

use crate::root;

/// What the stack has by itself is counted there.
const TEMPLATE: &str = include_str!("../../../infra/template.yaml");

/// A load, and how its cost is shown.
#[derive(Args)]
pub(crate) struct Cost {
    #[command(flatten)]
    load: Load,

    /// As JSON
    #[arg(long)]
    json: bool,

    /// Make the tables of docs/cost.md anew, with all other options' defaults
    #[arg(long, conflicts_with = "json")]
    write_doc: bool,
}

impl Cost {
    pub(crate) fn run(&self) -> Result<(), String> {
        let stack = Stack::of(TEMPLATE);
        if self.write_doc {
            let file = root().join("docs/cost.md");
            let told = |error| format!("{}: {error}", file.display());
            let document = fs::read_to_string(&file).map_err(told)?;
            let document = page::renewed(&document, &usual(), &stack)?;
            return fs::write(&file, document).map_err(told);
        }
        let text = if self.json { self.as_json(&stack) } else { self.as_text(&stack) };
        writeln!(stdout(), "{text}").map_err(|error| format!("cannot write: {error}"))
    }

    fn as_text(&self, stack: &Stack) -> String {
        let limits = limits(&self.load);
        let bill = page::bill_table(&Bill::of(&self.load, stack));
        let (table, verdict) = (page::limits_table(&limits), page::verdict(&limits));
        format!("{bill}\n{table}\n{verdict}")
    }

    fn as_json(&self, stack: &Stack) -> String {
        let bill = Bill::of(&self.load, stack);
        let lines = bill.lines.iter().map(|line| {
            let price = line.price;
            json!({"service": price.service, "what": price.what, "unit": price.unit,
                   "quantity": line.quantity, "without_free_tiers": line.full,
                   "with_free_tiers": line.paid, "as_of": price.as_of, "source": price.source})
        });
        let limits = limits(&self.load).into_iter().map(|limit| {
            json!({"what": limit.what, "unit": limit.unit, "at_peak": limit.at_peak,
                   "allowed": limit.allowed, "reached_by_users": limit.users})
        });
        let functions = self.load.functions().into_iter().map(|function| {
            json!({"name": function.name, "events": function.events, "billed_ms": function.ms,
                   "memory_mb": function.memory_mb})
        });
        let document = json!({
            "currency": "USD", "region": "us-east-1", "month_hours": 730,
            "lines": lines.collect::<Vec<_>>(),
            "without_free_tiers": bill.full(),
            "with_free_tiers": bill.paid(),
            "functions": functions.collect::<Vec<_>>(),
            "limits": limits.collect::<Vec<_>>(),
        });
        format!("{document:#}")
    }
}

/// What the document assumes: the defaults.
pub(crate) fn usual() -> Load {
    #[derive(Parser)]
    struct Usual {
        #[command(flatten)]
        load: Load,
    }
    let defaults = Usual::command().get_matches_from(["cost"]);
    Usual::from_arg_matches(&defaults).expect("every option has a default").load
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_tables_of_today() {
        let file = root().join("docs/cost.md");
        let document = fs::read_to_string(file).unwrap();
        let renewed = page::renewed(&document, &usual(), &Stack::of(TEMPLATE)).unwrap();
        assert!(document == renewed, "docs/cost.md is stale: cargo xtask cost --write-doc");
    }

    #[test]
    fn a_document_without_marks_is_named() {
        let lost = page::renewed("# Costs", &usual(), &Stack::of(TEMPLATE)).unwrap_err();
        assert!(lost.contains("put both back"), "{lost}");
    }

    #[test]
    fn the_json_has_what_the_table_has() {
        let cost = Cost { load: usual(), json: true, write_doc: false };
        let stack = Stack::of(TEMPLATE);
        let document: serde_json::Value = serde_json::from_str(&cost.as_json(&stack)).unwrap();
        let bill = Bill::of(&usual(), &stack);
        assert_eq!(document["lines"].as_array().unwrap().len(), bill.lines.len());
        assert_eq!(document["with_free_tiers"].as_f64().unwrap().to_bits(), bill.paid().to_bits());
        let limits = document["limits"].as_array().unwrap();
        assert!(cost.as_text(&stack).contains(limits[0]["what"].as_str().unwrap()));
    }
}
