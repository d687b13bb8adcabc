//! TLS: clients that trust whom the machine trusts, or the file that `SSL_CERT_FILE` names; servers of the host `localhost`.

use std::sync::{Arc, OnceLock};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use local_dev::certificate::Certificate;
use tempfile::NamedTempFile;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ClientConfig, RootCertStore, crypto::ring},
};

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

/// What a server takes connections with, and the file with the certificate to trust.
pub fn server() -> (TlsAcceptor, NamedTempFile) {
    const END: &str = "-----END CERTIFICATE-----";
    let own = Certificate::generate(&[]).unwrap();
    let [(_, bundle), ..] = own.variables();
    // Only its own: all that the system trusts would be read for each connection.
    let bundle = std::fs::read_to_string(bundle).unwrap();
    let end = bundle.find(END).unwrap() + END.len();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bundle[..end]).unwrap();
    (TlsAcceptor::from(own.server), file)
}
