//! Takes secrets out of what the inspector shows.
//!
//! What a secret is, is told by the name that it has (a header, a parameter, a key in JSON, a field in a form) or by its
//! own form (a JWT, a bearer token). Texts are searched as what they may be: JSON, a form, a query string, a line of a
//! log; a body in base64 is searched decoded. In doubt, too much is taken out.

use std::{borrow::Cow, mem, ops::Range};

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// How deep JSON within the strings of JSON is searched as such. What is deeper is searched as text.
const NESTING_MAX: usize = 4;

/// A document without its secrets, its keys in the same order. `None` when it is not JSON.
pub(crate) fn redact_json(document: &[u8]) -> Option<Value> {
    let mut document = serde_json::from_slice(document).ok()?;
    redact_value(&mut document, 0);
    Some(document)
}

/// A text without its secrets.
pub(crate) fn redact_text(text: &str) -> Cow<'_, str> {
    redact_nested_text(text, 0)
}

/// Whether a value with this name is a secret: `password`, `refresh_token`, `X-Amz-Security-Token`, `clientSecret` …
fn is_secret(name: &str) -> bool {
    const PARTS: [&str; 3] = ["password", "passwd", "secret"];
    const ENDINGS: [&str; 8] =
        ["authorization", "cookie", "cookies", "token", "tokens", "jwt", "apikey", "signature"];

    let name = normalize(name);
    PARTS.iter().any(|part| name.contains(part))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// A name without what its spellings differ in.
fn normalize(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Says whether there was anything to take out.
fn redact_value(value: &mut Value, nesting: usize) -> bool {
    match value {
        Value::Object(members) => redact_object(members, nesting),
        Value::Array(values) => {
            values.iter_mut().fold(false, |changed, value| redact_value(value, nesting) | changed)
        }
        Value::String(text) => redact_string(text, |text| redact_nested_text(text, nesting)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn redact_object(members: &mut Map<String, Value>, nesting: usize) -> bool {
    let is_base64 = members.get("isBase64Encoded") == Some(&Value::Bool(true));
    let mut changed = false;
    *members = mem::take(members)
        .into_iter()
        .map(|(mut name, mut value)| {
            changed |= match &mut value {
                value if is_secret(&name) => hide(value),
                value if normalize(&name) == "secwebsocketprotocol" => {
                    redact_subprotocols(value) | redact_value(value, nesting)
                }
                Value::String(body) if is_base64 && name == "body" => {
                    redact_string(body, |body| redact_base64(body, nesting))
                }
                value => redact_value(value, nesting),
            };
            changed |= redact_string(&mut name, |name| redact_nested_text(name, nesting));
            (name, value)
        })
        .collect();
    changed
}

/// Takes out a value as such. Of a list, as headers with several values are one, the length stays.
fn hide(value: &mut Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(values) => {
            values.iter_mut().fold(false, |changed, value| hide(value) | changed)
        }
        value => {
            *value = Value::from(REDACTED);
            true
        }
    }
}

/// Takes the tokens out of offered subprotocols: `chat.v1, bearer.TOKEN`.
fn redact_subprotocols(value: &mut Value) -> bool {
    const PREFIX: &str = "bearer.";

    let redact = |offer: &str| {
        let offer = offer.trim();
        let prefix = offer.get(..PREFIX.len());
        match prefix.filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX)) {
            Some(prefix) => format!("{prefix}{REDACTED}"),
            None => offer.to_owned(),
        }
    };
    match value {
        Value::String(offers) => redact_string(offers, |offers| {
            offers.split(',').map(redact).collect::<Vec<_>>().join(", ").into()
        }),
        Value::Array(values) => {
            values.iter_mut().fold(false, |changed, value| redact_subprotocols(value) | changed)
        }
        _ => false,
    }
}

fn redact_base64(body: &str, nesting: usize) -> Cow<'_, str> {
    let Ok(bytes) = STANDARD.decode(body) else { return redact_nested_text(body, nesting) };
    match str::from_utf8(&bytes) {
        Ok(text) => match redact_nested_text(text, nesting) {
            Cow::Borrowed(_) => body.into(),
            Cow::Owned(text) => STANDARD.encode(text).into(),
        },
        // There is no way to take something out of a body of an unknown type.
        Err(_) => match redact_nested_text(&String::from_utf8_lossy(&bytes), nesting) {
            Cow::Borrowed(_) => body.into(),
            Cow::Owned(_) => STANDARD.encode(REDACTED).into(),
        },
    }
}

fn redact_string(text: &mut String, redact: impl Fn(&str) -> Cow<'_, str>) -> bool {
    let Cow::Owned(redacted) = redact(text) else { return false };
    let changed = *text != redacted;
    *text = redacted;
    changed
}

fn redact_nested_text(text: &str, nesting: usize) -> Cow<'_, str> {
    if nesting < NESTING_MAX
        && text.trim_start().starts_with(['{', '[', '"'])
        && let Ok(mut document) = serde_json::from_str(text)
        && redact_value(&mut document, nesting + 1)
    {
        return document.to_string().into();
    }
    if has_secret_part(text) {
        return REDACTED.into();
    }
    // JSON without a finding is searched as well: of members with the same name, only the last has been seen.
    let steps: [fn(&str) -> Option<String>; 3] = [redact_form, redact_pairs, redact_tokens];
    steps.into_iter().fold(Cow::Borrowed(text), |text, step| match step(&text) {
        Some(redacted) => redacted.into(),
        None => text,
    })
}

/// Whether a text is a `multipart/form-data` body with a secret field.
fn has_secret_part(text: &str) -> bool {
    let headers = text.lines().filter(|line| line.contains("form-data;"));
    let parameters = headers.flat_map(|header| header.split(';'));
    parameters.filter_map(|parameter| parameter.trim().strip_prefix("name=")).any(is_secret)
}

/// Redacts `name=secret&…`, as forms, query strings and URLs have it.
fn redact_form(text: &str) -> Option<String> {
    let mut changed = false;
    let fields = text.split('&').map(|field| {
        let Some((name, value)) = field.split_once('=') else { return Cow::Borrowed(field) };
        let own_name = name.rsplit('?').next().unwrap_or_default();
        let own_name = percent_decode_str(own_name).decode_utf8_lossy();
        if own_name.contains(char::is_whitespace) || value.is_empty() || !is_secret(&own_name) {
            return field.into();
        }
        changed = true;
        format!("{name}={REDACTED}").into()
    });
    let fields: Vec<_> = fields.collect();
    changed.then(|| fields.join("&"))
}

/// Redacts `name: secret`, `name=secret` and `"name": "secret"` wherever they stand in a text.
fn redact_pairs(text: &str) -> Option<String> {
    let mut redacted = String::new();
    let mut copied = 0;
    for (at, _) in text.match_indices([':', '=']) {
        if at < copied || !is_secret(name_before(&text[..at])) {
            continue;
        }
        let after = &text[at + 1..];
        let rest = after.trim_start();
        let start = text.len() - rest.len();
        let value = value_at(rest, name_before(&text[..at]));
        let value = start + value.start..start + value.end;
        if value.is_empty() || text[value.start..].starts_with(REDACTED) {
            continue;
        }
        redacted.push_str(&text[copied..value.start]);
        redacted.push_str(REDACTED);
        copied = value.end;
    }
    if copied == 0 {
        return None;
    }
    redacted.push_str(&text[copied..]);
    Some(redacted)
}

/// The name, quoted or not, that a text ends with.
fn name_before(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'', '\\']);
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let start = text
        .rfind(|letter| !is_name(letter))
        .map_or(0, |last| last + text[last..].chars().next().map_or(0, char::len_utf8));
    &text[start..]
}

/// Where, at the start of a text, the value of `name` is.
fn value_at(text: &str, name: &str) -> Range<usize> {
    let to = |from: usize, end: Option<usize>| from..end.map_or(text.len(), |end| from + end);
    if let Some(text) = text.strip_prefix("\\\"") {
        let unescaped = |at: &usize| !text[..*at].ends_with('\\');
        return to(2, text.match_indices("\\\"").map(|(at, _)| at).find(unescaped));
    }
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let mut is_escaped = false;
            to(
                1,
                text[1..].find(|letter| {
                    let ends = letter == quote && !is_escaped;
                    is_escaped = letter == '\\' && !is_escaped;
                    ends
                }),
            )
        }
        Some('[') if !text.starts_with(REDACTED) => to(1, text[1..].find(']')),
        Some('{') => to(1, text[1..].find('}')),
        // Headers have values of several words.
        _ if ["authorization", "cookie"].iter().any(|ending| normalize(name).ends_with(ending)) => {
            to(0, text.find(['\r', '\n', '"']))
        }
        _ => {
            to(0, text.find(|letter: char| letter.is_whitespace() || "&,;\"')]}".contains(letter)))
        }
    }
}

/// Redacts what looks like a JWT, or like a bearer token.
fn redact_tokens(text: &str) -> Option<String> {
    let mut redacted = String::new();
    let mut copied = 0;
    let mut searched = 0;
    for (at, first) in text.match_indices(['e', 'b', 'B']) {
        if at < searched {
            continue;
        }
        let found = if first == "e" {
            let candidate = jwt_at(&text[at..]);
            // What begins later in the same run has fewer parts.
            searched = at + candidate.length;
            (candidate.parts >= 3).then_some(0..candidate.length)
        } else {
            bearer_at(&text[at..])
        };
        let Some(found) = found else { continue };
        redacted.push_str(&text[copied..at + found.start]);
        redacted.push_str(REDACTED);
        copied = at + found.end;
        searched = copied;
    }
    if copied == 0 {
        return None;
    }
    redacted.push_str(&text[copied..]);
    Some(redacted)
}

/// What may be a JWT: a text that begins with `eyJ`, of base64url, and more parts of it after dots.
#[derive(Default)]
struct JwtCandidate {
    parts: usize,
    length: usize,
}

fn jwt_at(text: &str) -> JwtCandidate {
    let part = |text: &str| {
        let is_base64url =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        text.find(|letter| !is_base64url(letter)).unwrap_or(text.len())
    };
    if !text.starts_with("eyJ") {
        return JwtCandidate::default();
    }
    let mut found = JwtCandidate { parts: 1, length: part(text) };
    // A query string may have the dot encoded.
    let dot_at = |at: usize| [".", "%2E", "%2e"].iter().find(|dot| text[at..].starts_with(**dot));
    while let Some(dot) = dot_at(found.length) {
        let next = part(&text[found.length + dot.len()..]);
        // The dot at the end of a sentence.
        if next == 0 && found.parts >= 3 {
            break;
        }
        found.parts += 1;
        found.length += dot.len() + next;
    }
    found
}

/// Where, at the start of a text, the token of `Bearer TOKEN` or `bearer.TOKEN` is. A shorter token may be a word.
fn bearer_at(text: &str) -> Option<Range<usize>> {
    const PREFIX: &str = "bearer";
    const TOKEN_CHARS_MIN: usize = 16;

    text.get(..PREFIX.len()).filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX))?;
    let token = text[PREFIX.len()..].strip_prefix([' ', '.'])?;
    let is_token = |letter: char| letter.is_ascii_alphanumeric() || "-._~+/=".contains(letter);
    let length = token.find(|letter| !is_token(letter)).unwrap_or(token.len());
    let start = PREFIX.len() + 1;
    (length >= TOKEN_CHARS_MIN).then_some(start..start + length)
}

#[cfg(test)]
mod tests {
    use proptest::{
        prelude::{Just, Strategy, any, prop_oneof},
        proptest,
        sample::select,
    };
    use serde_json::json;
    use url::form_urlencoded::{byte_serialize, parse};

    use super::*;

    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl-_";

    #[test]
    fn values_with_a_secret_name_are_taken_out() {
        let event = json!({
            "version": "2.0",
            "rawQueryString": "limit=5&token=abc%20def&after=7",
            "cookies": ["sid=abc", "theme=dark"],
            "headers": {
                "Authorization": "Basic abc",
                "accept": "*/*",
                "sec-websocket-protocol": "chat.v1, Bearer.abc,bearer.abc",
                "x-amz-security-token": "abc",
            },
            "multiValueHeaders": { "Set-Cookie": ["a=1", "b=2"], "Accept": ["*/*"] },
            "queryStringParameters": { "token": "abc", "limit": "5" },
            "multiValueQueryStringParameters": { "token": ["abc", "def"] },
            "requestContext": { "authorizer": null, "time": "12:13" },
            "body": r#"{ "username":"alice", "password":"p\"w", "n": 1.0 }"#,
            "isBase64Encoded": false,
        });
        let redacted = redact_json(event.to_string().as_bytes()).unwrap();
        let expected = json!({
            "version": "2.0",
            "rawQueryString": "limit=5&token=[redacted]&after=7",
            "cookies": ["[redacted]", "[redacted]"],
            "headers": {
                "Authorization": "[redacted]",
                "accept": "*/*",
                "sec-websocket-protocol": "chat.v1, Bearer.[redacted], bearer.[redacted]",
                "x-amz-security-token": "[redacted]",
            },
            "multiValueHeaders": { "Set-Cookie": ["[redacted]", "[redacted]"], "Accept": ["*/*"] },
            "queryStringParameters": { "token": "[redacted]", "limit": "5" },
            "multiValueQueryStringParameters": { "token": ["[redacted]", "[redacted]"] },
            "requestContext": { "authorizer": null, "time": "12:13" },
            "body": r#"{"username":"alice","password":"[redacted]","n":1.0}"#,
            "isBase64Encoded": false,
        });
        // As text, because the order of the keys counts.
        assert_eq!(redacted.to_string(), expected.to_string());
    }

    #[test]
    fn texts_are_searched_as_what_they_may_be() {
        for (text, redacted) in [
            // Forms and URLs.
            ("user=alice&p%61ssword=a b;c", "user=alice&p%61ssword=[redacted]"),
            ("GET /ws?token=abc&x=1 101", "GET /ws?token=[redacted]&x=1 101"),
            ("refreshToken=abc", "refreshToken=[redacted]"),
            // JSON, also within JSON, also broken, also with a name twice.
            (r#"{"a":"{\"Client_Secret\":7}"}"#, r#"{"a":"{\"Client_Secret\":\"[redacted]\"}"}"#),
            (r#"{"a":{"password":"x"},"a":1}"#, r#"{"a":{"password":"[redacted]"},"a":1}"#),
            (r#"{"password":"a\"b","n":"#, r#"{"password":"[redacted]","n":"#),
            (r#"{"password":"a"#, r#"{"password":"[redacted]"#),
            (r#"{"cookies":["a", "b"], "n":"#, r#"{"cookies":[[redacted]], "n":"#),
            (r#"x {\"jwt\":\"a\\\"b\",\"n\":1}"#, r#"x {\"jwt\":\"[redacted]\",\"n\":1}"#),
            // Lines of a log.
            (
                "signed in user=alice password=abc ip=::1",
                "signed in user=alice password=[redacted] ip=::1",
            ),
            ("Authorization: Basic abc def", "Authorization: [redacted]"),
            ("token = 'a b', n = 1", "token = '[redacted]', n = 1"),
            ("é token: x", "é token: [redacted]"),
            // What looks like a secret.
            (&format!("got {JWT}."), "got [redacted]."),
            (&format!("x{JWT}.a.b y {JWT}"), "x[redacted] y [redacted]"),
            (&JWT.replace('.', "%2e"), "[redacted]"),
            ("Bearer 0123456789abcdef!", "Bearer [redacted]!"),
            // Multipart forms.
            (
                "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nabc\r\n--x--",
                REDACTED,
            ),
        ] {
            assert_eq!(redact_text(text), redacted, "{text}");
            assert_eq!(redact_text(redacted), redacted, "again: {text}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "",
            "token",
            "the token is missing",
            "Bearer token missing",
            r#"{"token_type":"Bearer","expires_in":900,"n":[1.0,"10:15"]}"#,
            "eyJ",
            "eyJhbGciOiJIUzI1NiJ9.eyJ",
            "a=b&c=d",
            "{\"broken\": \"=:\"",
            "é=é:é",
        ] {
            assert!(matches!(redact_text(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn bodies_in_base64_are_searched_decoded() {
        let redacted = |body: &[u8]| {
            let event = json!({ "body": STANDARD.encode(body), "isBase64Encoded": true });
            let event = redact_json(event.to_string().as_bytes()).unwrap();
            assert_eq!(event["isBase64Encoded"], true);
            STANDARD.decode(event["body"].as_str().unwrap()).unwrap()
        };
        assert_eq!(redacted(b"a=1&password=abc"), b"a=1&password=[redacted]");
        assert_eq!(redacted(b"{\"jwt\":\"abc\"}"), b"{\"jwt\":\"[redacted]\"}");
        assert_eq!(redacted(&[0xff, 0, 1]), [0xff, 0, 1]);
        assert_eq!(redacted(&[&[0xff], JWT.as_bytes()].concat()), REDACTED.as_bytes());
    }

    #[test]
    fn only_json_is_json() {
        assert_eq!(redact_json(b"password"), None);
        assert_eq!(redact_json(b""), None);
        assert_eq!(redact_json(b"null"), Some(Value::Null));
    }

    /// A search that looks at the same text again and again would take minutes.
    #[test]
    fn texts_that_repeat_what_is_searched_for_take_no_longer() {
        for part in [
            "eyJ",
            "eyJ.",
            "e",
            "bearer ",
            "Bearer.",
            "form-data;",
            "form-data; name=x\n",
            "password",
            "password:",
            "token=",
            "token=&",
            "\"token\":[",
            "\"jwt\":{",
            "cookie:",
            "\\\"jwt\\\":\\\"",
            "=",
            ":",
            "&",
            "?",
            "\"=",
            " =",
            "[",
            "{\"a\":",
        ] {
            redact_text(&part.repeat(200_000 / part.len()));
        }
    }

    fn secret_name() -> impl Strategy<Value = String> {
        const NAMES: [&str; 12] = [
            "authorization",
            "cookie",
            "cookies",
            "set-cookie",
            "password",
            "token",
            "refresh_token",
            "access_token",
            "secret",
            "jwt",
            "client_secret",
            "x-amz-security-token",
        ];
        (select(&NAMES[..]), any::<u32>()).prop_map(|(name, capitals)| {
            let letters = name.chars().enumerate();
            let is_capital = |at: usize| capitals >> at & 1 == 1;
            letters.map(|(at, c)| if is_capital(at) { c.to_ascii_uppercase() } else { c }).collect()
        })
    }

    fn encoded(text: &str) -> String {
        byte_serialize(text.as_bytes()).collect()
    }

    /// An event, or a response, that says `secret` somewhere.
    fn document(secret: String) -> impl Strategy<Value = (String, Value)> {
        (0..14_u32, secret_name(), Just(secret)).prop_map(|(place, name, secret)| {
            let json_body = json!({ "user": "alice", "deep": [{ name.clone(): secret.clone() }] });
            let form_body = format!("user=alice&{}={}&z=1", encoded(&name), encoded(&secret));
            let document = match place {
                0 => json!({ "headers": { name: &secret } }),
                1 => json!({ "multiValueHeaders": { name: ["x", &secret] } }),
                2 => json!({ "queryStringParameters": { name: &secret } }),
                3 => json!({ "multiValueQueryStringParameters": { name: [&secret, "y"] } }),
                4 => json!({ "rawQueryString": form_body }),
                5 => json!({ "cookies": ["a=b", format!("session={secret}")] }),
                6 => json!({ "headers": { "Sec-WebSocket-Protocol": format!("chat.v1, bearer.{}", secret.replace(',', "")) } }),
                7 => json!({ "body": json_body.to_string(), "isBase64Encoded": false }),
                8 => json!({ "body": STANDARD.encode(json_body.to_string()), "isBase64Encoded": true }),
                9 => json!({ "body": form_body, "isBase64Encoded": false }),
                10 => json!({ "body": STANDARD.encode(form_body), "isBase64Encoded": true }),
                11 => json!({ "body": json!({ "log": json_body.to_string() }).to_string() }),
                12 => json!({ "statusCode": 200, "body": format!("{json_body:#}") }),
                _ => json_body,
            };
            (secret, document)
        })
    }

    /// All texts in a value, and what they are in base64 and as forms.
    fn texts(value: &Value) -> Vec<String> {
        match value {
            Value::Object(members) => members
                .iter()
                .flat_map(|(name, value)| [vec![name.clone()], texts(value)].concat())
                .collect(),
            Value::Array(values) => values.iter().flat_map(texts).collect(),
            Value::String(text) => {
                let mut found = vec![text.clone()];
                found.extend(
                    STANDARD
                        .decode(text)
                        .into_iter()
                        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
                );
                for text in found.clone() {
                    found.extend(
                        parse(text.as_bytes())
                            .flat_map(|(name, value)| [name.into(), value.into()]),
                    );
                    if let Ok(value @ (Value::Object(_) | Value::Array(_))) =
                        serde_json::from_str(&text)
                    {
                        found.extend(texts(&value));
                    }
                }
                found
            }
            _ => Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn a_secret_is_not_to_be_found((secret, document) in "[ -~é\u{1f600}]{0,6}S3cr3t[ -~é\n]{0,12}".prop_flat_map(document)) {
            let redacted = redact_json(document.to_string().as_bytes()).unwrap();
            for text in texts(&redacted) {
                assert!(!text.contains(&secret), "{redacted}");
                assert!(!text.contains("S3cr3t"), "{redacted}");
            }
        }

        #[test]
        fn a_jwt_is_not_to_be_found(
            parts in ("eyJ[A-Za-z0-9_-]{1,20}", "[A-Za-z0-9_-]{1,30}", "[A-Za-z0-9_-]{1,30}"),
            around in ("[ -~é]{0,20}", prop_oneof!["[^A-Za-z0-9_.%-][ -~é]{0,20}", Just(String::new())]),
        ) {
            let (jwt, (before, after)) = (format!("{}.{}.{}", parts.0, parts.1, parts.2), around);
            let text = format!("{before}{jwt}{after}");
            assert!(!redact_text(&text).contains(&jwt));
            let document = json!({ "x": text, "headers": { "y": [text] }, (text.clone()): 1 });
            assert!(!redact_json(document.to_string().as_bytes()).unwrap().to_string().contains(&jwt));
        }

        #[test]
        fn any_text_can_be_searched(text in any::<String>()) {
            redact_text(&text);
        }
    }
}
