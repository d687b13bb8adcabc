//! What AWS is called with: a region, credentials, a client for HTTP.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_credential_types::Credentials;
use aws_sdk_apigatewaymanagement::config::{Region, SharedHttpClient};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

/// How long an HTTP connection is kept for the next call.
const HTTP_IDLE_TIME_MAX: Duration = Duration::from_secs(20);

/// The authorities that sign for AWS's endpoints. To read the machine's own list of some 150 would take 2 ms of a whole
/// processor at the first call, of which a Lambda of 512 MB has a third. Source: Amazon Trust Services Repository.
const AMAZON_ROOTS: &str = include_str!("amazon_roots.pem");

/// Whose certificates are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that Amazon's own authorities have signed.
    Amazon,
    /// Those that the machine trusts, or the file that `SSL_CERT_FILE` names.
    Machine,
}

impl Trust {
    fn store(self) -> TrustStore {
        match self {
            Self::Amazon => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
            Self::Machine => TrustStore::default(),
        }
    }
}

/// One function's access to AWS.
#[derive(Clone)]
pub struct Access {
    /// Where to.
    pub region: Region,
    /// As whom.
    pub credentials: Credentials,
    trust: Trust,
    /// What keeps the connections, made when something is called: a start has no need of it.
    http: Arc<OnceLock<SharedHttpClient>>,
}

impl Access {
    /// With the `credentials` that a Lambda finds in its environment and that stay the same for its life. Without them
    /// calls are signed with a made-up key, for local-dev.
    pub fn new(region: Option<String>, credentials: Option<Credentials>, trust: Trust) -> Self {
        let made_up = || Credentials::new("local", "local", None, None, "made up");
        let credentials = credentials.unwrap_or_else(made_up);
        let region = Region::new(region.unwrap_or_else(|| "local".to_owned()));
        Self { region, credentials, trust, http: Arc::default() }
    }

    /// The same by way of `http`, wherever that leads.
    #[must_use]
    pub fn by_way_of(self, http: SharedHttpClient) -> Self {
        Self { http: Arc::new(OnceLock::from(http)), ..self }
    }

    /// What keeps the connections.
    pub fn http(&self) -> SharedHttpClient {
        let connecting = || {
            let tls = TlsContext::builder().with_trust_store(self.trust.store()).build();
            aws_smithy_http_client::Builder::new()
                .pool_idle_timeout(HTTP_IDLE_TIME_MAX)
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .tls_context(tls.expect("nothing that is set can be wrong"))
                .build_https()
        };
        self.http.get_or_init(connecting).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ring::digest;
    use rustls_pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    /// As Amazon Trust Services publishes them.
    const FINGERPRINTS: [&str; 5] = [
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
        "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
    ];

    #[test]
    fn amazons_roots_are_those_that_it_publishes() {
        let roots = CertificateDer::pem_slice_iter(AMAZON_ROOTS.as_bytes());
        let fingerprint = |root: Result<CertificateDer<'_>, _>| {
            let hash = digest::digest(&digest::SHA256, &root.unwrap());
            hash.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
        };
        let expected = FINGERPRINTS.map(str::to_owned);
        assert_eq!(roots.map(fingerprint).collect::<BTreeSet<_>>(), expected.into());
    }
}
