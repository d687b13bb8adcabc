//! What the gateway refuses, and what API Gateway does in its place: one table, each row a note for whoever wonders why.

use std::{fmt::Display, sync::Mutex};

use crate::{lock::lock, redaction::redact_text, timestamp::Timestamp};

/// What is said of a kind of refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    /// What is shown of it first.
    pub(crate) title: &'static str,
    /// What the client gets from AWS: a status, a close code, or a frame's text. Where nobody knows, what `assumption` says
    /// unless it is set.
    pub(crate) aws: &'static str,
    /// Why, and what the quota is.
    pub(crate) why: &'static str,
    /// The option of local-dev that moves the limit.
    pub(crate) limit: Option<&'static str>,
    /// The row of the assumptions' table that decides, where nobody has published or observed what AWS does.
    pub(crate) assumption: Option<&'static str>,
    /// Where AWS says so, or where it was observed.
    pub(crate) source: &'static str,
}

macro_rules! guide {
    ($page:literal) => {
        concat!("https://docs.aws.amazon.com/apigateway/latest/developerguide/", $page, ".html")
    };
}

const WEBSOCKET_QUOTAS: &str = guide!("apigateway-execution-service-websocket-limits-table");
const WEBSOCKET_OVERVIEW: &str = guide!("apigateway-websocket-api-overview");
const WEBSOCKET_THROTTLING: &str = guide!("websocket-api-protect");
const WEBSOCKET_CONNECT: &str = guide!("apigateway-websocket-api-route-keys-connect-disconnect");
const WEBSOCKET_AUTHORIZERS: &str = guide!("apigateway-websocket-api-lambda-auth");
const WEBSOCKET_ROUTES: &str = guide!("websocket-api-develop-routes");
const WEBSOCKET_INTEGRATIONS: &str = guide!("apigateway-websocket-api-routes-integrations");
const WEBSOCKET_BINARY: &str = guide!("websocket-api-develop-binary-media-types");
const CONNECTIONS_API: &str = guide!("apigateway-how-to-call-websocket-api-connections");
const HTTP_QUOTAS: &str = guide!("http-api-quotas");
const HTTP_THROTTLING: &str = guide!("http-api-throttling");
const HTTP_ROUTES: &str = guide!("http-api-develop-routes");
const HTTP_TROUBLE: &str = guide!("http-api-troubleshooting-lambda");
const LAMBDA_QUOTAS: &str =
    "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html";
const QUEUE_ERRORS: &str =
    "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html";
const MANAGEMENT_MODEL: &str = "https://github.com/aws/api-models-aws";
const RFC_6455: &str = "https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1";

macro_rules! refusals {
    ($($name:ident $title:literal: $aws:literal, $why:literal,
        $source:ident $(, limit $limit:literal)? $(, assumed $assumption:literal)?;)+) => {
        /// A kind of refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Refusal {
            $(#[doc = $title] $name,)+
        }

        impl Refusal {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// What is said of it.
            pub(crate) const fn note(self) -> Note {
                match self {
                    $(Self::$name => Note {
                        title: $title,
                        aws: $aws,
                        why: $why,
                        limit: first(&[$($limit)?]),
                        assumption: first(&[$($assumption)?]),
                        source: $source,
                    },)+
                }
            }
        }
    };
}

const fn first(names: &[&'static str]) -> Option<&'static str> {
    match names {
        [] => None,
        [name, ..] => Some(name),
    }
}

refusals! {
    NoRoute "No route of the HTTP API": "404 Not Found",
        "No route matches the method and the path. There is no 405: a method without a route is not found, too.",
        HTTP_ROUTES;
    HttpHeadTooLarge "Request head too large": "431 Request Header Fields Too Large",
        "The request line and the headers have 10,240 bytes together at most. The quota cannot be raised.",
        HTTP_QUOTAS, limit "http-head-bytes";
    HttpBodyTooLarge "Request body too large": "413 Request Entity Too Large",
        "A body has 10 MB at most. The quota cannot be raised.",
        HTTP_QUOTAS, limit "http-body-bytes";
    EventTooLarge "Event too large": "413 Request Entity Too Large",
        "Lambda takes 6 MB for an invocation, body in base64 and headers included, which is less than a body may have.",
        LAMBDA_QUOTAS, limit "payload-bytes";
    HttpThrottled "Request throttled": "429 Too Many Requests",
        "The bucket of the route or of the account is empty: 10,000 requests a second and 5,000 at once, for all APIs of an \
         account in a region. The quota can be raised; a stage's route throttling may allow less.",
        HTTP_THROTTLING, limit "request-rate";
    HttpFunctionFailed "Function failed": "500 Internal Server Error",
        "The function raised an error, crashed, or may not be invoked. The client is not told which; the function's log is.",
        HTTP_TROUBLE;
    HttpBadResponse "Malformed response": "500 Internal Server Error",
        "The function answered, but not with a response of payload format 2.0: an object whose statusCode is a status and whose \
         body is a string, or JSON without a statusCode.",
        HTTP_TROUBLE;
    HttpTimedOut "Function too slow": "503 Service Unavailable",
        "The HTTP API waits for 30 seconds at most, or for as long as the integration says. The function goes on, and is paid for.",
        HTTP_QUOTAS, limit "http-integration-timeout";
    HttpFunctionThrottled "Function throttled": "503 Service Unavailable",
        "As many instances run as may: 1,000 in an account and region, unless the function has a reserved concurrency.",
        LAMBDA_QUOTAS, assumed "function-throttled-status";
    NotAHandshake "No WebSocket handshake": "426 Upgrade Required",
        "Only a handshake is answered at a stage of a WebSocket API.",
        WEBSOCKET_CONNECT, assumed "plain-request-status";
    BadHandshake "Malformed handshake": "400 Bad Request",
        "A handshake is a GET without a body, of version 13, with a key of 16 bytes in base64.",
        RFC_6455;
    UrlTooLong "URL too long": "414 URI Too Long",
        "The URL of a handshake has 4,096 characters at most, its query included. A token may fit better into \
         Sec-WebSocket-Protocol.",
        WEBSOCKET_QUOTAS, limit "upgrade-url-chars", assumed "long-url-status";
    UnknownStage "No such stage": "403 Forbidden",
        "The path of a WebSocket's URL is the stage's name and nothing else.",
        WEBSOCKET_CONNECT, assumed "unknown-stage-status";
    ConnectionThrottled "New connection throttled": "429 Too Many Requests",
        "An account opens 500 new connections a second in a region. The quota can be raised; the throttling of $connect may \
         allow less.",
        WEBSOCKET_QUOTAS, limit "connection-rate";
    ConnectFailed "$connect failed": "502 Bad Gateway",
        "The function of $connect raised an error or crashed. There is no connection, and $disconnect does not run.",
        WEBSOCKET_CONNECT;
    ConnectBadResponse "$connect answered malformed": "502 Bad Gateway",
        "The function of $connect must answer an object with a statusCode; with 200 to 299 the client is connected, and any other \
         status is the client's answer.",
        WEBSOCKET_CONNECT;
    ConnectTimedOut "$connect too slow": "504 Gateway Timeout",
        "A WebSocket API waits for 29 seconds at most.",
        WEBSOCKET_QUOTAS, limit "integration-timeout", assumed "connect-timeout-status";
    ConnectFunctionThrottled "$connect throttled by Lambda": "429 Too Many Requests",
        "As many instances run as may: 1,000 in an account and region, unless the function has a reserved concurrency.",
        LAMBDA_QUOTAS, assumed "connect-throttled-status";
    Unauthorized "Not authorized": "401 Unauthorized",
        "An identity source of the authorizer is missing or empty, or the authorizer failed with the very word Unauthorized.",
        WEBSOCKET_AUTHORIZERS;
    Denied "Denied by the authorizer": "403 Forbidden",
        "The authorizer's policy does not allow execute-api:Invoke on $connect, or denies it.",
        WEBSOCKET_AUTHORIZERS;
    AuthorizerFailed "Authorizer failed": "500 Internal Server Error",
        "The authorizer raised an error, or answered no policy. A client of AWS is assumed to see 500.",
        WEBSOCKET_AUTHORIZERS;
    NoMessageRoute "No route for a message": "the frame Forbidden",
        "The route selection expression leads to no route, and there is no $default. The connection stays open.",
        WEBSOCKET_ROUTES;
    MessageThrottled "Message throttled": "the frame Too Many Requests",
        "The bucket of the route or of the account is empty: 10,000 requests a second and 5,000 at once. AWS says that it may \
         answer so, not with which text. The connection stays open.",
        WEBSOCKET_THROTTLING, limit "request-rate", assumed "throttled-message-text";
    MessageFailed "Function failed at a message": "the frame Internal server error",
        "The function raised an error, crashed, was throttled by Lambda, or the event has more than 6 MB. The connection stays open.",
        WEBSOCKET_INTEGRATIONS;
    MessageBadResponse "Malformed response to a message": "the frame Internal server error",
        "The function must answer an object with a statusCode, even where nobody is told of it. The connection stays open.",
        WEBSOCKET_INTEGRATIONS;
    MessageTimedOut "Function too slow at a message": "the frame Endpoint request timed out",
        "A WebSocket API waits for 29 seconds at most. The function goes on, and the connection stays open.",
        WEBSOCKET_QUOTAS, limit "integration-timeout";
    AnswerTooLong "Answer longer than a message": "the frame Internal server error",
        "What a two-way route answers is a message, which has 128 KB at most.",
        WEBSOCKET_QUOTAS, limit "message-bytes";
    AnswerNotSuccessful "Answer without success": "the frame Internal server error",
        "A two-way route's response had a status other than 2xx. Observations of AWS differ on whether its body is sent.",
        WEBSOCKET_INTEGRATIONS, assumed "two-way-error-body";
    BinaryMessage "Binary message": "close code 1003",
        "Only text comes in. Send binary data in base64.",
        WEBSOCKET_BINARY;
    MessageTooBig "Message too big": "close code 1009",
        "A frame has 32 KB at most, a message 128 KB in several frames. Browsers send a message as one frame, so 32 KB is their limit.",
        WEBSOCKET_QUOTAS, limit "frame-bytes";
    TooManyMessages "Too many messages too fast": "close code 1008",
        "Who goes on sending while throttled is closed. After how many messages, AWS does not say.",
        WEBSOCKET_OVERVIEW, assumed "throttled-messages-max";
    IdleTimeout "Idle for too long": "close code 1001",
        "A socket on which no message goes either way for 10 minutes is closed. A client's ping is taken for no message. The \
         quota cannot be raised.",
        WEBSOCKET_QUOTAS, limit "idle-timeout", assumed "ping-resets-idle";
    TooOld "Connected for too long": "close code 1001",
        "A connection lives for 2 hours at most, whatever happens on it. Clients must connect anew. The quota cannot be raised.",
        WEBSOCKET_QUOTAS, limit "max-duration";
    ProtocolError "Against the protocol": "close code 1002",
        "What the client sent is no frame of a WebSocket.",
        RFC_6455;
    NotUtf8 "Text that is not UTF-8": "close code 1007",
        "A text message must be UTF-8.",
        RFC_6455;
    ConnectionGone "No such connection": "410 Gone",
        "There is no connection with this id, or no longer, or not yet: during $connect there is none. Forget the id; $disconnect \
         may have been lost.",
        CONNECTIONS_API;
    SlowReader "Post to a client that does not read": "429 Too Many Requests",
        "What waits for the client has filled its buffer. The size of AWS's buffer is not published. Try again later.",
        MANAGEMENT_MODEL, limit "outbound-bytes";
    CallThrottled "Call of @connections throttled": "429 Too Many Requests",
        "Calls share the account's bucket with all requests and messages: 10,000 a second and 5,000 at once. AWS's SDKs try again.",
        WEBSOCKET_THROTTLING, limit "request-rate";
    PostTooLarge "Post too large": "413 Payload Too Large",
        "A post has 128 KB at most: it becomes one message.",
        WEBSOCKET_QUOTAS, limit "message-bytes";
    PostMalformed "Post that is no text": "400 Bad Request",
        "A post must be UTF-8, as a text message is. What AWS does is not known.",
        CONNECTIONS_API, assumed "invalid-utf8-is-replaced";
    BadConnectionId "No connection id": "400 Bad Request",
        "A connection's id has 16 characters, the last of them an equals sign; in a path, that is %3D.",
        CONNECTIONS_API;
    NotSigned "Signature refused": "403 Forbidden",
        "A call must be signed with Signature Version 4 for execute-api, with the credentials and the region that local-dev expects. \
         On AWS, the function's role must allow execute-api:ManageConnections.",
        CONNECTIONS_API;
    QueueFunctionFailed "Function failed at messages of a queue": "the same messages again",
        "They are visible again when the queue's visibility timeout is over, and go to its dead-letter queue after maxReceiveCount \
         times. With ReportBatchItemFailures, a function can name those that failed.",
        QUEUE_ERRORS;
    CallForbidden "Nothing to call": "403 Forbidden",
        "Below a stage there is @connections/{id} alone, with POST, GET and DELETE.",
        CONNECTIONS_API;
}

/// What has been refused: of each kind how often, and the last time.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Vec<Seen>>);

/// What was seen of a kind of refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) refusal: Refusal,
    pub(crate) count: u64,
    pub(crate) last_at: Timestamp,
    /// What was refused the last time, for people: a path, a connection's id.
    pub(crate) subject: String,
}

/// How long what was refused may be, in bytes. Of what is longer, nothing is kept: of a part one cannot say where its secrets
/// are.
const SUBJECT_BYTES_MAX: usize = 16 * 1024;

/// How much is shown of it, in bytes.
const SHOWN_BYTES_MAX: usize = 200;

impl Refusals {
    pub(crate) fn note(&self, refusal: Refusal, subject: &impl Display) {
        let mut subject = subject.to_string();
        if subject.len() > SUBJECT_BYTES_MAX {
            subject = format!("{} bytes", subject.len());
        }
        let last_at = Timestamp::now();
        let mut seen = lock(&self.0);
        match seen.iter_mut().find(|seen| seen.refusal == refusal) {
            Some(seen) => *seen = Seen { refusal, count: seen.count + 1, last_at, subject },
            None => seen.push(Seen { refusal, count: 1, last_at, subject }),
        }
    }

    /// All of them, the latest first. Subjects are without secrets.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let mut seen = lock(&self.0).clone();
        seen.sort_by_key(|seen| std::cmp::Reverse(seen.last_at.epoch_millis()));
        for seen in &mut seen {
            let mut subject = redact_text(&seen.subject).into_owned();
            subject.truncate(subject.floor_char_boundary(SHOWN_BYTES_MAX));
            seen.subject = subject;
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;
    use crate::{assumptions::ASSUMPTIONS, limits::Limits};

    #[test]
    fn each_kind_says_what_aws_does_and_where_that_stands() {
        let mut titles = HashSet::new();
        for refusal in Refusal::ALL {
            let note = refusal.note();
            assert!(titles.insert(note.title), "{} twice", note.title);
            let kind = note.aws.split(' ').next().unwrap();
            let is_status = kind.parse().is_ok_and(|status: u16| (400..600).contains(&status));
            assert!(is_status || matches!(kind, "close" | "the"), "{}", note.aws);
            assert!(note.source.starts_with("https://"), "{}", note.title);
            assert!(note.why.ends_with('.') && !note.why.contains("  "), "{}", note.why);
            assert!(note.why.len() <= 260, "{} is too long", note.why);
        }
    }

    #[test]
    fn what_a_note_names_there_is() {
        let limits = json!(Limits::default());
        let limits: Vec<String> = limits
            .as_object()
            .unwrap()
            .keys()
            .map(|name| name.trim_end_matches("_max").replace('_', "-"))
            .collect();
        for refusal in Refusal::ALL {
            let note = refusal.note();
            if let Some(limit) = note.limit {
                assert!(limits.iter().any(|name| name == limit), "{limit}");
            }
            if let Some(assumed) = note.assumption {
                let row = ASSUMPTIONS.iter().find(|row| row.name == assumed).expect(assumed);
                let is_status = row.name.ends_with("-status");
                assert!(!is_status || note.aws.starts_with(row.default), "{assumed}");
            }
        }
    }

    #[test]
    fn refusals_are_counted_by_kind() {
        let refusals = Refusals::default();
        for number in 0..1000 {
            refusals.note(Refusal::NoRoute, &format_args!("GET /{number}"));
        }
        refusals.note(Refusal::ConnectionGone, &"é".repeat(SHOWN_BYTES_MAX));
        refusals.note(Refusal::HttpHeadTooLarge, &"x".repeat(SUBJECT_BYTES_MAX + 1));
        let token = format!("eyJ{}.eyJ{}.{}", "a".repeat(100), "b".repeat(100), "c".repeat(43));
        refusals.note(Refusal::UrlTooLong, &format_args!("GET /{token}"));
        let seen = refusals.seen();
        let of = |refusal| seen.iter().find(|seen| seen.refusal == refusal).unwrap();
        assert_eq!(seen.len(), 4);
        assert_eq!(
            (of(Refusal::NoRoute).count, &*of(Refusal::NoRoute).subject),
            (1000, "GET /999")
        );
        assert_eq!(of(Refusal::ConnectionGone).subject.len(), SHOWN_BYTES_MAX);
        assert_eq!(of(Refusal::HttpHeadTooLarge).subject, "16385 bytes");
        // What is cut is cut when its secrets are out.
        assert_eq!(of(Refusal::UrlTooLong).subject, "GET /[redacted]");
    }
}
