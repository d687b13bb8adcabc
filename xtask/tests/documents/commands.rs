//! Commands that documents show.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use crate::{document::all, local_dev};

/// Every block of shell is, by its grammar.
pub fn are_shell() {
    for document in all() {
        for (_, block) in document.blocks.iter().filter(|(language, _)| language == "sh") {
            let mut bash = Command::new("bash")
                .arg("-n")
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            bash.stdin.take().unwrap().write_all(block.as_bytes()).unwrap();
            let output = bash.wait_with_output().unwrap();
            let problem = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {problem}\n{block}", document.name());
        }
    }
}

/// Every command of ours that a document shows is there, with the options that it is shown with.
pub fn exist() {
    let mut helps = BTreeMap::new();
    let (mut number, mut strange) = (0, Vec::new());
    for document in all() {
        let blocks = document.blocks.iter().filter(|(language, _)| language == "sh");
        let lines = blocks.flat_map(|(_, block)| block.lines()).map(str::to_owned);
        for command in lines.chain(document.spans.iter().cloned()) {
            let Some((program, subcommand, rest)) = ours(&command) else { continue };
            number += 1;
            let help = helps.entry((program, subcommand.clone())).or_insert_with_key(help);
            let Some(help) = help else {
                strange.push(format!("{}: {command}: there is no such command", document.name()));
                continue;
            };
            let options = rest.iter().filter_map(|word| word.strip_prefix("--"));
            for option in options.filter_map(|option| option.split('=').next()) {
                if !option.is_empty() && !has(help, option) {
                    let name = document.name();
                    strange.push(format!("{name}: {command}: there is no --{option}"));
                }
            }
        }
    }
    assert!(number > 40, "only {number} commands were found");
    assert!(strange.is_empty(), "documents show what is not there:\n{}", strange.join("\n"));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Program {
    LocalDev,
    Xtask,
}

/// A command of this repository: its program, subcommand and arguments.
fn ours(command: &str) -> Option<(Program, String, Vec<String>)> {
    let command = command.split(" #").next()?.split(['|', '>', '<', '&', ';']).next()?;
    let mut words = command.split_whitespace().map(str::to_owned).peekable();
    // Variables before the command.
    while words.peek().is_some_and(|word| word.contains('=') && !word.starts_with('-')) {
        words.next();
    }
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match &*words {
        ["cargo", "xtask", rest @ ..] => {
            let subcommand = rest.first().filter(|word| is_name(word))?;
            let rest = owned(&rest[1..]);
            Some((Program::Xtask, (*subcommand).to_owned(), rest))
        }
        ["cargo", "run", "--", rest @ ..] | ["local-dev", rest @ ..] => {
            let subcommand = rest.first().filter(|word| is_name(word)).copied();
            Some((Program::LocalDev, subcommand.unwrap_or_default().to_owned(), owned(rest)))
        }
        _ => None,
    }
}

fn is_name(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') && !word.starts_with('-')
}

/// What a program says of a subcommand; `None` if it has none such.
fn help((program, subcommand): &(Program, String)) -> Option<String> {
    let mut command = match program {
        Program::LocalDev => Command::new(local_dev()),
        Program::Xtask => Command::new(env!("CARGO_BIN_EXE_xtask")),
    };
    let output =
        command.args(Some(subcommand).filter(|name| !name.is_empty())).arg("--help").output();
    let output = output.unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn has(help: &str, option: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
    let flag = format!("--{option}");
    help.match_indices(&flag).any(|(place, _)| ends(&help[place + flag.len()..]))
}
