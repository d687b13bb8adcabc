//! The calculator's tables, and their place in docs/cost.md.

use std::fmt::Write;

use super::{
    bill::Bill,
    limits::{Limit, limits},
    load::{Load, Stack},
    prices::ALL,
};
use crate::document::{self, set_apart};

/// The sizes that the document shows.
const SIZES: [(&str, f64); 4] =
    [("Idle", 0.0), ("100 users", 100.0), ("10,000 users", 1e4), ("1,000,000 users", 1e6)];

/// Dollars with cents, and with thousands set apart.
pub(crate) fn dollars(amount: f64) -> String {
    let cents = format!("{amount:.2}");
    let (whole, cents) = cents.split_once('.').expect("two digits were asked for");
    format!("${}.{cents}", set_apart(whole))
}

/// A quantity with as many digits as say something.
pub(crate) fn number(quantity: f64) -> String {
    if quantity == 0.0 {
        return "0".to_owned();
    }
    if quantity >= 100.0 {
        return set_apart(&format!("{quantity:.0}"));
    }
    let text = format!("{quantity:.2}");
    if text == "0.00" { "< 0.01".to_owned() } else { text }
}

/// What a month costs, line by line.
pub(crate) fn bill_table(bill: &Bill) -> String {
    let mut table = "| service | what | per month | without free tiers | with them |\n\
                     | --- | --- | ---: | ---: | ---: |\n"
        .to_owned();
    for line in &bill.lines {
        let price = line.price;
        let (quantity, unit) = (number(line.quantity), price.unit);
        let (full, paid) = (dollars(line.full), dollars(line.paid));
        let (service, what) = (price.service, price.what);
        writeln!(table, "| {service} | {what} | {quantity} {unit} | {full} | {paid} |")
            .expect("a string takes all");
    }
    let (full, paid) = (dollars(bill.full()), dollars(bill.paid()));
    writeln!(table, "| **in total** | | | **{full}** | **{paid}** |").expect("a string takes all");
    table
}

/// Where limits bind, the first first.
pub(crate) fn limits_table(limits: &[Limit]) -> String {
    let mut table =
        "| limit | at the peak | allowed | reached by |\n| --- | ---: | ---: | ---: |\n".to_owned();
    for limit in limits {
        let reached =
            limit.users.map_or("nobody".to_owned(), |users| format!("{} users", number(users)));
        let (at_peak, allowed) = (number(limit.at_peak), number(limit.allowed));
        let (what, unit) = (limit.what, limit.unit);
        writeln!(table, "| {what} | {at_peak} | {allowed} {unit} | {reached} |")
            .expect("a string takes all");
    }
    table
}

/// One sentence on what binds first.
pub(crate) fn verdict(limits: &[Limit]) -> String {
    match limits.first() {
        Some(Limit { what, users: Some(users), at_peak, allowed, .. }) => {
            let now =
                if at_peak >= allowed { "It is exceeded now" } else { "It is not reached now" };
            format!("The first limit to bind is `{what}`, at {} users. {now}.", number(*users))
        }
        _ => "No limit binds, however many users do this.".to_owned(),
    }
}

fn prices_table() -> String {
    let mut table = "| service | what | dollars | free per month | read | source |\n\
                     | --- | --- | ---: | ---: | --- | --- |\n"
        .to_owned();
    for price in ALL {
        let (each, unit) = (price.first(), price.unit);
        let each = if each < 0.001 && unit != "GB-s" {
            format!("{:.2} per million", each * 1e6)
        } else {
            format!("{each} per {unit}")
        };
        let free = if price.free > 0.0 { number(price.free) } else { String::new() };
        let (service, what, as_of) = (price.service, price.what, price.as_of);
        let source = price.source;
        writeln!(table, "| {service} | {what} | {each} | {free} | {as_of} | <{source}> |")
            .expect("a string takes all");
    }
    table
}

/// All generated parts of the document.
fn generated(load: &Load, stack: &Stack) -> String {
    let sized = |users: f64| Load { users, ..load.clone() };
    let mut text = "| users | online at a time | posts per month | without free tiers | with them \
                    | of it fan-out |\n| --- | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for (name, users) in SIZES {
        let load = sized(users);
        let bill = Bill::of(&load, stack);
        let silent = Bill::of(&Load { messages: 0.0, ..load.clone() }, stack);
        let posts = load.said() * load.online().max(1.0);
        let share = if bill.full() > 0.0 { 1.0 - silent.full() / bill.full() } else { 0.0 };
        let (online, posts) = (number(load.online()), number(posts));
        let (full, paid) = (dollars(bill.full()), dollars(bill.paid()));
        let share = share * 100.0;
        writeln!(text, "| {name} | {online} | {posts} | {full} | {paid} | {share:.0} % |")
            .expect("a string takes all");
    }
    for (name, users) in SIZES {
        let load = sized(users);
        let bill = bill_table(&Bill::of(&load, stack));
        write!(text, "\n### {name}\n\n{bill}").expect("a string takes all");
        if users > 0.0 {
            let limits = limits(&load);
            let (table, verdict) = (limits_table(&limits), verdict(&limits));
            write!(text, "\n{table}\n{verdict}\n").expect("a string takes all");
        }
    }
    write!(text, "\n### Prices\n\n{}", prices_table()).expect("a string takes all");
    text
}

/// The document with its generated part made anew.
///
/// # Errors
/// When the document has lost its marks.
pub(crate) fn renewed(document: &str, load: &Load, stack: &Stack) -> Result<String, String> {
    let command = "cargo xtask cost --write-doc";
    document::renewed(document, "docs/cost.md", command, &generated(load, stack))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.004, "< 0.01"),
            (1.5, "1.50"),
            (99.999, "100.00"),
            (1234.4, "1,234"),
            (1e6, "1,000,000"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(dollars(1_234_567.891), "$1,234,567.89");
        assert_eq!(dollars(0.0), "$0.00");
    }
}
