//! AWS Signature Version 4 from the side that checks it: was a request to the management API, or to another service, signed
//! by somebody who has the credentials?
//!
//! What is wrong is looked for in the order in which AWS's services do it, and said in their words, as people have
//! reported them of `execute-api` and of services that share its checks. Secrets are compared in constant time; they are
//! in no answer and no log.

mod canonical;
mod credentials;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use axum::http::{
    HeaderValue,
    header::{AUTHORIZATION, DATE},
    request::Parts,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use time::{
    Date, Duration, Month, OffsetDateTime, Time, format_description::BorrowedFormatItem,
    macros::format_description,
};

use self::canonical::{CanonicalRequest, encoded_paths};
pub use self::credentials::Credentials;
use crate::{
    request::{header_text, query_parameters},
    timestamp::Timestamp,
};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The service that the management API is part of.
pub(crate) const EXECUTE_API: &str = "execute-api";
const TERMINATOR: &str = "aws4_request";
const SECURITY_TOKEN: &str = "x-amz-security-token";

/// How long a signature is good for, and how far a client's clock may be ahead. A presigned URL is good for no longer:
/// of AWS's services, only S3 is known to look at `X-Amz-Expires`.
const MINUTES_MAX: i64 = 5;

/// Why a request is refused, with 403.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SignatureError {
    pub(crate) error_type: &'static str,
    pub(crate) message: String,
}

impl SignatureError {
    /// Nobody has signed.
    fn missing() -> Self {
        Self {
            error_type: "MissingAuthenticationTokenException",
            message: "Missing Authentication Token".to_owned(),
        }
    }

    /// There is something that is not a whole signature.
    fn incomplete(message: String) -> Self {
        Self { error_type: "IncompleteSignatureException", message }
    }

    /// It is not the signature of this request, for this service, at this time.
    fn invalid(message: String) -> Self {
        Self { error_type: "InvalidSignatureException", message }
    }

    /// Nobody has such credentials.
    fn unrecognized() -> Self {
        Self {
            error_type: "UnrecognizedClientException",
            message: "The security token included in the request is invalid.".to_owned(),
        }
    }
}

/// Checks who signed `request` to `service`. A body that was not read is `None`: then all is checked but the signature itself, so
/// nothing may be done for whoever sent it.
pub(crate) fn verify(
    credentials: &Credentials,
    service: &str,
    request: &Parts,
    body: Option<&[u8]>,
    now: Timestamp,
) -> Result<(), SignatureError> {
    let claim = Claim::read(request)?;
    claim.check_date(now)?;
    if !claim.signed_headers.contains("host") {
        let message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
        return Err(SignatureError::invalid(message.to_owned()));
    }
    if claim.algorithm != ALGORITHM {
        let algorithm = &claim.algorithm;
        return Err(SignatureError::incomplete(format!(
            "Unsupported AWS 'algorithm': '{algorithm}'."
        )));
    }
    let access_key_id = claim.check_scope(&credentials.region, service)?;
    if access_key_id != credentials.access_key_id {
        return Err(SignatureError::unrecognized());
    }
    if let Some(body) = body {
        claim.check_signature(credentials, service, request, body)?;
    }
    if !credentials.have_token(claim.security_token.as_deref()) {
        return Err(SignatureError::unrecognized());
    }
    Ok(())
}

/// What a request says of its signature, in a header or, when its URL was presigned, in the query string.
struct Claim {
    algorithm: String,
    /// An access key and the scope it signs for: `AKID/20261123/us-east-1/execute-api/aws4_request`.
    credential: String,
    /// Names in lower case.
    signed_headers: BTreeSet<String>,
    signature: String,
    /// When it was signed: `20261123T101530Z`.
    date: String,
    security_token: Option<String>,
}

impl Claim {
    fn read(request: &Parts) -> Result<Self, SignatureError> {
        let parameters = query_parameters(request.uri.query().unwrap_or_default());
        let is_presigned = parameters.contains_key("X-Amz-Algorithm");
        match request.headers.get(AUTHORIZATION) {
            None if is_presigned => Self::from_query(parameters),
            None => Err(SignatureError::missing()),
            Some(authorization) if !is_presigned => Self::from_header(request, authorization),
            Some(_) => Err(SignatureError::invalid(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP \
                 header."
                    .to_owned(),
            )),
        }
    }

    /// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`. What is not that is shown as a hash, for it may be
    /// a secret.
    fn from_header(request: &Parts, authorization: &HeaderValue) -> Result<Self, SignatureError> {
        let hash = || BASE64_STANDARD.encode(Sha256::digest(authorization.as_bytes()));
        let authorization = header_text(authorization);
        let mut words = authorization.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        let algorithm = words.next().unwrap_or_default();
        let wrong = |what| {
            let hash = hash();
            let message =
                format!("{what} (hashed with SHA-256 and encoded with Base64): '{hash}'.");
            SignatureError::incomplete(message)
        };
        if algorithm.contains('=') {
            return Err(wrong(
                "Authorization header must begin with the algorithm name, which cannot include an \
                 equal-sign",
            ));
        }
        let [mut credential, mut signature, mut signed_headers] = [None; 3];
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                return Err(wrong(
                    "Invalid key=value pair (missing equal-sign) in Authorization header",
                ));
            };
            match key {
                "Credential" if !value.is_empty() => credential = Some(value),
                "Signature" if !value.is_empty() => signature = Some(value),
                "SignedHeaders" => signed_headers = Some(value),
                _ => {}
            }
        }
        let header = |name: &str| request.headers.get(name).map(header_text);
        let date = header("x-amz-date").or_else(|| header(DATE.as_str()));
        if let (Some(credential), Some(signature), Some(signed_headers), Some(date)) =
            (credential, signature, signed_headers, &date)
        {
            return Ok(Self {
                algorithm: algorithm.to_owned(),
                credential: credential.to_owned(),
                signed_headers: header_names(signed_headers),
                signature: signature.to_owned(),
                date: date.clone(),
                security_token: header(SECURITY_TOKEN),
            });
        }
        let missing: Vec<_> = [
            (credential.is_none(), "'Credential' parameter"),
            (signature.is_none(), "'Signature' parameter"),
            (signed_headers.is_none(), "'SignedHeaders' parameter"),
            (date.is_none(), "existence of either a 'X-Amz-Date' or a 'Date' header"),
        ]
        .into_iter()
        .filter(|(is_missing, _what)| *is_missing)
        .map(|(_is_missing, what)| format!("Authorization header requires {what}. "))
        .collect();
        let missing = missing.concat();
        let hash = hash();
        Err(SignatureError::incomplete(format!(
            "{missing}(Hashed with SHA-256 and encoded with Base64) Authorization={hash}"
        )))
    }

    fn from_query(mut parameters: BTreeMap<String, Vec<String>>) -> Result<Self, SignatureError> {
        let mut parameter = |name| {
            let value = parameters.remove(name).and_then(|mut values| values.pop());
            value.filter(|value| !value.is_empty())
        };
        let names = [
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Signature",
            "X-Amz-SignedHeaders",
            "X-Amz-Date",
        ];
        let values = names.map(&mut parameter);
        let security_token = parameter("X-Amz-Security-Token");
        let missing = names.iter().zip(&values).filter(|(_name, value)| value.is_none());
        let missing: Vec<_> = missing
            .map(|(name, _value)| format!("AWS query-string parameters must include '{name}'. "))
            .collect();
        let [Some(algorithm), Some(credential), Some(signature), Some(signed_headers), Some(date)] =
            values
        else {
            let missing = missing.concat();
            let message = format!("{missing}Re-examine the query-string parameters.");
            return Err(SignatureError::incomplete(message));
        };
        let signed_headers = header_names(&signed_headers);
        Ok(Self { algorithm, credential, signed_headers, signature, date, security_token })
    }

    fn check_date(&self, now: Timestamp) -> Result<(), SignatureError> {
        let date = &self.date;
        let Some(signed_at) = parse_date(date) else {
            let help = "See http://en.wikipedia.org/wiki/ISO_8601";
            return Err(SignatureError::incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{date}'. {help}"
            )));
        };
        let now = OffsetDateTime::from_unix_timestamp(now.epoch_millis().div_euclid(1000))
            .expect("it was a moment before");
        let earliest = now - Duration::minutes(MINUTES_MAX);
        let latest = now + Duration::minutes(MINUTES_MAX);
        let [now, earliest_text, latest_text] = [now, earliest, latest].map(format_date);
        if signed_at < earliest {
            return Err(SignatureError::invalid(format!(
                "Signature expired: {date} is now earlier than {earliest_text} \
                 ({now} - {MINUTES_MAX} min.)"
            )));
        }
        if signed_at > latest {
            return Err(SignatureError::invalid(format!(
                "Signature not yet current: {date} is still later than {latest_text} \
                 ({now} + {MINUTES_MAX} min.)"
            )));
        }
        Ok(())
    }

    /// Says whose key it is, if it signs for this region and service and for the day of its date.
    fn check_scope(
        &self,
        expected_region: &str,
        expected_service: &str,
    ) -> Result<&str, SignatureError> {
        let parts: Vec<&str> = self.credential.trim_end_matches('/').splitn(6, '/').collect();
        let &[access_key_id, day, region, service, terminator] = &*parts else {
            let credential = &self.credential;
            return Err(SignatureError::incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'"
            )));
        };
        let (date, expected_day) = (&self.date, self.day());
        let wrong: String = [
            (region != expected_region).then(|| {
                format!("Credential should be scoped to a valid region, not '{region}'. ")
            }),
            (service != expected_service).then(|| {
                format!("Credential should be scoped to correct service: '{expected_service}'. ")
            }),
            (terminator != TERMINATOR).then(|| {
                format!(
                    "Credential should be scoped with a valid terminator: '{TERMINATOR}', not \
                     '{terminator}'. "
                )
            }),
            (day != expected_day).then(|| {
                format!(
                    "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of \
                     date from HTTP: '{day}' != '{expected_day}', from '{date}'."
                )
            }),
        ]
        .into_iter()
        .flatten()
        .collect();
        if wrong.is_empty() { Ok(access_key_id) } else { Err(SignatureError::invalid(wrong)) }
    }

    /// The day of a date that has been checked.
    fn day(&self) -> &str {
        self.date.get(..8).unwrap_or_default()
    }

    /// Clients disagree on how often a path is percent-encoded before it is signed, and API Gateway was seen to take
    /// either form: one is enough. The answer shows the one of the signature's specification.
    fn check_signature(
        &self,
        credentials: &Credentials,
        service: &str,
        request: &Parts,
        body: &[u8],
    ) -> Result<(), SignatureError> {
        let key = credentials.signing_key(self.day(), service);
        let canonical = CanonicalRequest::new(&self.signed_headers, request, body);
        let mut signature = [0; 32];
        let is_readable = hex::decode_to_slice(&self.signature, &mut signature).is_ok();
        let [twice, once] = encoded_paths(request.uri.path());
        let to_sign = self.string_to_sign(credentials, service, &canonical.bytes(&twice));
        let is_right =
            [&to_sign, &self.string_to_sign(credentials, service, &canonical.bytes(&once))]
                .into_iter()
                .any(|to_sign| hmac(&key, to_sign.as_bytes()).verify_slice(&signature).is_ok());
        if is_readable && is_right {
            return Ok(());
        }
        let canonical = canonical.without_token().bytes(&twice);
        let canonical = String::from_utf8_lossy(&canonical);
        Err(SignatureError::invalid(format!(
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method. Consult the service documentation for \
             details.\n\n\
             The Canonical String for this request should have been\n'{canonical}'\n\n\
             The String-to-Sign should have been\n'{to_sign}'\n"
        )))
    }

    fn string_to_sign(&self, credentials: &Credentials, service: &str, canonical: &[u8]) -> String {
        let (date, day, region) = (&self.date, self.day(), &credentials.region);
        let hash = hex::encode(Sha256::digest(canonical));
        format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/{TERMINATOR}\n{hash}")
    }
}

/// `Host;X-Amz-Date` in lower case and in order, each once.
fn header_names(text: &str) -> BTreeSet<String> {
    text.split(';').filter(|name| !name.is_empty()).map(str::to_ascii_lowercase).collect()
}

const DATE_FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

fn format_date(date: OffsetDateTime) -> String {
    date.format(&DATE_FORMAT).expect("a date and a time have all that this format names")
}

/// `None` when the text is not the date and time of a moment in [`DATE_FORMAT`].
fn parse_date(text: &str) -> Option<OffsetDateTime> {
    let has_form = text.len() == 16
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    let number = |range: Range<usize>| text.get(range)?.parse::<u8>().ok();
    if !has_form {
        return None;
    }
    let month = Month::try_from(number(4..6)?).ok()?;
    let date = Date::from_calendar_date(text[..4].parse().ok()?, month, number(6..8)?).ok()?;
    let time = Time::from_hms(number(9..11)?, number(11..13)?, number(13..15)?).ok()?;
    Some(OffsetDateTime::new_utc(date, time))
}

fn hmac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac
}
