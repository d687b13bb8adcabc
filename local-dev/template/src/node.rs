//! A piece of a template, with its place in the file.

/// A value and the line that it starts in.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// What a value is. Tags have become maps of one entry: `!Ref Name` is `{Ref: Name}`, `!Sub …` is `{Fn::Sub: …}`.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Only after intrinsic functions have been worked out: what nobody can know before a deployment.
    Unknown(Unknown),
}

/// One entry of a map; no key is there twice.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) value: Node,
}

/// A value that isn't known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// What the template says, in short: `!GetAtt Jobs.Arn`.
    pub(crate) expression: String,
    /// Why it isn't known.
    pub(crate) why: String,
}

impl Node {
    pub(crate) fn new(line: usize, kind: Kind) -> Self {
        Self { line, kind }
    }

    pub(crate) fn text(line: usize, text: impl Into<String>) -> Self {
        Self::new(line, Kind::Scalar(text.into()))
    }

    /// The entries of a map; none for what isn't one.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value of that key, if this is a map that has it and it isn't null.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let entry = self.entries().iter().find(|entry| entry.key == key)?;
        (!matches!(entry.value.kind, Kind::Null)).then_some(&entry.value)
    }

    /// The text of a scalar.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The name and the argument of the intrinsic function that this is.
    pub(crate) fn intrinsic(&self) -> Option<(&str, &Node)> {
        match self.entries() {
            [only] if only.key == "Ref" || only.key.starts_with("Fn::") => {
                Some((&only.key, &only.value))
            }
            _ => None,
        }
    }

    /// How the template puts it, in short.
    pub(crate) fn expression(&self) -> String {
        const CHARACTERS_MAX: usize = 100;
        let mut text = String::new();
        self.express(&mut text);
        match text.char_indices().nth(CHARACTERS_MAX) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    fn express(&self, text: &mut String) {
        // What is cut off in the end needn't be written.
        if text.len() > 1_000 {
            return;
        }
        match &self.kind {
            Kind::Null => text.push_str("null"),
            Kind::Scalar(scalar) => text.push_str(scalar),
            Kind::Unknown(unknown) => text.push_str(&unknown.expression),
            Kind::List(nodes) => {
                text.push('[');
                for (index, node) in nodes.iter().enumerate() {
                    text.push_str(if index > 0 { ", " } else { "" });
                    node.express(text);
                }
                text.push(']');
            }
            Kind::Map(entries) => {
                if let Some((name, argument)) = self.intrinsic() {
                    text.push('!');
                    text.push_str(name.trim_start_matches("Fn::"));
                    text.push(' ');
                    return argument.express(text);
                }
                text.push('{');
                for (index, entry) in entries.iter().enumerate() {
                    text.push_str(if index > 0 { ", " } else { "" });
                    text.push_str(&entry.key);
                    text.push_str(": ");
                    entry.value.express(text);
                }
                text.push('}');
            }
        }
    }
}
