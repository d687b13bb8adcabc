//! Where a request comes from, which is what failed logins are counted by.

use std::net::{IpAddr, Ipv6Addr};

use lambda_http::{Request, RequestExt, request::RequestContext};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// What a CDN shows to prove that it is the one; only that makes its word count.
const SECRET_HEADER: &str = "x-cdn-secret";

/// The viewer's address, by the CDN.
const ADDRESS_HEADER: &str = "x-viewer-address";

/// Tells where requests come from.
///
/// Behind a CDN, API Gateway sees the CDN's address. There the CDN says whose request it passes on, and shows a secret that
/// no client knows: the API can also be called directly, with any header.
pub struct Source {
    cdn_secret: Option<SecretString>,
}

impl Source {
    /// The fewest bytes of a secret.
    pub const SECRET_BYTES_MIN: usize = 32;

    /// `cdn_secret` is what a CDN shows, if there is one.
    pub(crate) fn new(cdn_secret: Option<SecretString>) -> Self {
        Self { cdn_secret }
    }

    /// The address of whoever sent it: as the CDN says, or else as API Gateway saw it; never as the client says. Of IPv6 the
    /// network, since one machine has as many addresses in it as it likes.
    pub fn of(&self, request: &Request) -> String {
        let by_gateway = by_gateway(request);
        match self.by_cdn(request).or_else(|| by_gateway.parse().ok()) {
            Some(address) => counted(address),
            None => by_gateway,
        }
    }

    fn by_cdn(&self, request: &Request) -> Option<IpAddr> {
        let secret = self.cdn_secret.as_ref()?.expose_secret();
        let shown = request.headers().get(SECRET_HEADER)?;
        if !bool::from(shown.as_bytes().ct_eq(secret.as_bytes())) {
            return None;
        }
        request.headers().get(ADDRESS_HEADER)?.to_str().ok()?.parse().ok()
    }
}

fn counted(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            format!("{network}/64")
        }
    }
}

fn by_gateway(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        _ => None,
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use lambda_http::request::LambdaRequest;
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "what only the content delivery network knows";

    fn request(headers: &Value) -> Request {
        let sample = include_str!("../../functions/login/events/login.json");
        let mut event: Value = serde_json::from_str(sample).expect("it is JSON");
        event["requestContext"]["http"]["sourceIp"] = "192.0.2.1".into();
        event["headers"] = headers.clone();
        let event: LambdaRequest = serde_json::from_value(event).expect("it is an event");
        event.into()
    }

    #[test]
    fn only_a_cdn_that_shows_its_secret_is_believed() {
        let behind = Source::new(Some(SECRET.into()));
        let without = Source::new(None);
        for (headers, address) in [
            (json!({ SECRET_HEADER: SECRET, ADDRESS_HEADER: "198.51.100.7" }), "198.51.100.7"),
            (
                json!({ SECRET_HEADER: SECRET, ADDRESS_HEADER: "2001:DB8::1:0:0:7" }),
                "2001:db8::/64",
            ),
            (
                json!({ SECRET_HEADER: SECRET, ADDRESS_HEADER: "::ffff:198.51.100.7" }),
                "198.51.100.7",
            ),
            (json!({ SECRET_HEADER: SECRET, ADDRESS_HEADER: "somewhere" }), "192.0.2.1"),
            (json!({ SECRET_HEADER: SECRET }), "192.0.2.1"),
            (json!({ SECRET_HEADER: "", ADDRESS_HEADER: "198.51.100.7" }), "192.0.2.1"),
            (json!({ SECRET_HEADER: &SECRET[1..], ADDRESS_HEADER: "198.51.100.7" }), "192.0.2.1"),
            (json!({ ADDRESS_HEADER: "198.51.100.7" }), "192.0.2.1"),
            (json!({ "x-forwarded-for": "198.51.100.7" }), "192.0.2.1"),
        ] {
            assert_eq!(behind.of(&request(&headers)), address, "{headers}");
            assert_eq!(without.of(&request(&headers)), "192.0.2.1", "{headers}");
        }
    }
}
