//! From text to nodes: YAML with the tags of `CloudFormation`, and so JSON as well.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::{
    node::{Entry, Kind, Node},
    problem::Problem,
};

/// The largest template, in bytes. Source: quotas of `CloudFormation` (1 MB for a template in S3; 51,200 bytes if inline).
const BYTES_MAX: usize = 1024 * 1024;

/// How deep values may lie in each other, aliases followed.
const DEPTH_MAX: usize = 100;

/// How much a template may grow by its aliases: nodes, and bytes of their text.
const NODES_MAX: usize = 200_000;
const TEXT_BYTES_MAX: usize = 4 * BYTES_MAX;

/// What `!Name` may stand for, but for `!Ref` and `!Condition`, which have no `Fn::`.
const FUNCTIONS: [&str; 17] = [
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
];

/// Reads one document.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > BYTES_MAX {
        let message = format!(
            "the template has {} bytes, CloudFormation takes up to {BYTES_MAX}",
            text.len()
        );
        return Err(Problem::new("", 1, message));
    }
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
        emit_comments: false,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        builder.take(event, span)?;
    }
    builder.root.ok_or_else(|| Problem::new("", 1, "the template is empty"))
}

fn syntax(error: &ScanError) -> Problem {
    Problem::new(
        "",
        error.marker().line(),
        format!("this is neither YAML nor JSON: {}", error.info()),
    )
}

/// Puts nodes together as they are read.
#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    text_bytes: usize,
}

/// A list or a map whose end hasn't been read.
struct Open {
    line: usize,
    anchor: usize,
    tag: Option<String>,
    content: Content,
    height: usize,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, keys: HashSet<String>, key: Option<(String, usize)> },
}

/// What an alias can repeat, and what that costs.
struct Anchored {
    node: Node,
    height: usize,
    nodes: usize,
    text_bytes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let kind = if plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
                    Kind::Null
                } else {
                    Kind::Scalar(text.into_owned())
                };
                let tag = tag.map(|tag| function_of(&tag, line)).transpose()?.flatten();
                self.finish(Node::new(line, kind), tag, anchor, 0)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(line, anchor, tag.as_deref(), Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = Content::Map { entries: Vec::new(), keys: HashSet::new(), key: None };
                self.open(line, anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.repeat(anchor, line),
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(Problem::new("", line, "a template is one YAML document, here a second begins"))
            }
            _ => Ok(()),
        }
    }

    fn open(
        &mut self,
        line: usize,
        anchor: usize,
        tag: Option<&Tag>,
        content: Content,
    ) -> Result<(), Problem> {
        let tag = tag.map(|tag| function_of(tag, line)).transpose()?.flatten();
        self.open.push(Open { line, anchor, tag, content, height: 0 });
        self.check_depth(0, line)
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let kind = match open.content {
            Content::List(nodes) => Kind::List(nodes),
            Content::Map { entries, .. } => Kind::Map(entries),
        };
        self.finish(Node::new(open.line, kind), open.tag, open.anchor, open.height + 1)
    }

    /// A node is complete: its tag becomes a function, it is remembered if it has a name, and put where it belongs.
    fn finish(
        &mut self,
        node: Node,
        function: Option<String>,
        anchor: usize,
        height: usize,
    ) -> Result<(), Problem> {
        let node = match function {
            None => node,
            Some(key) => {
                let line = node.line;
                Node::new(line, Kind::Map(vec![Entry { key, line, value: node }]))
            }
        };
        self.spend(1, node.scalar().map_or(0, str::len), node.line)?;
        if anchor > 0 {
            let (nodes, text_bytes) = weigh(&node);
            self.spend(nodes, text_bytes, node.line)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), height, nodes, text_bytes });
        }
        self.attach(node, height)
    }

    fn repeat(&mut self, anchor: usize, line: usize) -> Result<(), Problem> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Problem::new("", line, "this alias stands inside of what it repeats"));
        };
        let (height, nodes, text_bytes) = (anchored.height, anchored.nodes, anchored.text_bytes);
        self.check_depth(height, line)?;
        self.spend(nodes, text_bytes, line)?;
        let Some(node) = self.anchors.get(&anchor).map(|anchored| anchored.node.clone()) else {
            return Ok(());
        };
        self.attach(node, height)
    }

    fn attach(&mut self, node: Node, height: usize) -> Result<(), Problem> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.height = open.height.max(height);
        match &mut open.content {
            Content::List(nodes) => nodes.push(node),
            Content::Map { entries, keys, key } => {
                if let Some((key, line)) = key.take() {
                    entries.push(Entry { key, line, value: node });
                } else {
                    *key = Some(new_key(node, keys)?);
                }
            }
        }
        Ok(())
    }

    fn check_depth(&self, height: usize, line: usize) -> Result<(), Problem> {
        if self.open.len() + height <= DEPTH_MAX {
            return Ok(());
        }
        let message = format!("values lie in each other more than {DEPTH_MAX} deep");
        Err(Problem::new("", line, message))
    }

    fn spend(&mut self, nodes: usize, text_bytes: usize, line: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        self.text_bytes += text_bytes;
        if self.nodes <= NODES_MAX && self.text_bytes <= TEXT_BYTES_MAX {
            return Ok(());
        }
        let message = format!(
            "with its aliases followed, the template has more than {NODES_MAX} values or \
             {TEXT_BYTES_MAX} bytes"
        );
        Err(Problem::new("", line, message))
    }
}

/// The key that a node is, which the map doesn't have yet.
fn new_key(node: Node, keys: &mut HashSet<String>) -> Result<(String, usize), Problem> {
    let Kind::Scalar(text) = node.kind else {
        return Err(Problem::new("", node.line, "keys of a map must be text"));
    };
    if text == "<<" {
        let message = "CloudFormation doesn't know merge keys (<<)";
        return Err(Problem::new("", node.line, message));
    }
    if !keys.insert(text.clone()) {
        return Err(Problem::new("", node.line, format!("the key {text:?} is there twice")));
    }
    Ok((text, node.line))
}

/// How many nodes there are, and how many bytes of text in them.
fn weigh(node: &Node) -> (usize, usize) {
    let inner: Vec<(usize, usize)> = match &node.kind {
        Kind::List(nodes) => nodes.iter().map(weigh).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| {
                let (nodes, bytes) = weigh(&entry.value);
                (nodes, bytes + entry.key.len())
            })
            .collect(),
        Kind::Scalar(text) => return (1, text.len()),
        Kind::Null | Kind::Unknown(_) => return (1, 0),
    };
    inner.iter().fold((1, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// The key that a tag stands for; `None` for YAML's own tags, such as `!!str`.
fn function_of(tag: &Tag, line: usize) -> Result<Option<String>, Problem> {
    if tag.is_yaml_core_schema() || tag.suffix().is_empty() || tag.suffix() == "!" {
        return Ok(None);
    }
    match tag.suffix() {
        name @ ("Ref" | "Condition") if tag.handle() == "!" => Ok(Some(name.to_owned())),
        name if tag.handle() == "!" && FUNCTIONS.contains(&name) => Ok(Some(format!("Fn::{name}"))),
        "Transform" if tag.handle() == "!" => Ok(Some("Fn::Transform".to_owned())),
        _ => {
            let message = format!("{} is not a tag of CloudFormation", tag.original());
            Err(Problem::new("", line, message))
        }
    }
}
