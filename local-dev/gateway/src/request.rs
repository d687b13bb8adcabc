//! What events say about the request that caused them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{self, HOST, USER_AGENT},
    uri::Authority,
};
use url::{Url, form_urlencoded};

use super::{identifier::mint_trace, timestamp::Timestamp};

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Whether the connection is TLS.
    pub(crate) is_tls: bool,
}

/// Who sent a request, and to what host.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The TCP peer.
    pub(crate) source_ip: IpAddr,
    /// Whether the request came in TLS.
    pub(crate) is_tls: bool,
    pub(crate) user_agent: Option<String>,
    /// The host that the client asked for, with the port that it asked for.
    pub(crate) host: Authority,
}

impl Caller {
    /// `None` when the host is missing, repeated, or none: such a request cannot be answered, and functions take for
    /// granted that the URL they were called with can be rebuilt from the event.
    pub(crate) fn parse(headers: &HeaderMap, uri: &Uri, peer: Peer) -> Option<Self> {
        Some(Self {
            source_ip: peer.address.ip(),
            is_tls: peer.is_tls,
            user_agent: headers.get(USER_AGENT).map(header_text),
            host: parse_host(headers, uri)?,
        })
    }
}

/// The host stands in a header or in the request's target, which then is the one that counts (RFC 9112, 3.2.2).
fn parse_host(headers: &HeaderMap, uri: &Uri) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let header = hosts.next();
    let host = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => header?.to_str().ok()?,
    };
    if hosts.next().is_some() || host.contains('@') {
        return None;
    }
    // The two parsers refuse different things, and functions use both.
    Url::parse(&format!("http://{host}/")).ok()?;
    host.parse().ok()
}

/// Headers by name in lower case, each with its values.
pub(crate) type Headers = BTreeMap<String, Vec<String>>;

/// The headers of an event: those of the request, without the ones that concern only the TCP connection, and with the
/// ones that the gateway adds.
pub(crate) fn event_headers(headers: &HeaderMap, caller: &Caller, now: Timestamp) -> Headers {
    let mut values = Headers::new();
    for (name, value) in headers {
        if !is_hop_by_hop(name) {
            values.entry(name.as_str().to_owned()).or_default().push(header_text(value));
        }
    }
    let mut forwarded_for = values.remove("x-forwarded-for").unwrap_or_default();
    forwarded_for.push(caller.source_ip.to_string());
    let (proto, default_port) = if caller.is_tls { ("https", 443) } else { ("http", 80) };
    let port = caller.host.port_u16().unwrap_or(default_port);
    for (name, value) in [
        ("x-forwarded-for", forwarded_for.join(", ")),
        ("x-forwarded-port", port.to_string()),
        ("x-forwarded-proto", proto.to_owned()),
    ] {
        values.insert(name.to_owned(), vec![value]);
    }
    values.entry("x-amzn-trace-id".to_owned()).or_insert_with(|| vec![mint_trace(now)]);
    values
}

/// Whether a header concerns the TCP connection and not the request or the response (RFC 9110, 7.6.1).
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 6] = [
        header::CONNECTION,
        HeaderName::from_static("keep-alive"),
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    NAMES.contains(name)
}

/// A header's value as text. What is not UTF-8 is taken for Latin-1, which every sequence of bytes is.
pub(crate) fn header_text(value: &HeaderValue) -> String {
    str::from_utf8(value.as_bytes())
        .map_or_else(|_| value.as_bytes().iter().copied().map(char::from).collect(), str::to_owned)
}

/// The parameters of a query string, decoded, each with its values.
pub(crate) fn query_parameters(query: &str) -> BTreeMap<String, Vec<String>> {
    let mut parameters = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    parameters
}

#[cfg(test)]
impl Peer {
    /// One whose connection is not TLS.
    pub(crate) fn plain(address: &str) -> Self {
        Self { address: address.parse().unwrap(), is_tls: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &[u8])]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap())
            })
            .collect()
    }

    #[test]
    fn only_a_host_is_a_host() {
        let host = |value: &[u8]| {
            parse_host(&headers(&[("host", value)]), &Uri::default()).map(|host| host.to_string())
        };
        for good in ["localhost:3000", "127.0.0.1", "[::1]:3000", "chat.example.com"] {
            assert_eq!(host(good.as_bytes()).as_deref(), Some(good));
        }
        for bad in ["", ":3000", "a b", "a/b", "a?b", "user@host", "[::1", "host:99999", "<x>", "é"]
        {
            assert_eq!(host(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse_host(&HeaderMap::new(), &Uri::default()), None);
        let target = Uri::from_static("http://localhost:3000/auth/login");
        let host = parse_host(&HeaderMap::new(), &target).map(|host| host.to_string());
        assert_eq!(host.as_deref(), Some("localhost:3000"));
        let other = headers(&[("host", b"other")]);
        let host = parse_host(&other, &target).map(|host| host.to_string());
        assert_eq!(host.as_deref(), Some("localhost:3000"));
        let mut twice = headers(&[("host", b"a")]);
        twice.append(HOST, HeaderValue::from_static("b"));
        assert_eq!(parse_host(&twice, &Uri::default()), None);
    }

    #[test]
    fn the_gateway_adds_where_a_request_came_from() {
        let request = headers(&[
            ("host", b"localhost:3000"),
            ("connection", b"keep-alive"),
            ("x-forwarded-for", b"203.0.113.1"),
            ("x-forwarded-proto", b"gopher"),
            ("x-name", b"caf\xe9"),
            ("x-name", "café".as_bytes()),
        ]);
        let peer = Peer::plain("198.51.100.7:5000");
        let caller = Caller::parse(&request, &Uri::default(), peer).unwrap();
        let now = Timestamp::from_epoch_millis(1_795_428_930_101);
        let mut headers = event_headers(&request, &caller, now);
        let trace = headers.remove("x-amzn-trace-id").unwrap();
        assert!(trace[0].starts_with("Root=1-6b041242-"), "{trace:?}");
        let expected = [
            ("host", vec!["localhost:3000"]),
            ("x-forwarded-for", vec!["203.0.113.1, 198.51.100.7"]),
            ("x-forwarded-port", vec!["3000"]),
            ("x-forwarded-proto", vec!["http"]),
            ("x-name", vec!["café", "café"]),
        ];
        assert_eq!(
            headers,
            expected
                .map(|(name, values)| (
                    name.to_owned(),
                    values.into_iter().map(str::to_owned).collect()
                ))
                .into()
        );
    }

    #[test]
    fn what_came_in_tls_says_so() {
        for (host, is_tls, proto, port) in [
            ("localhost", false, "http", "80"),
            ("localhost", true, "https", "443"),
            ("localhost:3000", true, "https", "3000"),
        ] {
            let request = headers(&[("host", host.as_bytes())]);
            let peer = Peer { is_tls, ..Peer::plain("127.0.0.1:5000") };
            let caller = Caller::parse(&request, &Uri::default(), peer).unwrap();
            let headers = event_headers(&request, &caller, Timestamp::now());
            assert_eq!(headers["x-forwarded-proto"], [proto]);
            assert_eq!(headers["x-forwarded-port"], [port]);
        }
    }
}
