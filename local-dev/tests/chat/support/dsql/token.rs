//! Checks the token in the password's place: a request of `dsql:DbConnect`, signed in its URL (Signature Version 4). Not by
//! the library that makes it.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use url::Url;

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A token for `role` at `host`.
pub fn make(host: &str, role: &str, region: &str, secret: &str) -> String {
    let day = "20261123";
    let action = if role == "admin" { "DbConnectAdmin" } else { "DbConnect" };
    let query = [
        ("Action", action),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &format!("AKIDEXAMPLE/{day}/{region}/dsql/aws4_request")),
        ("X-Amz-Date", "20261123T101500Z"),
        ("X-Amz-Expires", "900"),
        ("X-Amz-SignedHeaders", "host"),
    ];
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let signature = sign(&query, host, region, secret);
    format!("{host}/?{}&X-Amz-Signature={signature}", encoded(&query))
}

/// Checks a token for `role` at `host`.
///
/// # Errors
/// What is wrong with it; not the token.
pub fn check(
    token: &str,
    host: &str,
    role: &str,
    region: &str,
    secret: &str,
) -> Result<(), String> {
    let url = Url::parse(&format!("https://{token}")).map_err(|error| error.to_string())?;
    if url.host_str() != Some(host) {
        return Err("it is for another host".to_owned());
    }
    let mut query: Query = url.query_pairs().into_owned().collect();
    let signature = query.remove("X-Amz-Signature").ok_or("it is not signed")?;
    let action = if role == "admin" { "DbConnectAdmin" } else { "DbConnect" };
    let day = query.get("X-Amz-Date").and_then(|date| date.get(..8)).ok_or("it has no date")?;
    for (name, value) in [
        ("Action", action),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &format!("AKIDEXAMPLE/{day}/{region}/dsql/aws4_request")),
        ("X-Amz-Expires", "900"),
        ("X-Amz-SignedHeaders", "host"),
    ] {
        if query.get(name).map(String::as_str) != Some(value) {
            return Err(format!("its {name} is wrong"));
        }
    }
    if sign(&query, host, region, secret) == signature {
        Ok(())
    } else {
        Err("its signature is wrong".to_owned())
    }
}

/// What is in the URL, in order.
type Query = BTreeMap<String, String>;

fn sign(query: &Query, host: &str, region: &str, secret: &str) -> String {
    let date = &query["X-Amz-Date"];
    let day = &date[..8];
    let nothing = hex::encode(Sha256::digest(b""));
    let request = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{nothing}", encoded(query));
    let request = hex::encode(Sha256::digest(request.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{day}/{region}/dsql/aws4_request\n{request}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, "dsql", "aws4_request"] {
        key = authenticate(&key, part);
    }
    hex::encode(authenticate(&key, &text))
}

fn encoded(query: &Query) -> String {
    let pairs: Vec<String> =
        query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

fn authenticate(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
