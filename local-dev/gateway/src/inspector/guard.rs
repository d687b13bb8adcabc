//! Who may look: programs and pages of this machine, and what they may do from where.
//!
//! The inspector shows what the functions see and can make them run. So it answers only on the loopback interface,
//! wherever the server listens; only to a host name that is always this machine, since a foreign name may be made to
//! lead here (DNS rebinding); and what changes something only when no page of another origin asks for it.

use std::net::{IpAddr, SocketAddr};

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{FORWARDED, HOST, ORIGIN},
    uri::Authority,
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Lets a request through, or says why not.
pub(super) fn check(
    peer: SocketAddr,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), &'static str> {
    // What a proxy on this machine passes on comes from somewhere else.
    let is_forwarded = [FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST]
        .iter()
        .any(|name| headers.contains_key(name));
    if is_forwarded || !peer.ip().to_canonical().is_loopback() {
        return Err("The inspector answers only on this machine.");
    }
    let host =
        host(headers).ok_or("The inspector answers only to the host names of this machine.")?;
    if !method.is_safe() && !is_own_page(headers, &host) {
        return Err("A page of another origin may change nothing here.");
    }
    Ok(())
}

/// The host of the request, if it is a name of this machine.
fn host(headers: &HeaderMap) -> Option<Authority> {
    let host: Authority = only(headers, &HOST)?.to_str().ok()?.parse().ok()?;
    let name = host.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let is_local = name.parse().map_or_else(
        |_error| name == "localhost" || name.ends_with(".localhost"),
        |address: IpAddr| address.is_loopback(),
    );
    (is_local && !host.as_str().contains('@')).then_some(host)
}

/// Whether a request is one that no page has caused, or a page of ours. What is not a browser sends neither header.
fn is_own_page(headers: &HeaderMap, host: &Authority) -> bool {
    let site_is_own = match headers.get(SEC_FETCH_SITE) {
        Some(site) => site == "same-origin" || site == "none",
        None => true,
    };
    // The server may speak HTTP and HTTPS on its port, so both are its own origin.
    let own = [format!("http://{host}"), format!("https://{host}")];
    let origin_is_own = match headers.get(ORIGIN) {
        Some(_) => only(headers, &ORIGIN).is_some_and(|origin| own.iter().any(|own| origin == own)),
        None => true,
    };
    site_is_own && origin_is_own
}

/// A header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn is_allowed(peer: &str, method: &Method, pairs: &[(&'static str, &'static str)]) -> bool {
        check(format!("{peer}:5000").parse().unwrap(), method, &headers(pairs)).is_ok()
    }

    #[test]
    fn only_peers_on_this_machine_may_look() {
        let host = [("host", "localhost:3000")];
        for peer in ["127.0.0.1", "127.8.9.1", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(is_allowed(peer, &Method::GET, &host), "{peer}");
        }
        for peer in ["192.168.1.7", "172.17.0.1", "[fe80::1]", "[::ffff:10.0.0.1]"] {
            assert!(!is_allowed(peer, &Method::GET, &host), "{peer}");
        }
        for forwarded in ["forwarded", "x-forwarded-for", "x-forwarded-host"] {
            let headers = [("host", "localhost"), (forwarded, "127.0.0.1")];
            assert!(!is_allowed("127.0.0.1", &Method::GET, &headers), "{forwarded}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in ["localhost", "LOCALHOST:3000", "chat.localhost", "127.0.0.1:1", "[::1]:3000"] {
            assert!(is_allowed("127.0.0.1", &Method::GET, &[("host", host)]), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "0.0.0.0",
            "10.0.0.1",
            "[::2]",
            "user@localhost",
            "localhost.",
        ] {
            assert!(!is_allowed("127.0.0.1", &Method::GET, &[("host", host)]), "{host}");
        }
        assert!(!is_allowed("127.0.0.1", &Method::GET, &[]));
        assert!(!is_allowed(
            "127.0.0.1",
            &Method::GET,
            &[("host", "localhost"), ("host", "localhost")]
        ));
    }

    #[test]
    fn only_pages_of_this_origin_may_change_something() {
        let host = ("host", "localhost:3000");
        for pairs in [
            &[host] as &[_],
            &[host, ("origin", "http://localhost:3000")],
            &[host, ("origin", "https://localhost:3000")],
            &[host, ("origin", "http://localhost:3000"), ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert!(is_allowed("127.0.0.1", &Method::POST, pairs), "{pairs:?}");
        }
        for pairs in [
            &[host, ("origin", "http://evil.example")] as &[_],
            &[host, ("origin", "http://localhost:5173")],
            &[host, ("origin", "https://localhost")],
            &[host, ("origin", "null")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "same-site")],
            &[host, ("origin", "http://localhost:3000"), ("origin", "http://localhost:3000")],
        ] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                assert!(!is_allowed("127.0.0.1", &method, pairs), "{pairs:?}");
            }
            assert!(is_allowed("127.0.0.1", &Method::GET, pairs), "{pairs:?}");
        }
    }
}
