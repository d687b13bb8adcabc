//! The routes of an HTTP API: what their keys are, and which of them a request matches.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap, fmt, str::FromStr};

use percent_encoding::percent_decode_str;

/// What a route matches: `$default`, or a method and a path, for example `GET /messages/{room}` or `ANY /{proxy+}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteKey {
    text: String,
    /// `None` is `$default`.
    pattern: Option<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// `None` is `ANY`.
    method: Option<String>,
    /// What is between the slashes, without the empty text before the first.
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// This text, with the percent escapes that a request has.
    Literal(String),
    /// `{name}`: any text that is not empty.
    Variable(String),
    /// `{name+}`, the last segment: one segment or more.
    Greedy(String),
}

/// Why a text is no route key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key:?} is no route key: {problem}")]
pub struct RouteKeyError {
    key: String,
    problem: String,
}

/// Values of a path's variables, decoded.
pub(crate) type PathParameters = BTreeMap<String, String>;

/// Source: "Create routes for HTTP APIs" for `ANY`, which takes other methods, too; the console lists these.
const METHODS: [&str; 8] = ["ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

impl RouteKey {
    /// Understands a route key.
    ///
    /// # Errors
    /// When API Gateway knows no such key.
    pub fn parse(key: &str) -> Result<Self, RouteKeyError> {
        let pattern = match key {
            "$default" => Ok(None),
            _ => Pattern::parse(key).map(Some),
        };
        match pattern {
            Ok(pattern) => Ok(Self { text: key.to_owned(), pattern }),
            Err(problem) => Err(RouteKeyError { key: key.to_owned(), problem }),
        }
    }

    /// The key as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first segment of every path that the route matches. `None` when there is no such segment.
    pub(crate) fn first_segment(&self) -> Option<&str> {
        match self.pattern.as_ref()?.segments.first()? {
            Segment::Literal(text) => Some(text),
            Segment::Variable(_) | Segment::Greedy(_) => None,
        }
    }

    /// Whether both match the same requests, however their variables are called.
    pub(crate) fn is_same_route(&self, other: &Self) -> bool {
        match (&self.pattern, &other.pattern) {
            (None, None) => true,
            (Some(one), Some(two)) => {
                one.precedence(two) == Ordering::Equal && one.method == two.method
            }
            _ => false,
        }
    }

    /// The values of the variables, if the key matches a request. `path` is as it was sent, without the stage.
    pub(crate) fn matches(&self, method: &str, path: &str) -> Option<PathParameters> {
        match &self.pattern {
            None => Some(PathParameters::new()),
            Some(pattern) => pattern.matches(method, path),
        }
    }

    /// Which of two keys that match the same request takes it: the lesser one.
    ///
    /// 1. A path without a greedy variable comes before one with it, and that before `$default`.
    /// 2. From left to right, the first segment in which the paths differ decides: a literal comes before a variable,
    ///    and a variable before a greedy one.
    /// 3. On the same path, the method comes before `ANY`.
    ///
    /// The first rule and the third are documented ("Create routes for HTTP APIs": full match, greedy match, `$default`;
    /// `ANY` is for methods that are not defined), and so is that static segments come before variables. That they are
    /// compared from left to right, and that a better path with `ANY` comes before a worse one with the method, follows
    /// from nothing but the examples.
    pub(crate) fn precedence(&self, other: &Self) -> Ordering {
        match (&self.pattern, &other.pattern) {
            (Some(one), Some(two)) => one
                .is_greedy()
                .cmp(&two.is_greedy())
                .then_with(|| one.precedence(two))
                .then_with(|| one.method.is_none().cmp(&two.method.is_none())),
            (one, two) => one.is_none().cmp(&two.is_none()),
        }
    }
}

impl FromStr for RouteKey {
    type Err = RouteKeyError;

    fn from_str(key: &str) -> Result<Self, RouteKeyError> {
        Self::parse(key)
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Pattern {
    fn parse(key: &str) -> Result<Self, String> {
        let (method, path) = key.split_once(' ').ok_or(
            "it is $default, or a method, a space and a path, for example GET /messages/{id}",
        )?;
        if !METHODS.contains(&method) {
            return Err(format!("{method:?} is no method; there are {}", METHODS.join(", ")));
        }
        let path = path
            .strip_prefix('/')
            .ok_or_else(|| format!("the path {path:?} does not begin with a slash"))?;
        let segments = path.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let greedy = |segment: &&Segment| matches!(segment, Segment::Greedy(_));
        if let Some(greedy) = segments.iter().rev().skip(1).find(greedy) {
            return Err(format!("{greedy} is greedy, so nothing can follow it"));
        }
        for (index, segment) in segments.iter().enumerate() {
            if let Some(name) = segment.name()
                && segments[..index].iter().any(|before| before.name() == Some(name))
            {
                return Err(format!("there are two variables {name:?}"));
            }
        }
        Ok(Self { method: Some(method.to_owned()).filter(|method| method != "ANY"), segments })
    }

    fn is_greedy(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Greedy(_)))
    }

    fn matches(&self, method: &str, path: &str) -> Option<PathParameters> {
        if self.method.as_ref().is_some_and(|own| own != method) {
            return None;
        }
        let mut rest = Some(path.strip_prefix('/')?);
        let mut parameters = PathParameters::new();
        for segment in &self.segments {
            let (next, after) = match rest?.split_once('/') {
                Some((next, after)) => (next, Some(after)),
                None => (rest?, None),
            };
            match segment {
                Segment::Literal(text) if text == next => {}
                Segment::Variable(name) if !next.is_empty() => {
                    parameters.insert(name.clone(), decode(next).into_owned());
                }
                Segment::Greedy(name) if rest.is_some_and(|rest| !rest.is_empty()) => {
                    parameters.insert(name.clone(), decode(rest?).into_owned());
                    return Some(parameters);
                }
                _ => return None,
            }
            rest = after;
        }
        rest.is_none().then_some(parameters)
    }

    /// Compares the paths alone. Variables are the same whatever they are called.
    fn precedence(&self, other: &Self) -> Ordering {
        let ranks = |pattern: &Self| {
            let rank = |segment: &Segment| match segment {
                Segment::Literal(text) => (0, text.clone()),
                Segment::Variable(_) => (1, String::new()),
                Segment::Greedy(_) => (2, String::new()),
            };
            pattern.segments.iter().map(rank).collect::<Vec<_>>()
        };
        ranks(self).cmp(&ranks(other))
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        let literal = |character: char| character.is_ascii_graphic() && !"{}?#".contains(character);
        if text.chars().all(literal) {
            return Ok(Self::Literal(text.to_owned()));
        }
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let Some(inner) = inner else {
            return Err(format!(
                "{text:?} is neither a text without spaces, braces, ? and # nor one variable such as {{name}}"
            ));
        };
        let (name, greedy) = inner.strip_suffix('+').map_or((inner, false), |name| (name, true));
        let in_name =
            |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        if name.is_empty() || !name.chars().all(in_name) {
            return Err(format!(
                "{text:?} is no variable: its name has letters, digits, dots, hyphens and underscores"
            ));
        }
        Ok(if greedy { Self::Greedy(name.to_owned()) } else { Self::Variable(name.to_owned()) })
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Variable(name) | Self::Greedy(name) => Some(name),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => formatter.write_str(text),
            Self::Variable(name) => write!(formatter, "{{{name}}}"),
            Self::Greedy(name) => write!(formatter, "{{{name}+}}"),
        }
    }
}

/// Undoes percent escapes. Escapes that are none stay, and bytes that are no UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> RouteKey {
        text.parse().unwrap()
    }

    /// Source: "Create routes for HTTP APIs" (methods, `ANY`, `$default`, greedy variables only at the end).
    #[test]
    fn a_route_key_is_a_method_and_a_path_or_default() {
        for good in [
            "$default",
            "ANY /",
            "GET /pets",
            "GET /pets/",
            "HEAD /pets/{petID}",
            "PATCH /{a}/b/{c}/{proxy+}",
            "OPTIONS /{proxy+}",
            "PUT /.well-known/a,b:c@d/%7Bx%7D",
        ] {
            assert_eq!(key(good).to_string(), good);
        }
        for (bad, problem) in [
            ("", "it is $default, or a method, a space and a path, for example GET /messages/{id}"),
            ("$connect", "it is $default, or a method, a space and a path"),
            ("/pets", "it is $default, or a method, a space and a path"),
            ("get /pets", "\"get\" is no method; there are ANY, DELETE, GET,"),
            ("PURGE /pets", "\"PURGE\" is no method"),
            ("GET pets", "the path \"pets\" does not begin with a slash"),
            ("GET  /pets", "the path \" /pets\" does not begin with a slash"),
            ("GET $default", "the path \"$default\" does not begin with a slash"),
            ("GET /{proxy+}/x", "{proxy+} is greedy, so nothing can follow it"),
            ("GET /{proxy+}/", "{proxy+} is greedy, so nothing can follow it"),
            ("GET /{a}/{a}", "there are two variables \"a\""),
            ("GET /{a}/{a+}", "there are two variables \"a\""),
            ("GET /{a}{b}", "\"{a}{b}\" is no variable"),
            (
                "GET /a{b}",
                "\"a{b}\" is neither a text without spaces, braces, ? and # nor one variable",
            ),
            ("GET /{}", "\"{}\" is no variable"),
            ("GET /{+}", "\"{+}\" is no variable"),
            ("GET /{a b}", "\"{a b}\" is no variable"),
            ("GET /a b", "\"a b\" is neither"),
            ("GET /a?b=c", "\"a?b=c\" is neither"),
            ("GET /é", "\"é\" is neither"),
        ] {
            let error = RouteKey::parse(bad).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{bad:?} is no route key: {problem}")), "{error}");
        }
    }

    /// Source: "Create routes for HTTP APIs" (path variables, parameters are decoded), and for slashes at the end
    /// observations of others. What a literal is compared to, escapes and all, is inferred.
    #[test]
    fn variables_have_the_values_of_the_path() {
        for (route, path, expected) in [
            ("GET /pets", "/pets", Some(vec![])),
            ("GET /pets", "/pets/", None),
            ("GET /pets/", "/pets/", Some(vec![])),
            ("GET /pets/", "/pets", None),
            ("GET /pets", "/Pets", None),
            ("GET /pets", "/p%65ts", None),
            ("GET /pets", "/pets/6", None),
            ("GET /", "/", Some(vec![])),
            ("GET /", "", None),
            ("GET /", "*", None),
            ("GET /pets/{id}", "/pets/6", Some(vec![("id", "6")])),
            ("GET /pets/{id}", "/pets/6/", None),
            ("GET /pets/{id}", "/pets/", None),
            ("GET /pets/{id}", "/pets", None),
            ("GET /pets/{id}", "/pets/a%2Fb%20c+d", Some(vec![("id", "a/b c+d")])),
            ("GET /pets/{id}", "/pets/%zz%4", Some(vec![("id", "%zz%4")])),
            ("GET /pets/{id}", "/pets/%ff", Some(vec![("id", "\u{fffd}")])),
            ("GET /{a}/x/{b}", "/1/x/2", Some(vec![("a", "1"), ("b", "2")])),
            ("GET /{a}/x/{b}", "//x/2", None),
            ("ANY /{proxy+}", "/", None),
            ("ANY /{proxy+}", "/a", Some(vec![("proxy", "a")])),
            ("ANY /{proxy+}", "/a/b%20c/", Some(vec![("proxy", "a/b c/")])),
            ("ANY /a/{proxy+}", "/a", None),
            ("ANY /a/{proxy+}", "/a/", None),
            ("ANY /a/{proxy+}", "/a/b", Some(vec![("proxy", "b")])),
            ("ANY /{x}/{proxy+}", "/a/b/c", Some(vec![("x", "a"), ("proxy", "b/c")])),
            ("$default", "/a/b", Some(vec![])),
            ("$default", "*", Some(vec![])),
        ] {
            let parameters = key(route).matches("GET", path);
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            let expected = expected.map(|pairs| pairs.into_iter().map(owned).collect());
            assert_eq!(parameters, expected, "{route} at {path}");
        }
        assert_eq!(key("POST /pets").matches("GET", "/pets"), None);
        assert!(key("ANY /pets").matches("PURGE", "/pets").is_some());
    }

    /// The first four rows are the examples of "Create routes for HTTP APIs". The others are inferred.
    #[test]
    fn the_best_route_takes_a_request() {
        let documented = [
            "GET /pets/dog/1",
            "GET /pets/dog/{id}",
            "GET /pets/{proxy+}",
            "ANY /{proxy+}",
            "$default",
        ];
        let any = ["ANY /a", "GET /a", "GET /{x}", "ANY /{y+}"];
        let mixed =
            ["GET /{a}/b", "GET /a/{b}", "GET /a/{proxy+}", "GET /{a}/{proxy+}", "POST /a/b"];
        for (routes, request, expected) in [
            (documented.as_slice(), "GET /pets/dog/1", "GET /pets/dog/1"),
            (&documented, "GET /pets/dog/2", "GET /pets/dog/{id}"),
            (&documented, "GET /pets/cat/1", "GET /pets/{proxy+}"),
            (&documented, "POST /test/5", "ANY /{proxy+}"),
            (&documented, "GET /", "$default"),
            (&documented, "POST /pets/dog/1", "ANY /{proxy+}"),
            (&any, "GET /a", "GET /a"),
            (&any, "PUT /a", "ANY /a"),
            (&any, "GET /b", "GET /{x}"),
            (&any, "PUT /b", "ANY /{y+}"),
            (&any, "GET /a/b", "ANY /{y+}"),
            (&mixed, "GET /a/b", "GET /a/{b}"),
            (&mixed, "GET /c/b", "GET /{a}/b"),
            (&mixed, "GET /a/b/c", "GET /a/{proxy+}"),
            (&mixed, "GET /c/d", "GET /{a}/{proxy+}"),
            (&mixed, "POST /a/b", "POST /a/b"),
            // The path comes before the method.
            (&["ANY /a/b", "GET /a/{x}"], "GET /a/b", "ANY /a/b"),
            // What is not greedy comes before what is, wherever the literals are.
            (&["GET /a/{proxy+}", "GET /{x}/{y}"], "GET /a/b", "GET /{x}/{y}"),
            (&["GET /a/{x}", "GET /a/b/{proxy+}"], "GET /a/b", "GET /a/{x}"),
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            let mut keys: Vec<_> = routes.iter().map(|route| key(route)).collect();
            // The order in which they are declared makes no difference.
            for _ in 0..keys.len() {
                keys.rotate_left(1);
                let matching = keys.iter().filter(|key| key.matches(method, path).is_some());
                let best = matching.min_by(|one, two| one.precedence(two)).unwrap();
                assert_eq!(best.as_str(), expected, "{request} among {routes:?}");
            }
        }
    }

    #[test]
    fn routes_are_the_same_whatever_their_variables_are_called() {
        for (one, two, same) in [
            ("GET /a", "GET /a", true),
            ("GET /a/{x}", "GET /a/{y}", true),
            ("GET /a/{x+}", "GET /a/{y+}", true),
            ("$default", "$default", true),
            ("GET /a", "ANY /a", false),
            ("GET /a", "POST /a", false),
            ("GET /a", "GET /a/", false),
            ("GET /a/{x}", "GET /a/{x+}", false),
            ("$default", "ANY /{proxy+}", false),
        ] {
            assert_eq!(key(one).is_same_route(&key(two)), same, "{one}, {two}");
        }
    }
}
