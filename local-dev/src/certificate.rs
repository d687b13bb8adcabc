//! A certificate for this run: what functions take from their events is `https://…`, as it is on AWS, so the gateway speaks
//! TLS, too, and the functions are told to trust it.

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::NamedTempFile;
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::PrivateKeyDer,
    version::{TLS12, TLS13},
};

/// Where Linux distributions keep the certificates that the system trusts.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A certificate that nobody else knows, with its key.
pub struct Certificate {
    /// How a server shows it.
    pub server: Arc<ServerConfig>,
    /// The certificate and all that the system trusts, in PEM. The file is deleted in the end.
    bundle: NamedTempFile,
}

impl Certificate {
    /// A certificate for `hosts` and for the names of this machine.
    ///
    /// # Errors
    /// When it cannot be made, or not be kept in a file for the functions.
    pub fn generate(hosts: &[&str]) -> Result<Self, Box<dyn Error>> {
        let names = [hosts, &["localhost", "127.0.0.1", "::1"]].concat();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
        let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)?;
        Ok(Self { server: Arc::new(server), bundle: write_bundle(&cert.pem())? })
    }

    /// The environment variables by which AWS's SDKs, and what they are built on, find whom to trust.
    pub fn variables(&self) -> [(&'static str, &Path); 4] {
        ["SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"]
            .map(|name| (name, self.bundle.path()))
    }
}

fn write_bundle(own: &str) -> io::Result<NamedTempFile> {
    let mut bundle = NamedTempFile::with_prefix("local-dev-certificates-")?;
    bundle.write_all(own.as_bytes())?;
    if let Some(system) = system_bundle() {
        bundle.write_all(&fs::read(system)?)?;
    }
    bundle.flush()?;
    Ok(bundle)
}

fn system_bundle() -> Option<PathBuf> {
    // A convention of OpenSSL, not a setting of ours.
    let named = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = SYSTEM_BUNDLES.iter().map(PathBuf::from);
    named.into_iter().chain(usual).find(|bundle| bundle.is_file())
}
