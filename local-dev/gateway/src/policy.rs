//! IAM policies, as far as an authorizer's answer needs them.
//!
//! Sources: IAM user guide, "IAM JSON policy element reference" and "Policy evaluation logic". Conditions would need more
//! of IAM than there is here: a policy with one is malformed rather than misread.

use serde::Deserialize;

/// What a policy says of an action on a resource.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A statement allows it, and none denies it.
    Allowed,
    /// A statement denies it, or none allows it.
    Denied,
}

/// A policy.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Document")]
pub(crate) struct Policy(Vec<Statement>);

#[derive(Debug)]
struct Statement {
    effect: Effect,
    actions: Patterns,
    resources: Patterns,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// What one of the patterns matches or, `inverted`, what none of them does.
#[derive(Debug)]
struct Patterns {
    patterns: Vec<String>,
    inverted: bool,
}

impl Policy {
    /// Whether the policy allows an action on a resource.
    pub(crate) fn decide(&self, action: &str, resource: &str) -> Decision {
        let action = action.to_ascii_lowercase();
        let applies = |statement: &&Statement| {
            statement.actions.take(&action) && statement.resources.take(resource)
        };
        let mut effects =
            self.0.iter().filter(applies).map(|statement| statement.effect).peekable();
        let allowed = effects.peek().is_some() && effects.all(|effect| effect == Effect::Allow);
        if allowed { Decision::Allowed } else { Decision::Denied }
    }
}

impl Patterns {
    fn take(&self, text: &str) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern, text)) != self.inverted
    }
}

/// Whether `text` is what `pattern` says, in which `*` is any characters and `?` is any one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last `*` does not match: after the star, and one character further on.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((after_star, skipped)) = retry else { return false };
                (p, t) = (after_star, skipped + 1);
                retry = Some((after_star, t));
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    #[serde(default, rename = "Version")]
    _version: Option<String>,
    #[serde(default, rename = "Id")]
    _id: Option<String>,
    statement: OneOrMany<StatementDocument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StatementDocument {
    #[serde(default, rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    action: Option<OneOrMany<String>>,
    not_action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    not_resource: Option<OneOrMany<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> From<OneOrMany<T>> for Vec<T> {
    fn from(values: OneOrMany<T>) -> Self {
        match values {
            OneOrMany::Many(values) => values,
            OneOrMany::One(value) => vec![value],
        }
    }
}

impl TryFrom<Document> for Policy {
    type Error = &'static str;

    fn try_from(document: Document) -> Result<Self, &'static str> {
        let statements: Vec<StatementDocument> = document.statement.into();
        statements.into_iter().map(Statement::try_from).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<StatementDocument> for Statement {
    type Error = &'static str;

    fn try_from(document: StatementDocument) -> Result<Self, &'static str> {
        let StatementDocument { effect, action, not_action, resource, not_resource, .. } = document;
        let mut actions = patterns(action, not_action).ok_or("one of Action and NotAction")?;
        for pattern in &mut actions.patterns {
            // Unlike resources, actions are the same in either case.
            pattern.make_ascii_lowercase();
        }
        let resources =
            patterns(resource, not_resource).ok_or("one of Resource and NotResource")?;
        Ok(Self { effect, actions, resources })
    }
}

fn patterns(
    these: Option<OneOrMany<String>>,
    all_but_these: Option<OneOrMany<String>>,
) -> Option<Patterns> {
    match (these, all_but_these) {
        (Some(patterns), None) => Some(Patterns { patterns: patterns.into(), inverted: false }),
        (None, Some(patterns)) => Some(Patterns { patterns: patterns.into(), inverted: true }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ARN: &str = "arn:aws:execute-api:us-east-1:123456789012:wsapi00000/prod/$connect";

    fn allow(action: &str, resource: &str) -> Value {
        json!({ "Effect": "Allow", "Action": action, "Resource": resource })
    }

    fn decide(statements: &Value) -> Decision {
        let document = json!({ "Version": "2012-10-17", "Statement": statements });
        let policy: Policy = serde_json::from_value(document).unwrap();
        policy.decide("execute-api:Invoke", ARN)
    }

    #[test]
    fn a_statement_allows_what_it_matches() {
        for (action, resource) in [
            ("execute-api:Invoke", ARN),
            ("EXECUTE-API:invoke", ARN),
            ("execute-api:*", "*"),
            ("*", "arn:aws:execute-api:*:*:*/*/$connect"),
            ("execute-api:Inv?ke", "arn:aws:execute-api:us-east-1:123456789012:wsapi00000/*"),
            ("*:Invoke", "*$connect"),
            ("***", "arn:aws:execute-api:us-east-?:123456789012:wsapi00000/prod/$connect*"),
        ] {
            assert_eq!(decide(&allow(action, resource)), Decision::Allowed, "{action} {resource}");
        }
        for (action, resource) in [
            ("", ARN),
            ("execute-api", ARN),
            ("execute-api:ManageConnections", ARN),
            ("execute-api:Invoke?", ARN),
            ("execute-api:Invoke", ""),
            ("execute-api:Invoke", "arn:aws:execute-api:*:*:*/dev/$connect"),
            ("execute-api:Invoke", "arn:aws:execute-api:*:*:*/PROD/$connect"),
            ("execute-api:Invoke", "arn:aws:execute-api:*:*:*/$default"),
            ("execute-api:Invoke", "*?$connect/"),
        ] {
            assert_eq!(decide(&allow(action, resource)), Decision::Denied, "{action} {resource}");
        }
    }

    #[test]
    fn a_denial_wins_and_nothing_is_no() {
        let deny = json!({ "Effect": "Deny", "Action": "*", "Resource": "*/prod/*" });
        let of_other = json!({ "Effect": "Deny", "Action": "*", "Resource": "*/dev/*" });
        assert_eq!(decide(&json!([])), Decision::Denied);
        assert_eq!(decide(&json!([allow("*", "*"), deny])), Decision::Denied);
        assert_eq!(decide(&json!([deny, allow("*", "*")])), Decision::Denied);
        assert_eq!(decide(&json!([of_other, allow("*", "*")])), Decision::Allowed);
        assert_eq!(decide(&of_other), Decision::Denied);
    }

    #[test]
    fn lists_and_negations_are_understood() {
        let lists = json!({ "Effect": "Allow", "Action": ["s3:Get*", "execute-api:Invoke"], "Resource": ["x", ARN] });
        assert_eq!(decide(&lists), Decision::Allowed);
        let all_but = json!({ "Effect": "Allow", "NotAction": "s3:*", "NotResource": ["*/dev/*"] });
        assert_eq!(decide(&all_but), Decision::Allowed);
        let but_this = json!({ "Effect": "Allow", "NotAction": "execute-api:*", "Resource": "*" });
        assert_eq!(decide(&but_this), Decision::Denied);
        let but_here = json!({ "Effect": "Allow", "Action": "*", "NotResource": ["x", ARN] });
        assert_eq!(decide(&but_here), Decision::Denied);
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for document in [
            json!({}),
            json!({ "Statement": {} }),
            json!({ "statement": [] }),
            json!({ "Statement": [{ "Effect": "allow", "Action": "*", "Resource": "*" }] }),
            json!({ "Statement": [{ "Effect": "Allow", "Action": "*" }] }),
            json!({ "Statement": [{ "Effect": "Allow", "Resource": "*" }] }),
            json!({ "Statement": [{ "Effect": "Allow", "Action": 1, "Resource": "*" }] }),
            json!({ "Statement": [{ "Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*" }] }),
            json!({ "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {} }] }),
        ] {
            assert!(serde_json::from_value::<Policy>(document.clone()).is_err(), "{document}");
        }
    }

    #[test]
    fn a_pattern_of_stars_costs_no_more_than_its_length_times_the_texts() {
        let pattern = "*a".repeat(2_000);
        let text = "a".repeat(1_999) + "b";
        assert!(!matches(&pattern, &text));
    }
}
