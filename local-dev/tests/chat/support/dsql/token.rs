//! Checks the token in the password's place: a request of `dsql:DbConnect`, signed in its URL (Signature Version 4). Not by
//! the library that makes it.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use url::Url;

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
    let mut query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let signature = query.remove("X-Amz-Signature").ok_or("it is not signed")?;
    let due = if role == "admin" { "DbConnectAdmin" } else { "DbConnect" };
    let date = query.get("X-Amz-Date").cloned().unwrap_or_default();
    let day = date.get(..8).ok_or("it has no date")?;
    let scope = format!("{day}/{region}/dsql/aws4_request");
    for (name, value) in [
        ("Action", due),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &format!("AKIDEXAMPLE/{scope}")),
        ("X-Amz-Expires", "900"),
        ("X-Amz-SignedHeaders", "host"),
    ] {
        if query.get(name).map(String::as_str) != Some(value) {
            return Err(format!("its {name} is wrong"));
        }
    }
    let pairs: Vec<String> =
        query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let nothing = hex::encode(Sha256::digest(b""));
    let request = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{nothing}", pairs.join("&"));
    let request = hex::encode(Sha256::digest(request.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{request}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, "dsql", "aws4_request"] {
        key = authenticate(&key, part);
    }
    if hex::encode(authenticate(&key, &text)) == signature {
        Ok(())
    } else {
        Err("its signature is wrong".to_owned())
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

fn authenticate(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
