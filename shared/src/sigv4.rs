//! AWS Signature Version 4 for calls of `@connections`, in the place of the SDK's own signer: that one derives the day's key for
//! each call, and takes headers, of which a session token is long, through several copies and sorts.
//!
//! Specification: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::sync::{Mutex, PoisonError};

use aws_credential_types::Credentials;
use aws_sdk_apigatewaymanagement::config::{
    ConfigBag, Region, RuntimeComponents, http::HttpRequest,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{AuthScheme, AuthSchemeEndpointConfig, AuthSchemeId, Sign},
        identity::{Identity, SharedIdentityResolver},
        runtime_components::GetIdentityResolver,
    },
};
use hex::encode as hex;
use ring::{
    digest::{Context, SHA256, digest},
    hmac,
};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use crate::clock::{Clock, UnixMillis};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// `20261123T101530Z`, of which the first eight are the day.
const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Signs with credentials that stay the same.
#[derive(Debug)]
pub(crate) struct SigV4 {
    region: Region,
    credentials: Credentials,
    /// The day that was signed for last, and its key.
    key: Mutex<Option<(String, hmac::Key)>>,
}

impl SigV4 {
    /// By the name of the SDK's own, whose place it takes.
    pub(crate) const ID: AuthSchemeId = AuthSchemeId::new("sigv4");

    pub(crate) fn new(region: Region, credentials: Credentials) -> Self {
        Self { region, credentials, key: Mutex::default() }
    }

    /// Adds the headers that sign a request, whose body must be in memory and whose URL has no query.
    fn sign(&self, request: &mut HttpRequest, now: UnixMillis) -> Result<(), BoxError> {
        let date = OffsetDateTime::from_unix_timestamp(now.as_secs())?.format(DATE)?;
        let day = &date[..8];
        let token = self.credentials.session_token();

        let (host, path) = host_and_path(request.uri()).ok_or("the endpoint is no URL")?;
        let headers = [
            ("content-type", request.headers().get("content-type")),
            ("host", Some(host)),
            ("x-amz-date", Some(&date)),
            ("x-amz-security-token", token),
        ];
        let signed = || headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let body = request.body().bytes().ok_or("the body is not in memory")?;

        let mut canonical = Text(Context::new(&SHA256));
        canonical.add([request.method(), "\n"]);
        canonical.add_encoded(path);
        canonical.add(["\n\n"]);
        let mut names = String::with_capacity(64);
        for (name, value) in signed() {
            canonical.add([name, ":", value, "\n"]);
            names.extend([if names.is_empty() { "" } else { ";" }, name]);
        }
        canonical.add(["\n", &names, "\n", &hex(digest(&SHA256, body))]);

        let scope = [day, "/", self.region.as_ref(), "/execute-api/aws4_request"].concat();
        let hash = hex(canonical.0.finish());
        let signature = self.signature(day, &[ALGORITHM, "\n", &date, "\n", &scope, "\n", &hash]);
        let id = self.credentials.access_key_id();
        let authorization = [
            ALGORITHM,
            " Credential=",
            id,
            "/",
            &scope,
            ", SignedHeaders=",
            &names,
            ", Signature=",
            &signature,
        ];
        let authorization = authorization.concat();
        let headers = request.headers_mut();
        headers.try_insert("authorization", authorization)?;
        if let Some(token) = token {
            headers.try_insert("x-amz-security-token", token.to_owned())?;
        }
        headers.try_insert("x-amz-date", date)?;
        Ok(())
    }

    fn signature(&self, day: &str, to_sign: &[&str]) -> String {
        let mut kept = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let (_day, key) = match kept.take() {
            Some((of, key)) if of == day => kept.insert((of, key)),
            _ => kept.insert((day.to_owned(), self.key(day))),
        };
        let mut signature = hmac::Context::with_key(key);
        for part in to_sign {
            signature.update(part.as_bytes());
        }
        hex(signature.sign())
    }

    fn key(&self, day: &str) -> hmac::Key {
        let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let secret = format!("AWS4{}", self.credentials.secret_access_key());
        [day, self.region.as_ref(), "execute-api", "aws4_request"]
            .into_iter()
            .fold(key(secret.as_bytes()), |by, part| key(hmac::sign(&by, part.as_bytes()).as_ref()))
    }
}

/// The host of a URL, as it is sent in the header `Host`: without the port that the scheme stands for. And its path.
pub fn host_and_path(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    Some((host.strip_suffix(default_port).unwrap_or(host), path))
}

/// A text of which only the hash is needed.
struct Text(Context);

impl Text {
    fn add<const N: usize>(&mut self, parts: [&str; N]) {
        for part in parts {
            self.0.update(part.as_bytes());
        }
    }

    /// Adds a path, which is percent-encoded once more than it is sent.
    fn add_encoded(&mut self, path: &str) {
        let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        for byte in path.bytes() {
            if is_kept(byte) {
                self.0.update(&[byte]);
            } else {
                let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value)];
                self.0.update(&[b'%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
}

impl AuthScheme for SigV4 {
    fn scheme_id(&self) -> AuthSchemeId {
        Self::ID
    }

    fn identity_resolver(
        &self,
        resolvers: &dyn GetIdentityResolver,
    ) -> Option<SharedIdentityResolver> {
        resolvers.identity_resolver(Self::ID)
    }

    fn signer(&self) -> &dyn Sign {
        self
    }
}

impl Sign for SigV4 {
    fn sign_http_request(
        &self,
        request: &mut HttpRequest,
        _identity: &Identity,
        _endpoint: AuthSchemeEndpointConfig<'_>,
        _components: &RuntimeComponents,
        _config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.sign(request, Clock::system().now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningSettings, sign},
        sign::v4::SigningParams,
    };
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    /// The headers that AWS's own signer adds to `request`, sorted.
    fn expected(signer: &SigV4, request: &HttpRequest, seconds: u64) -> Vec<(String, String)> {
        let identity = signer.credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(signer.region.as_ref())
            .name("execute-api")
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let body = SignableBody::Bytes(request.body().bytes().unwrap());
        let headers = request.headers().iter();
        let signable = SignableRequest::new(request.method(), request.uri(), headers, body);
        let (added, _signature) = sign(signable.unwrap(), &params.into()).unwrap().into_parts();
        let added = added.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut added: Vec<_> = added.collect();
        added.sort();
        added
    }

    proptest! {
        #[test]
        fn it_signs_as_awss_own_signer_does(
            host in "(http|https)://[a-z.]{1,20}(:80|:443|:3000)?",
            token in option::of("[!-~]{1,900}"),
            secret in "[!-~]{1,40}",
            requests in vec(
                (
                    0_u64..4_102_444_800,
                    "(/[a-z]{1,5})?/@connections/[A-Za-z0-9~_-]([A-Za-z0-9=@+$:.~_-]|%3D|%C3%A9){0,20}",
                    option::of(Just("application/octet-stream")),
                    vec(any::<u8>(), 0..300),
                ),
                1..4,
            ),
        ) {
            let credentials = Credentials::new("AKIDEXAMPLE", secret, token, None, "test");
            let signer = SigV4::new(Region::from_static("eu-west-1"), credentials);
            for (seconds, path, content_type, body) in requests {
                let mut request = HttpRequest::new(body.into());
                request.set_method(if content_type.is_some() { "POST" } else { "DELETE" }).unwrap();
                request.set_uri(format!("{host}{path}")).unwrap();
                if let Some(content_type) = content_type {
                    request.headers_mut().insert("content-type", content_type);
                }
                let expected = expected(&signer, &request, seconds);
                let now = UnixMillis(i64::try_from(seconds).unwrap() * 1000 + 999);
                signer.sign(&mut request, now).unwrap();
                let added = request.headers().iter().filter(|(name, _)| *name != "content-type");
                let added = added.map(|(name, value)| (name.to_owned(), value.to_owned()));
                let mut added: Vec<_> = added.collect();
                added.sort();
                prop_assert_eq!(added, expected);
            }
        }
    }
}
