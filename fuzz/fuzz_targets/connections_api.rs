//! Any request to the management API of a gateway that checks signatures: without one nobody is let in, with one
//! everybody is, and nothing of a signed request can be changed.
//!
//! An input is a request as text (`fuzz::Request`).

#![no_main]

use std::{
    sync::{LazyLock, Mutex},
    time::SystemTime,
};

use aws_sigv4::{
    http_request::{
        SignableBody, SignableRequest, SignatureLocation, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4::SigningParams,
};
use bytes::Bytes;
use fuzz::Request;
use gateway::{
    Credentials, Gateway, Limits, WebSocketApi,
    server::{Bound, Server},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
};
use url::form_urlencoded;

static WORLD: LazyLock<World> = LazyLock::new(World::start);

type Signed = http::Request<Full<Bytes>>;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(request) = Request::read(input) else { return Corpus::Reject };
    let Ok(method) = Method::from_bytes(request.method.as_bytes()) else { return Corpus::Reject };
    let path = request.target.path();
    if method == Method::CONNECT || !path.starts_with("/ws/") || path == "/ws/" {
        return Corpus::Reject;
    }
    let mut headers = request.headers;
    // What says where a message ends is the client's to write.
    for name in [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
    headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    let target = request.target.as_str();
    let as_it_is = assemble(&method, target, &headers, request.body);
    assert!(WORLD.is_refused(as_it_is), "a request is let in that nobody has signed");

    // What is chosen depends on all of the input.
    let choice = input.iter().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    let Some(signed) = sign_anew(&method, target, headers, request.body, choice & 1 == 1) else {
        return Corpus::Keep;
    };
    if [Method::POST, Method::GET, Method::DELETE].contains(&method) {
        assert!(!WORLD.is_refused(signed.clone()), "a signed request is refused: {signed:?}");
    }
    let altered = alter(signed, choice >> 1);
    let what = format!("{altered:?}");
    assert!(WORLD.is_refused(altered), "a request is let in that is not as it was signed: {what}");
    Corpus::Keep
});

fn assemble(method: &Method, target: &str, headers: &HeaderMap, body: &[u8]) -> Signed {
    let mut request = http::Request::new(Full::new(Bytes::copy_from_slice(body)));
    *request.method_mut() = method.clone();
    *request.uri_mut() = target.parse().expect("it has been read from a target");
    *request.headers_mut() = headers.clone();
    request
}

/// The request as somebody sends it who has the credentials. `None` when it is one that cannot be signed.
fn sign_anew(
    method: &Method,
    target: &str,
    mut headers: HeaderMap,
    body: &[u8],
    in_headers: bool,
) -> Option<Signed> {
    // A header that is not text cannot be signed.
    let is_unsigned = |name: &&HeaderName| {
        let own = ["authorization", "x-amz-date", "x-amz-security-token"];
        own.contains(&name.as_str()) || headers.get_all(*name).iter().any(|v| v.to_str().is_err())
    };
    let unsigned: Vec<HeaderName> = headers.keys().filter(is_unsigned).cloned().collect();
    for name in unsigned {
        headers.remove(name);
    }
    let query = target.split_once('?').map(|(_path, query)| query).unwrap_or_default();
    // The signer would sign other bytes than these.
    percent_decode_str(query).decode_utf8().ok()?;
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name.starts_with("X-Amz-")) {
        return None;
    }
    let credentials = &WORLD.credentials;
    let secret = credentials.secret_access_key.expose_secret();
    let identity = aws_credential_types::Credentials::new(
        &credentials.access_key_id,
        secret,
        None,
        None,
        "fuzz",
    );
    let identity = identity.into();
    let mut settings = SigningSettings::default();
    // Clients would sign `/ws//x` as `/ws/x`, and what is there is not the same.
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    if !in_headers {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(std::time::Duration::from_secs(60));
    }
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&credentials.region)
        .name("execute-api")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .expect("nothing is missing")
        .into();
    let url = format!("http://localhost{target}");
    let texts =
        headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable =
        SignableRequest::new(method.as_str(), url.as_str(), texts, SignableBody::Bytes(body));
    let (instructions, _signature) = sign(signable.ok()?, &params).ok()?.into_parts();
    let mut request = assemble(method, &url, &headers, body);
    instructions.apply_to_request_http1x(&mut request);
    let target = request.uri().path_and_query()?.as_str().parse().ok()?;
    *request.uri_mut() = target;
    Some(request)
}

/// Another request with the same signature.
fn alter(mut request: Signed, choice: u8) -> Signed {
    let target = request.uri().to_string();
    match choice % 5 {
        0 => {
            let other =
                if request.method() == Method::POST { Method::DELETE } else { Method::POST };
            *request.method_mut() = other;
        }
        1 => {
            let other = HeaderValue::from_static("localhost:3000");
            request.headers_mut().insert(header::HOST, other);
        }
        2 => {
            let joint = if target.contains('?') { '&' } else { '?' };
            *request.uri_mut() = format!("{target}{joint}more").parse().expect("a target");
        }
        3 => {
            let other = target.replacen("/ws/", "/ws/x", 1);
            *request.uri_mut() = other.parse().expect("a target");
        }
        _ => {
            let body = std::mem::take(request.body_mut());
            let body = WORLD.runtime.block_on(body.collect());
            let body = body.unwrap_or_else(|never| match never {}).to_bytes();
            *request.body_mut() = Full::new([&body, &b"\0"[..]].concat().into());
        }
    }
    request
}

/// A gateway, and one HTTP connection to it.
struct World {
    runtime: Runtime,
    server: Server,
    credentials: Credentials,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl World {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let credentials = Credentials::default();
        let api = WebSocketApi { stage: "ws".to_owned(), ..WebSocketApi::default() };
        let gateway = Gateway {
            websocket_apis: vec![api],
            limits: Limits { request_rate: None, ..Limits::default() },
            credentials: Some(credentials.clone()),
            ..Gateway::default()
        };
        let server = runtime
            .block_on(async { Bound::to("127.0.0.1", 0).await.expect("a port").serve(gateway) });
        Self { runtime, server, credentials, connection: Mutex::default() }
    }

    /// Whether the gateway says that this is not signed, or not by whom or as it should be.
    fn is_refused(&self, request: Signed) -> bool {
        let (status, error_type) = self.runtime.block_on(self.send(request));
        let refusals = [
            "MissingAuthenticationTokenException",
            "IncompleteSignatureException",
            "InvalidSignatureException",
            "UnrecognizedClientException",
        ];
        assert!(!status.is_server_error(), "the gateway answers {status}");
        status == StatusCode::FORBIDDEN
            && error_type.is_some_and(|error_type| refusals.contains(&error_type.as_str()))
    }

    async fn send(&self, request: Signed) -> (StatusCode, Option<String>) {
        let mut kept = self.connection.lock().expect("one thread");
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => {
                let tcp = TcpStream::connect(self.server.local_addr()).await.expect("a gateway");
                tcp.set_nodelay(true).expect("a socket");
                let (sender, connection) =
                    handshake(TokioIo::new(tcp)).await.expect("a connection");
                tokio::spawn(connection);
                sender
            }
        };
        connection.ready().await.expect("it is kept alive");
        let response = connection.send_request(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        body.collect().await.expect("an answer ends");
        *kept = Some(connection);
        let error_type = parts.headers.get("x-amzn-errortype");
        (parts.status, error_type.and_then(|value| Some(value.to_str().ok()?.to_owned())))
    }
}
