//! Clients that speak TLS and trust whom the machine trusts, or the file that `SSL_CERT_FILE` names.

use std::sync::{Arc, OnceLock};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

pub type HttpsClient = Client<HttpsConnector<HttpConnector>, reqwest::Body>;

/// Whom to trust.
pub fn config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    };
    Arc::clone(CONFIG.get_or_init(make))
}

pub fn client() -> HttpsClient {
    let connector = HttpsConnectorBuilder::new().with_tls_config(config().as_ref().clone());
    let connector = connector.https_only().enable_http1().build();
    Client::builder(TokioExecutor::new()).build(connector)
}
