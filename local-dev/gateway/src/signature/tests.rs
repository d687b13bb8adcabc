//! Signatures that other people's code makes, and what is none.

use std::time::{Duration as StdDuration, SystemTime};

use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
        SignatureLocation, SigningSettings, sign,
    },
    sign::v4::SigningParams,
};
use axum::http::{HeaderName, Method, Request, Uri};
use secrecy::ExposeSecret;

use super::*;

/// 2026-11-23T10:15:30Z.
const NOW_MILLIS: u64 = 1_795_428_930_000;
const TOKEN: &str = "IQoJb3JpZ2luX2VjEND+/==";
const PATH: &str = "/ws/@connections/QkT3rfHsDoECHlw%3D";

fn now() -> Timestamp {
    after(0)
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_epoch_millis(NOW_MILLIS.cast_signed() + seconds * 1000)
}

fn with_token() -> Credentials {
    Credentials { session_token: Some(TOKEN.into()), ..Credentials::default() }
}

/// A post of "hi".
fn post(target: &str) -> Request<&'static str> {
    let request = Request::post(target).header("host", "localhost:3000");
    request.body("hi").unwrap()
}

/// Signs as the AWS SDK for Rust does.
fn signed(
    mut request: Request<&'static str>,
    credentials: &Credentials,
    settings: SigningSettings,
) -> Parts {
    let token = credentials.session_token.as_ref().map(|token| token.expose_secret().to_owned());
    let identity = aws_credential_types::Credentials::new(
        &credentials.access_key_id,
        credentials.secret_access_key.expose_secret(),
        token,
        None,
        "test",
    );
    let identity = identity.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&credentials.region)
        .name(EXECUTE_API)
        .time(SystemTime::UNIX_EPOCH + StdDuration::from_millis(NOW_MILLIS))
        .settings(settings);
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let signable = SignableRequest::new(
        request.method().as_str(),
        format!("http://localhost:3000{}", request.uri()),
        headers,
        SignableBody::Bytes(request.body().as_bytes()),
    );
    let params = params.build().unwrap().into();
    let (instructions, _signature) = sign(signable.unwrap(), &params).unwrap().into_parts();
    // It looks at the URI, too.
    let target = format!("http://localhost:3000{}", request.uri());
    *request.uri_mut() = target.parse().unwrap();
    instructions.apply_to_request_http1x(&mut request);
    let (mut request, _body) = request.into_parts();
    request.uri = request.uri.path_and_query().unwrap().as_str().parse().unwrap();
    request
}

fn settings(location: SignatureLocation) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.signature_location = location;
    if location == SignatureLocation::QueryParams {
        settings.expires_in = Some(StdDuration::from_mins(1));
    }
    settings
}

const LOCATIONS: [SignatureLocation; 2] =
    [SignatureLocation::Headers, SignatureLocation::QueryParams];

/// What is wrong with "hi" from `request`, in short: the error's type.
fn refusal(request: &Parts, credentials: &Credentials) -> Option<&'static str> {
    verify(credentials, EXECUTE_API, request, Some(b"hi"), now())
        .err()
        .map(|error| error.error_type)
}

#[test]
fn what_the_sdks_signer_signs_is_right() {
    let mut cases = Vec::new();
    for target in [
        PATH,
        "/ws/%40connections/QkT3rfHsDoECHlw%3D",
        "/ws/%40connections/QkT3rfHsDoECHlw%3d",
        "/ws/@connections/QkT3rfHsDoECHlw=",
        "/ws/@connections/%E2%82%AC%20%2F%25",
        "/ws/x?b=2&a=1&a=0&A=&c&d=%2f%7E+x%20y&=z&e==&f=a/b?c:d@e!$'()*,;",
        "/ws/x?&&a=%E2%82%AC",
        "/",
    ] {
        for location in LOCATIONS {
            cases.push((target, settings(location)));
        }
    }
    for location in LOCATIONS {
        let mut once = settings(location);
        once.percent_encoding_mode = PercentEncodingMode::Single;
        cases.push(("/ws/%40connections/QkT3rfHsDoECHlw%3D", once));
        let mut unsigned_token = settings(location);
        unsigned_token.session_token_mode = SessionTokenMode::Exclude;
        // In a URL, what is not signed cannot be told from what is.
        if location == SignatureLocation::Headers {
            cases.push((PATH, unsigned_token));
        }
        let mut checksum = settings(location);
        checksum.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        cases.push((PATH, checksum));
    }
    for (target, settings) in cases {
        for credentials in [Credentials::default(), with_token()] {
            let request = signed(post(target), &credentials, settings.clone());
            let what = format!("{} {settings:?}", request.uri);
            assert_eq!(
                verify(&credentials, EXECUTE_API, &request, Some(b"hi"), now()),
                Ok(()),
                "{what}"
            );
            assert_eq!(verify(&credentials, EXECUTE_API, &request, None, now()), Ok(()), "{what}");
            let error =
                verify(&credentials, EXECUTE_API, &request, Some(b"ho"), now()).unwrap_err();
            assert_eq!(error.error_type, "InvalidSignatureException", "{what}");
        }
    }
}

#[test]
fn a_path_that_is_not_encoded_is_signed_as_if_it_were() {
    let mut as_it_is = settings(SignatureLocation::Headers);
    as_it_is.percent_encoding_mode = PercentEncodingMode::Single;
    let request =
        signed(post("/ws/@connections/QkT3rfHsDoECHlw="), &Credentials::default(), as_it_is);
    assert_eq!(refusal(&request, &Credentials::default()), Some("InvalidSignatureException"));
}

#[test]
fn headers_are_signed_by_what_they_mean() {
    let credentials = Credentials::default();
    let mut request = post(PATH);
    for (name, value) in [
        ("x-name", "a   b  c "),
        ("x-repeated", "one"),
        ("x-repeated", " two"),
        ("x-empty", ""),
        ("content-type", "text/plain"),
    ] {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        request.headers_mut().append(name, value);
    }
    let request = signed(request, &credentials, settings(SignatureLocation::Headers));
    assert_eq!(refusal(&request, &credentials), None);

    // As another client would write the same, and what a proxy adds.
    let mut same = request.clone();
    same.headers.insert("x-name", HeaderValue::from_static("a b c"));
    same.headers.insert("x-forwarded-for", HeaderValue::from_static("198.51.100.7"));
    assert_eq!(refusal(&same, &credentials), None);

    for (name, value) in [
        ("host", Some("localhost:3001")),
        ("content-type", Some("application/json")),
        ("x-name", Some("a b  d")),
        ("x-repeated", Some("one")),
        ("x-empty", Some("-")),
        ("x-name", None),
    ] {
        let mut other = request.clone();
        other.headers.remove(name);
        if let Some(value) = value {
            other.headers.insert(name, HeaderValue::from_static(value));
        }
        let error = refusal(&other, &credentials);
        assert_eq!(error, Some("InvalidSignatureException"), "{name}: {value:?}");
    }
}

#[test]
fn nothing_of_a_signed_request_can_be_changed() {
    let credentials = Credentials::default();
    for location in LOCATIONS {
        let request = signed(post(&format!("{PATH}?a=1&b=2")), &credentials, settings(location));
        let target = request.uri.to_string();
        let uri = |from: &str, to: &str| target.replace(from, to).parse::<Uri>().unwrap();

        let mut reordered = request.clone();
        reordered.uri = uri("a=1&b=2", "b=2&%61=1");
        assert_eq!(refusal(&reordered, &credentials), None);

        let mut method = request.clone();
        method.method = Method::DELETE;
        let mut path = request.clone();
        path.uri = uri("QkT3", "QkT4");
        let mut parameter = request.clone();
        parameter.uri = uri("a=1", "a=3");
        let mut added = request.clone();
        added.uri = uri("a=1", "a=1&c=3");
        for changed in [method, path, parameter, added] {
            let error = refusal(&changed, &credentials);
            assert_eq!(error, Some("InvalidSignatureException"), "{changed:?}");
        }
    }
}

#[test]
fn only_these_credentials_are_taken() {
    let expected = with_token();
    let default = Credentials::default;
    let invalid = Some("InvalidSignatureException");
    let unrecognized = Some("UnrecognizedClientException");
    for (credentials, error) in [
        (with_token(), None),
        (Credentials { secret_access_key: "other".into(), ..with_token() }, invalid),
        (Credentials { region: "eu-west-1".to_owned(), ..with_token() }, invalid),
        (Credentials { access_key_id: "AKIDOTHER".to_owned(), ..with_token() }, unrecognized),
        (Credentials { session_token: Some("other".into()), ..default() }, unrecognized),
        (default(), unrecognized),
    ] {
        for location in LOCATIONS {
            let request = signed(post(PATH), &credentials, settings(location));
            assert_eq!(refusal(&request, &expected), error, "{credentials:?}");
        }
    }
    let request = signed(post(PATH), &with_token(), settings(SignatureLocation::Headers));
    assert_eq!(refusal(&request, &default()), unrecognized);
}

#[test]
fn signatures_are_good_for_five_minutes() {
    let credentials = Credentials::default();
    for location in LOCATIONS {
        let request = signed(post(PATH), &credentials, settings(location));
        for (seconds, message) in [
            (-300, None),
            (300, None),
            (
                301,
                Some(
                    "Signature expired: 20261123T101530Z is now earlier than 20261123T101531Z \
                     (20261123T102031Z - 5 min.)",
                ),
            ),
            (
                -301,
                Some(
                    "Signature not yet current: 20261123T101530Z is still later than \
                     20261123T101529Z (20261123T101029Z + 5 min.)",
                ),
            ),
        ] {
            let result = verify(&credentials, EXECUTE_API, &request, Some(b"hi"), after(seconds));
            let expected = message.map(|message| SignatureError::invalid(message.to_owned()));
            assert_eq!(result.err(), expected, "{seconds}");
        }
    }
}

#[test]
fn a_wrong_signature_is_answered_with_what_should_have_been_signed() {
    let credentials = with_token();
    let mut request = signed(
        post(&format!("{PATH}?b=x+y&a")),
        &credentials,
        settings(SignatureLocation::Headers),
    );
    request.method = Method::GET;
    let error = verify(&credentials, EXECUTE_API, &request, Some(b""), now()).unwrap_err();
    let expected = "The request signature we calculated does not match the signature you \
        provided. Check your AWS Secret Access Key and signing method. Consult the service \
        documentation for details.\n\n\
        The Canonical String for this request should have been\n\
        'GET\n/ws/%40connections/QkT3rfHsDoECHlw%253D\na=&b=x%20y\nhost:localhost:3000\n\
        x-amz-date:20261123T101530Z\nx-amz-security-token:***\n\n\
        host;x-amz-date;x-amz-security-token\n\
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'\n\n\
        The String-to-Sign should have been\n\
        'AWS4-HMAC-SHA256\n20261123T101530Z\n20261123/us-east-1/execute-api/aws4_request\n";
    let message = error.message.strip_prefix(expected).unwrap_or_else(|| {
        panic!("{}", error.message);
    });
    assert_eq!(message.len(), 64 + "'\n".len());

    let mut request = signed(post(PATH), &credentials, settings(SignatureLocation::QueryParams));
    request.method = Method::GET;
    let error = verify(&credentials, EXECUTE_API, &request, Some(b""), now()).unwrap_err();
    assert!(error.message.contains("&X-Amz-Security-Token=***&"), "{}", error.message);
    assert!(!error.message.contains("IQoJ"), "{}", error.message);
}

/// A request with this `Authorization` and, unless it is empty, this `X-Amz-Date`.
fn claiming(authorization: &str, date: &str) -> Parts {
    let mut request = post(PATH);
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, authorization.parse().unwrap());
    if !date.is_empty() {
        headers.insert("x-amz-date", date.parse().unwrap());
    }
    request.into_parts().0
}

/// The answer to it: the error's type and its text.
fn answer(request: &Parts) -> (&'static str, String) {
    let error =
        verify(&Credentials::default(), EXECUTE_API, request, Some(b"hi"), now()).unwrap_err();
    (error.error_type, error.message)
}

#[test]
fn what_is_no_signature_is_refused_in_awss_words() {
    let date = "20261123T101530Z";
    let (request, _body) = post(PATH).into_parts();
    assert_eq!(
        answer(&request),
        ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned())
    );
    for (authorization, date, message) in [
        (
            "Bearer token",
            date,
            "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with \
             SHA-256 and encoded with Base64): 'HASH'.",
        ),
        (
            "AWS4-HMAC-SHA256 Credential= AKID/a/b",
            date,
            "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with \
             SHA-256 and encoded with Base64): 'HASH'.",
        ),
        (
            "Credential=a",
            date,
            "Authorization header must begin with the algorithm name, which cannot include an \
             equal-sign (hashed with SHA-256 and encoded with Base64): 'HASH'.",
        ),
        (
            "Basic dXNlcjpwdw==",
            "",
            "Authorization header requires 'Credential' parameter. Authorization header \
             requires 'Signature' parameter. Authorization header requires 'SignedHeaders' \
             parameter. Authorization header requires existence of either a 'X-Amz-Date' or a \
             'Date' header. (Hashed with SHA-256 and encoded with Base64) Authorization=HASH",
        ),
        (
            "",
            date,
            "Authorization header requires 'Credential' parameter. Authorization header \
             requires 'Signature' parameter. Authorization header requires 'SignedHeaders' \
             parameter. (Hashed with SHA-256 and encoded with Base64) Authorization=HASH",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a,Signature=,SignedHeaders=",
            date,
            "Authorization header requires 'Signature' parameter. (Hashed with SHA-256 and \
             encoded with Base64) Authorization=HASH",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=b",
            "Mon, 23 Nov 2026 10:15:30 GMT",
            "Date must be in ISO-8601 'basic format'. Got 'Mon, 23 Nov 2026 10:15:30 GMT'. See \
             http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            "AWS4-HMAC-SHA1 Credential=a, SignedHeaders=host, Signature=b",
            date,
            "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'.",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=Host, Signature=b",
            date,
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term, got 'a/b/c/d'",
        ),
    ] {
        let (error_type, answer) = answer(&claiming(authorization, date));
        assert_eq!(error_type, "IncompleteSignatureException", "{authorization}");
        let hash = BASE64_STANDARD.encode(Sha256::digest(authorization));
        assert_eq!(answer, message.replace("HASH", &hash));
    }
}

#[test]
fn what_is_no_presigned_url_is_refused_in_awss_words() {
    let must = |names: &[&str]| {
        let must = |name| format!("AWS query-string parameters must include '{name}'. ");
        let must: String = names.iter().map(must).collect();
        must + "Re-examine the query-string parameters."
    };
    for (query, message) in [
        (
            "X-Amz-Algorithm",
            must(&[
                "X-Amz-Algorithm",
                "X-Amz-Credential",
                "X-Amz-Signature",
                "X-Amz-SignedHeaders",
                "X-Amz-Date",
            ]),
        ),
        (
            "X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d",
            must(&["X-Amz-SignedHeaders"]),
        ),
    ] {
        let (request, _body) = post(&format!("{PATH}?{query}")).into_parts();
        assert_eq!(answer(&request), ("IncompleteSignatureException", message));
    }
    let mut both = claiming("Bearer token", "");
    both.uri = format!("{PATH}?X-Amz-Algorithm=AWS4-HMAC-SHA256").parse().unwrap();
    let message = "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as \
                   HTTP header.";
    assert_eq!(answer(&both), ("InvalidSignatureException", message.to_owned()));
}

#[test]
fn the_scope_is_this_service_in_this_region_today() {
    let claim = |credential: &str, signed_headers: &str| {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed_headers}, Signature=b"
        );
        answer(&claiming(&authorization, "20261123T101530Z"))
    };
    let scope = "20261123/us-east-1/execute-api/aws4_request";
    let key = Credentials::LOCAL_ACCESS_KEY_ID;
    for (credential, signed_headers, error_type, message) in [
        (
            format!("{key}/{scope}"),
            "x-amz-date",
            "InvalidSignatureException",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            format!("{key}/b/c/d/e"),
            "host",
            "InvalidSignatureException",
            "Credential should be scoped to a valid region, not 'c'. Credential should be \
             scoped to correct service: 'execute-api'. Credential should be scoped with a \
             valid terminator: 'aws4_request', not 'e'. Date in Credential scope does not \
             match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20261123', from \
             '20261123T101530Z'.",
        ),
        (
            format!("{key}/20261123/us-east-1/lambda/aws4_request"),
            "host",
            "InvalidSignatureException",
            "Credential should be scoped to correct service: 'execute-api'. ",
        ),
        (
            format!("AKIDOTHER/{scope}"),
            "host",
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        (
            format!("/{scope}"),
            "host",
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
    ] {
        assert_eq!(claim(&credential, signed_headers), (error_type, message.to_owned()));
    }
    // What is left to say is that the signature is wrong.
    let (_, message) = claim(&format!("{key}/{scope}/"), "Host;X-Amz-Date");
    assert!(message.contains("\n\nhost;x-amz-date\n"), "{message}");
}

#[test]
fn dates_are_in_basic_format() {
    let date = parse_date("20261123T101530Z").unwrap();
    assert_eq!(date.unix_timestamp(), 1_795_428_930);
    assert_eq!(format_date(date), "20261123T101530Z");
    for bad in [
        "",
        "20261123",
        "2026-11-23T10:15:30Z",
        "20261123T101530",
        "20261123T101530z",
        "20261123 101530Z",
        "20261323T101530Z",
        "20260230T101530Z",
        "20261123T241530Z",
        "20261123T101560Z",
        "+2026112T101530Z",
        "2026112éT10153Z",
        "２０２６",
    ] {
        assert_eq!(parse_date(bad), None, "{bad}");
    }
    assert!(parse_date("00000101T000000Z").is_some());
}

#[test]
fn any_nonsense_is_refused() {
    let scope =
        format!("{}/20261123/us-east-1/execute-api/aws4_request", Credentials::LOCAL_ACCESS_KEY_ID);
    let many: Vec<_> = (0..1000).map(|number| format!(";x-{number};x-long")).collect();
    let many = many.concat();
    let long = "x".repeat(10_000);
    for signed_headers in
        ["host", "host;;", "host;é", "host;\u{1}", "host;a b", "host; :;=", &many, &long]
    {
        for signature in ["0", "é", &"0".repeat(64), &"Z".repeat(64), &long] {
            let signed_headers = if signed_headers == many {
                format!("host{many}")
            } else {
                signed_headers.to_owned()
            };
            let mut request = post("/%?%=%&%zz=+%ff&\u{20ac}");
            let headers = request.headers_mut();
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential={scope},SignedHeaders={signed_headers},Signature={signature}"
            );
            let Ok(authorization) = HeaderValue::from_bytes(authorization.as_bytes()) else {
                continue;
            };
            headers.insert(AUTHORIZATION, authorization);
            headers.insert("x-amz-date", HeaderValue::from_static("20261123T101530Z"));
            headers.insert("x-1", HeaderValue::from_bytes(b"\xff\xfe  \x80").unwrap());
            headers.insert("x-long", long.parse().unwrap());
            let (request, _body) = request.into_parts();
            let error = verify(&Credentials::default(), EXECUTE_API, &request, Some(b"hi"), now());
            assert!(error.unwrap_err().message.len() < 100_000);
        }
    }
}

#[test]
fn credentials_are_found_where_clients_find_them() {
    let read = |environment: &[(&str, &str)]| {
        let credentials = Credentials::from_environment(|name| {
            let variable = environment.iter().find(|(other, _value)| *other == name);
            variable.map(|(_name, value)| (*value).to_owned())
        });
        let shown = format!("{credentials:?}");
        assert!(!shown.contains(credentials.secret_access_key.expose_secret()), "{shown}");
        assert!(!shown.contains("token-of-a-session"), "{shown}");
        let Credentials { access_key_id, secret_access_key, session_token, region } = credentials;
        let token = session_token.map(|token| token.expose_secret().to_owned());
        (access_key_id, secret_access_key.expose_secret().to_owned(), token, region)
    };
    let local = Credentials::default();
    let default = |region: &str| {
        let secret = local.secret_access_key.expose_secret().to_owned();
        (local.access_key_id.clone(), secret, None, region.to_owned())
    };
    let key = ("AWS_ACCESS_KEY_ID", "AKID");
    let secret = ("AWS_SECRET_ACCESS_KEY", "hush");
    let token = ("AWS_SESSION_TOKEN", "token-of-a-session");
    for (environment, expected) in [
        (vec![], default("us-east-1")),
        (vec![("AWS_REGION", "")], default("us-east-1")),
        (vec![("AWS_DEFAULT_REGION", "eu-west-1")], default("eu-west-1")),
        (
            vec![("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_REGION", "eu-west-3")],
            default("eu-west-3"),
        ),
        (vec![key, token], default("us-east-1")),
        (vec![secret, ("AWS_ACCESS_KEY_ID", "")], default("us-east-1")),
        (vec![key, secret], ("AKID".to_owned(), "hush".to_owned(), None, "us-east-1".to_owned())),
        (
            vec![key, secret, token],
            (
                "AKID".to_owned(),
                "hush".to_owned(),
                Some("token-of-a-session".to_owned()),
                "us-east-1".to_owned(),
            ),
        ),
    ] {
        assert_eq!(read(&environment), expected);
    }
}
