//! Intrinsic functions: what a value is once they are worked out.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    node::{Entry, Kind, Node, Unknown},
    problem::Problem,
    resolver::Resolver,
};

impl Resolver<'_> {
    /// The value, worked out; `None` for `AWS::NoValue`, which is as if nothing stood there.
    pub(crate) fn resolve(&self, node: &Node) -> Result<Option<Node>, Problem> {
        self.spend(1, node.line)?;
        if let Some((name, argument)) = node.intrinsic() {
            let kind = self.call(node, name, argument)?;
            return Ok(kind.map(|kind| Node::new(node.line, kind)));
        }
        let kind = match &node.kind {
            Kind::Scalar(text) => self.text(node, text.clone())?,
            Kind::List(nodes) => Kind::List(self.resolve_all(nodes)?),
            Kind::Map(entries) => {
                let mut resolved = Vec::new();
                for Entry { key, line, value } in entries {
                    if key.starts_with("Fn::") {
                        let message = format!("{key} must be the only entry of its map");
                        return Err(Problem::new("", *line, message));
                    }
                    if let Some(value) = self.resolve(value)? {
                        resolved.push(Entry { key: key.clone(), line: *line, value });
                    }
                }
                Kind::Map(resolved)
            }
            kind => kind.clone(),
        };
        Ok(Some(Node::new(node.line, kind)))
    }

    fn resolve_all(&self, nodes: &[Node]) -> Result<Vec<Node>, Problem> {
        nodes.iter().filter_map(|node| self.resolve(node).transpose()).collect()
    }

    /// Text as it came out. Dynamic references in it are only followed by a deployment.
    fn text(&self, node: &Node, text: String) -> Result<Kind, Problem> {
        self.spend(text.len(), node.line)?;
        if text.contains("{{resolve:") {
            let why = "a dynamic reference is followed when the stack is deployed";
            return Ok(unknown(node, why));
        }
        Ok(Kind::Scalar(text))
    }

    fn call(&self, node: &Node, name: &str, argument: &Node) -> Result<Option<Kind>, Problem> {
        let operands = match &argument.kind {
            Kind::List(operands) => operands.as_slice(),
            _ => std::slice::from_ref(argument),
        };
        let kind = match (name, operands) {
            ("Ref", [target]) if target.scalar().is_some() => {
                let kind = self.reference(target.scalar().unwrap_or_default(), node.line)?;
                if let Some(Kind::Scalar(text)) = kind {
                    return self.text(node, text).map(Some);
                }
                return Ok(kind);
            }
            ("Fn::If", [condition, then, otherwise]) if condition.scalar().is_some() => {
                let name = condition.scalar().unwrap_or_default();
                let chosen = if self.condition(name, node.line)? { then } else { otherwise };
                return Ok(self.resolve(chosen)?.map(|chosen| chosen.kind));
            }
            ("Fn::GetAtt", _) => self.get_att(node, operands)?,
            ("Fn::Sub", [text]) => self.sub(node, text, None)?,
            ("Fn::Sub", [text, values]) => self.sub(node, text, Some(values))?,
            ("Fn::Join", [delimiter, parts]) => self.join(node, delimiter, parts)?,
            ("Fn::Select", [index, list]) => self.select(node, index, list)?,
            ("Fn::Split", [delimiter, text]) => self.split(node, delimiter, text)?,
            ("Fn::FindInMap", [map, first, second, ..]) => {
                self.find_in_map(node, [map, first, second], operands.get(3))?
            }
            ("Fn::Base64", [text]) => match self.operand(node, text)? {
                Kind::Scalar(text) => Kind::Scalar(BASE64_STANDARD.encode(text)),
                kind @ Kind::Unknown(_) => kind,
                _ => return Err(misused(node)),
            },
            ("Fn::ImportValue", _) => unknown(node, "another stack exports it"),
            (
                "Fn::Cidr" | "Fn::GetAZs" | "Fn::Length" | "Fn::ToJsonString" | "Fn::Transform",
                _,
            ) => unknown(node, &format!("local-dev doesn't work out {name}")),
            _ => return Err(misused(node)),
        };
        Ok(Some(kind))
    }

    /// An argument, worked out.
    fn operand(&self, node: &Node, operand: &Node) -> Result<Kind, Problem> {
        self.resolve(operand)?.map(|operand| operand.kind).ok_or_else(|| misused(node))
    }

    fn get_att(&self, node: &Node, operands: &[Node]) -> Result<Kind, Problem> {
        let texts: Option<Vec<&str>> = operands.iter().map(Node::scalar).collect();
        let path = texts.map(|texts| texts.join(".")).unwrap_or_default();
        let (name, attribute) = path.split_once('.').ok_or_else(|| misused(node))?;
        Ok(self.attribute(name, attribute))
    }

    /// `${Name}` and `${Name.Attribute}` are filled in, `${!Literal}` is `${Literal}`.
    fn sub(&self, node: &Node, text: &Node, values: Option<&Node>) -> Result<Kind, Problem> {
        let mut rest = text.scalar().ok_or_else(|| misused(node))?;
        let mut filled = String::new();
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { break };
            filled.push_str(before);
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                filled.push_str("${");
                filled.push_str(literal);
                filled.push('}');
                continue;
            }
            match self.placeholder(node, name.trim(), values)? {
                Kind::Scalar(value) => {
                    self.spend(value.len(), node.line)?;
                    filled.push_str(&value);
                }
                Kind::Unknown(Unknown { why, .. }) => return Ok(unknown(node, &why)),
                _ => {
                    let message = format!("${{{name}}} is not text, so it can't be filled in");
                    return Err(Problem::new("", node.line, message));
                }
            }
        }
        filled.push_str(rest);
        self.text(node, filled)
    }

    fn placeholder(&self, node: &Node, name: &str, values: Option<&Node>) -> Result<Kind, Problem> {
        if let Some(value) = values.and_then(|values| values.get(name)) {
            return self.operand(node, value);
        }
        match name.split_once('.') {
            Some((_, "Alias" | "Version")) | None => {
                self.reference(name, node.line)?.ok_or_else(|| misused(node))
            }
            Some((resource, attribute)) => Ok(self.attribute(resource, attribute)),
        }
    }

    fn join(&self, node: &Node, delimiter: &Node, parts: &Node) -> Result<Kind, Problem> {
        let delimiter = match &delimiter.kind {
            Kind::Scalar(delimiter) => delimiter.as_str(),
            // An empty plain value.
            Kind::Null => "",
            _ => return Err(misused(node)),
        };
        let parts = match self.operand(node, parts)? {
            Kind::List(parts) => parts,
            kind @ Kind::Unknown(_) => return Ok(kind),
            _ => return Err(misused(node)),
        };
        let mut joined = String::new();
        for (index, part) in parts.into_iter().enumerate() {
            let part = match part.kind {
                Kind::Scalar(part) => part,
                Kind::Null => String::new(),
                Kind::Unknown(Unknown { why, .. }) => return Ok(unknown(node, &why)),
                _ => return Err(misused(node)),
            };
            self.spend(delimiter.len() + part.len(), node.line)?;
            if index > 0 {
                joined.push_str(delimiter);
            }
            joined.push_str(&part);
        }
        self.text(node, joined)
    }

    fn select(&self, node: &Node, index: &Node, list: &Node) -> Result<Kind, Problem> {
        let index = match self.operand(node, index)? {
            Kind::Scalar(index) => index.trim().parse::<usize>().ok(),
            kind @ Kind::Unknown(_) => return Ok(kind),
            _ => None,
        };
        let mut list = match self.operand(node, list)? {
            Kind::List(list) => list,
            kind @ Kind::Unknown(_) => return Ok(kind),
            _ => return Err(misused(node)),
        };
        match index.filter(|index| *index < list.len()) {
            Some(index) => Ok(list.swap_remove(index).kind),
            None => Err(misused(node)),
        }
    }

    fn split(&self, node: &Node, delimiter: &Node, text: &Node) -> Result<Kind, Problem> {
        let delimiter = delimiter
            .scalar()
            .filter(|delimiter| !delimiter.is_empty())
            .ok_or_else(|| misused(node))?;
        match self.operand(node, text)? {
            Kind::Scalar(text) => {
                let parts: Vec<Node> =
                    text.split(delimiter).map(|part| Node::text(node.line, part)).collect();
                self.spend(parts.len(), node.line)?;
                Ok(Kind::List(parts))
            }
            kind @ Kind::Unknown(_) => Ok(kind),
            _ => Err(misused(node)),
        }
    }

    fn find_in_map(
        &self,
        node: &Node,
        keys: [&Node; 3],
        otherwise: Option<&Node>,
    ) -> Result<Kind, Problem> {
        let mut found = self.mappings;
        for key in keys {
            let key = match self.operand(node, key)? {
                Kind::Scalar(key) => key,
                kind @ Kind::Unknown(_) => return Ok(kind),
                _ => return Err(misused(node)),
            };
            found = found.and_then(|found| found.get(&key));
        }
        let Some(found) = found.or_else(|| otherwise?.get("DefaultValue")) else {
            let message = format!("{} is not in Mappings", node.expression());
            return Err(Problem::new("", node.line, message));
        };
        self.operand(node, found)
    }
}

fn unknown(node: &Node, why: &str) -> Kind {
    Kind::Unknown(Unknown { expression: node.expression(), why: why.to_owned() })
}

fn misused(node: &Node) -> Problem {
    let message = format!("{} is not how this function is used", node.expression());
    Problem::new("", node.line, message)
}
