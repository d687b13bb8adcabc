//! Reading events of the WebSocket API, writing its answers.

use lambda_http::{
    aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest,
    http::header::{HOST, ORIGIN},
};
use serde::Serialize;
use url::Url;

use crate::error::{Error, Result};

/// An event of the WebSocket API as a Lambda proxy integration gets it: CONNECT, MESSAGE or DISCONNECT.
pub type Event = ApiGatewayWebsocketProxyRequest;

/// What a function of the WebSocket API answers. Only `$connect`'s is looked at: its status decides the handshake,
/// and of its headers only `Sec-WebSocket-Protocol` is passed on.
///
/// Ours and not `lambda_http`'s, which puts all headers into `multiValueHeaders`, where nobody has seen API Gateway
/// look for the subprotocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    status_code: u16,
    #[serde(skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Headers {
    #[serde(rename = "Sec-WebSocket-Protocol", skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    #[serde(rename = "Content-Type", skip_serializing_if = "Option::is_none")]
    content_type: Option<&'static str>,
}

impl Headers {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Answer {
    /// 200 and nothing else.
    pub fn ok() -> Self {
        Self { status_code: 200, headers: Headers::default(), body: None }
    }

    /// 200 with the subprotocol that the connection will speak, one of those offered.
    pub fn ok_with_protocol(protocol: &'static str) -> Self {
        Self { headers: Headers { protocol: Some(protocol), content_type: None }, ..Self::ok() }
    }

    /// The handshake refused for `error`.
    pub fn refused(error: Error) -> Self {
        error.log();
        let response = error.into_response();
        let headers = Headers { protocol: None, content_type: Some("application/problem+json") };
        let body = String::from_utf8_lossy(response.body()).into_owned();
        Self { status_code: response.status().as_u16(), headers, body: Some(body) }
    }
}

/// API Gateway's id for the event.
pub fn api_request_id(event: &Event) -> Option<&str> {
    event.request_context.request_id.as_deref()
}

/// The event's connection.
///
/// # Errors
/// When the event has none, so isn't one of API Gateway's.
pub fn connection_id(event: &Event) -> Result<&str> {
    let id = event.request_context.connection_id.as_deref();
    id.ok_or_else(|| Error::internal("the event has no requestContext.connectionId"))
}

/// The base URL of the `@connections` API of the stage that this event came from. Right for the API's own domain. A
/// custom domain has no stage in its path (and a base path that the event doesn't show): there `CONNECTIONS_ENDPOINT`
/// must be set.
pub fn connections_endpoint(event: &Event) -> Option<String> {
    let context = &event.request_context;
    Some(format!("https://{}/{}", context.domain_name.as_ref()?, context.stage.as_ref()?))
}

/// The subprotocols that a handshake offers, in order.
pub fn offered_protocols(event: &Event) -> Vec<&str> {
    let offers = event.headers.get_all("sec-websocket-protocol");
    offers
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|offer| !offer.is_empty())
        .collect()
}

/// The origins whose pages may open a socket. Browsers apply no CORS to sockets: without this, any page could open one
/// in its visitor's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Only the page on the same host. Behind a CDN the API sees its own host, not the page's: there origins must be
    /// listed.
    SameOrigin,
    /// Exactly these.
    Listed(Vec<String>),
}

impl AllowedOrigins {
    /// Reads origins separated by commas.
    ///
    /// # Errors
    /// Says which is not an origin.
    pub fn parse(list: &str) -> Result<Self, String> {
        list.split(',')
            .map(str::trim)
            .map(|origin| match Url::parse(origin) {
                Ok(url)
                    if matches!(url.scheme(), "http" | "https")
                        && url.origin().ascii_serialization() == origin =>
                {
                    Ok(origin.to_owned())
                }
                _ => Err(format!(
                    "{origin:?} is not an origin, it takes scheme://host[:port] without a path or slash, \
                     separated by commas"
                )),
            })
            .collect::<Result<_, _>>()
            .map(Self::Listed)
    }

    /// Lets a handshake pass if its `Origin` is allowed, or if it has none: then no browser sent it.
    ///
    /// # Errors
    /// [`Error::ForbiddenOrigin`].
    pub fn check(&self, event: &Event) -> Result<()> {
        let header = |name| event.headers.get(name).and_then(|value| value.to_str().ok());
        let Some(origin) = event.headers.get(ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or("(not ASCII)");
        let allowed = match self {
            Self::Listed(origins) => origins.iter().any(|allowed| allowed == origin),
            Self::SameOrigin => match (header("x-forwarded-proto"), header(HOST.as_str())) {
                (Some(scheme), Some(host)) => origin == format!("{scheme}://{host}"),
                _ => false,
            },
        };
        if allowed { Ok(()) } else { Err(Error::ForbiddenOrigin(origin.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect_event(headers: &[(&'static str, &'static str)]) -> Event {
        let mut event = Event::default();
        for (name, value) in headers {
            event.headers.append(*name, value.parse().unwrap());
        }
        event
    }

    #[test]
    fn only_the_own_page_may_connect_unless_others_are_listed() {
        let listed = AllowedOrigins::parse("https://a.example, http://localhost:8000").unwrap();
        for (allowed, origin, expected) in [
            (&AllowedOrigins::SameOrigin, "https://chat.example", true),
            (&AllowedOrigins::SameOrigin, "http://chat.example", false),
            (&AllowedOrigins::SameOrigin, "https://chat.example.evil", false),
            (&AllowedOrigins::SameOrigin, "null", false),
            (&listed, "https://a.example", true),
            (&listed, "http://localhost:8000", true),
            (&listed, "https://chat.example", false),
        ] {
            let event = connect_event(&[
                ("host", "chat.example"),
                ("x-forwarded-proto", "https"),
                ("origin", origin),
            ]);
            assert_eq!(allowed.check(&event).is_ok(), expected, "{origin}");
        }
        assert!(AllowedOrigins::SameOrigin.check(&connect_event(&[])).is_ok());
    }

    #[test]
    fn behind_a_cdn_the_pages_origin_must_be_listed() {
        let event = connect_event(&[
            ("host", "k3v9q0x1yb.execute-api.eu-west-1.amazonaws.com"),
            ("x-forwarded-proto", "https"),
            ("origin", "https://chat.example.com"),
        ]);
        assert!(AllowedOrigins::SameOrigin.check(&event).is_err());
        assert!(AllowedOrigins::parse("https://chat.example.com").unwrap().check(&event).is_ok());
    }

    #[test]
    fn the_management_api_is_where_the_event_came_from() {
        let event = include_str!("../../functions/message/events/message.json");
        let event: Event = serde_json::from_str(event).unwrap();
        assert_eq!(
            connections_endpoint(&event).as_deref(),
            Some("https://k3v9q0x1yb.execute-api.eu-west-1.amazonaws.com/ws")
        );
        assert_eq!(connections_endpoint(&Event::default()), None);
    }

    #[test]
    fn a_list_of_origins_holds_nothing_else() {
        for bad in
            ["*", "chat.example", "https://a.example/", "https://a.example/x", "ftp://a.example"]
        {
            assert!(AllowedOrigins::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn offers_come_in_one_header_or_several_with_or_without_spaces() {
        let event = connect_event(&[
            ("sec-websocket-protocol", "chat.v1,bearer.x"),
            ("sec-websocket-protocol", " other , "),
        ]);
        assert_eq!(offered_protocols(&event), ["chat.v1", "bearer.x", "other"]);
    }

    #[test]
    fn an_answer_has_its_protocol_in_headers() {
        assert_eq!(
            serde_json::to_string(&Answer::ok_with_protocol("chat.v1")).unwrap(),
            r#"{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"chat.v1"}}"#
        );
    }
}
