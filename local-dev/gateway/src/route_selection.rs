//! Route selection: which route a message goes to.
//!
//! Sources: API Gateway developer guide, "WebSocket selection expressions" and "Create routes for WebSocket APIs".

use std::{fmt::Write, str::FromStr};

use serde_json::Value;

/// A route selection expression: text in which variables stand for parts of the message, for example
/// `${request.body.service}/${request.body.action}`. The default is `$request.body.action`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSelection(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The names that lead from the message to a value in it.
    Body(Vec<String>),
}

/// A route selection expression that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{expression:?} is no route selection expression: {problem}; allowed are text, $request.body.NAME and \
     ${{request.body.NAME.NAME}}, and \\$ for a dollar sign, for example ${{request.body.service}}/${{request.body.action}}"
)]
pub struct RouteSelectionError {
    expression: String,
    problem: String,
}

impl Default for RouteSelection {
    fn default() -> Self {
        Self(vec![Part::Body(vec!["action".to_owned()])])
    }
}

impl FromStr for RouteSelection {
    type Err = RouteSelectionError;

    fn from_str(expression: &str) -> Result<Self, RouteSelectionError> {
        let parts = parse(expression);
        parts
            .map(Self)
            .map_err(|problem| RouteSelectionError { expression: expression.to_owned(), problem })
    }
}

fn parse(expression: &str) -> Result<Vec<Part>, String> {
    if expression.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = expression;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\\$") {
            text.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('$') {
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            let (variable, after) = split_variable(after)?;
            parts.push(Part::Body(parse_path(variable)?));
            rest = after;
        } else {
            text.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

/// The variable that begins after a `$`, and what follows it.
fn split_variable(rest: &str) -> Result<(&str, &str), String> {
    if let Some(rest) = rest.strip_prefix('{') {
        return rest.split_once('}').ok_or_else(|| "a brace is not closed".to_owned());
    }
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']');
    let end = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
    Ok(rest.split_at(end))
}

fn parse_path(variable: &str) -> Result<Vec<String>, String> {
    let Some(path) = variable.strip_prefix("request.body.") else {
        return Err(format!("there is no variable {variable:?}"));
    };
    let names: Vec<_> = path.split('.').map(str::to_owned).collect();
    let is_name = |name: &String| {
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    };
    if names.iter().all(is_name) { Ok(names) } else { Err(format!("{path:?} is no path of names")) }
}

impl RouteSelection {
    /// The key of the route that `message` asks for. `None` when it is not JSON. With `lenient`, names need no quotes.
    pub(crate) fn evaluate(&self, message: &str, lenient: bool) -> Option<String> {
        let message: Value = match serde_json::from_str(message) {
            Ok(message) => message,
            Err(_) if lenient => serde_json::from_str(&quote_names(message)).ok()?,
            Err(_) => return None,
        };
        let mut key = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Body(path) => {
                    let value =
                        path.iter().try_fold(&message, |value, name| value.as_object()?.get(name));
                    match value {
                        None | Some(Value::Null) => {}
                        Some(value) => write_value(&mut key, value),
                    }
                }
            }
        }
        Some(key)
    }
}

/// Writes a value as Java writes lists and maps, which is what API Gateway shows: `[a, b]`, `{name=value}`.
fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => text.push_str(string),
        Value::Array(values) => {
            text.push('[');
            for (number, value) in values.iter().enumerate() {
                text.push_str(if number == 0 { "" } else { ", " });
                write_value(text, value);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (number, (name, value)) in members.iter().enumerate() {
                text.push_str(if number == 0 { "" } else { ", " });
                text.push_str(name);
                text.push('=');
                write_value(text, value);
            }
            text.push('}');
        }
        scalar => write!(text, "{scalar}").expect("a string takes everything"),
    }
}

/// Puts names that stand before a colon into quotes: `{action: "send"}` becomes `{"action": "send"}`.
fn quote_names(message: &str) -> String {
    let mut quoted = String::with_capacity(message.len() + 16);
    let mut rest = message;
    while let Some(character) = rest.chars().next() {
        let length = match character {
            '"' => string_length(rest),
            c if starts_name(c) => {
                rest.find(|c: char| !starts_name(c) && !c.is_ascii_digit()).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if starts_name(character) && after.trim_start().starts_with(':') {
            quoted.extend(["\"", token, "\""]);
        } else {
            quoted.push_str(token);
        }
        rest = after;
    }
    quoted
}

const fn starts_name(character: char) -> bool {
    character.is_ascii_alphabetic() || matches!(character, '_' | '$')
}

/// The length of the string literal that `text` begins with, in bytes.
fn string_length(text: &str) -> usize {
    let mut escaped = true;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    // The opening quote counts as escaped, so that it does not end what it begins.
    end.map_or(text.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evaluate(expression: &str, message: &str) -> Option<String> {
        expression.parse::<RouteSelection>().unwrap().evaluate(message, false)
    }

    const MESSAGE: &str = r#"{
        "service": "chat",
        "action": "join",
        "data": {"room": "room1234", "a-b": {"c_d": "deep"}},
        "list": ["a", "b", ["c", null]],
        "object": {"x": 1, "y": "z"},
        "number": 12.50,
        "whole": -7,
        "yes": true,
        "nothing": null,
        "": "unnamed",
        "dollar": "$request.body.action"
    }"#;

    #[test]
    fn an_expression_is_evaluated_as_documented() {
        for (expression, key) in [
            ("$request.body.action", "join"),
            ("${request.body.action}", "join"),
            ("${request.body.service}/${request.body.action}", "chat/join"),
            ("$request.body.service/$request.body.action", "chat/join"),
            ("${request.body.action}-beta", "join-beta"),
            ("$request.body.data.room", "room1234"),
            ("$request.body.data.a-b.c_d", "deep"),
            ("static", "static"),
            ("\\$default", "$default"),
            ("\\$request.body.action", "$request.body.action"),
            ("a\\b", "a\\b"),
            // What is not there is empty.
            ("$request.body.missing", ""),
            ("$request.body.action.missing", ""),
            ("$request.body.list.0", ""),
            ("<${request.body.nothing}>", "<>"),
            // What is no text is written out.
            ("$request.body.list", "[a, b, [c, null]]"),
            ("$request.body.object", "{x=1, y=z}"),
            ("$request.body.whole", "-7"),
            ("$request.body.yes", "true"),
            // Once is enough.
            ("$request.body.dollar", "$request.body.action"),
        ] {
            assert_eq!(evaluate(expression, MESSAGE).as_deref(), Some(key), "{expression}");
        }
        assert_eq!(RouteSelection::default(), "$request.body.action".parse().unwrap());
    }

    #[test]
    fn other_expressions_are_refused_with_what_is_allowed() {
        for (expression, problem) in [
            ("", "it is empty"),
            ("$", "there is no variable \"\""),
            ("$$", "there is no variable \"\""),
            ("${}", "there is no variable \"\""),
            ("${request.body.action", "a brace is not closed"),
            ("$request.body", "there is no variable \"request.body\""),
            ("$request.header.x", "there is no variable \"request.header.x\""),
            ("$context.connectionId", "there is no variable \"context.connectionId\""),
            ("$stageVariables.x", "there is no variable \"stageVariables.x\""),
            ("${$request.body.action}", "there is no variable \"$request.body.action\""),
            ("$request.body.", "\"\" is no path of names"),
            ("$request.body..action", "is no path of names"),
            ("$request.body.list[0]", "\"list[0]\" is no path of names"),
            ("${request.body.a b}", "\"a b\" is no path of names"),
        ] {
            let error = expression.parse::<RouteSelection>().unwrap_err().to_string();
            assert!(error.contains(problem), "{expression}: {error}");
            assert!(
                error.contains("allowed are text, $request.body.NAME and ${request.body."),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_not_json_names_no_route() {
        let deep = "[".repeat(100_000);
        for message in [
            "",
            " ",
            "join",
            "{",
            "{}}",
            "{action:\"join\"}",
            "{'action':'join'}",
            "\u{feff}{}",
            &deep,
        ] {
            assert_eq!(evaluate("$request.body.action", message), None, "{message:.20}");
        }
        // It need not be an object.
        for message in ["null", "1", "\"join\"", "[\"action\"]", " {} "] {
            assert_eq!(evaluate("$request.body.action", message).as_deref(), Some(""), "{message}");
        }
        // The last one of the same name counts.
        let twice = r#"{"action":"one","action":"two"}"#;
        assert_eq!(evaluate("$request.body.action", twice).as_deref(), Some("two"));
    }

    #[test]
    fn lenient_json_has_names_without_quotes() {
        let selection =
            "$request.body.action/$request.body.data.room".parse::<RouteSelection>().unwrap();
        for (message, key) in [
            (r#"{action:"join"}"#, "join/"),
            (r#"{ action : "join", data:{room:"a{b:c\"d:e"}, _$1: [x1] }"#, ""),
            (r#"{action:"join", "data":{room:"a{b:c\"d:e"}}"#, "join/a{b:c\"d:e"),
            (r#"{"action":"join",list:[1,true,null]}"#, "join/"),
        ] {
            let evaluated = selection.evaluate(message, true).unwrap_or_default();
            assert_eq!(evaluated, key, "{message}");
        }
        assert_eq!(selection.evaluate("\"", true), None);
    }

    proptest! {
        #[test]
        fn no_expression_and_no_message_is_too_much(expression in ".*", message in ".*") {
            if let Ok(selection) = expression.parse::<RouteSelection>() {
                selection.evaluate(&message, true);
            }
        }

        #[test]
        fn a_name_is_found_whatever_it_is(name in "[a-zA-Z0-9_-]{1,20}", value in any::<String>()) {
            let message = serde_json::json!({ name.clone(): value }).to_string();
            let selection: RouteSelection = format!("${{request.body.{name}}}").parse().unwrap();
            prop_assert_eq!(selection.evaluate(&message, false), Some(value.clone()));
            prop_assert_eq!(selection.evaluate(&message, true), Some(value));
        }
    }
}
