//! Converts the TLS section and its files to a rustls configuration. Errors name the wrong key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use qdrant_backup_shared::regular_file::{self, Links};
use qdrant_backup_shared::text::shortened;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, RootCertStore, ServerConfig, version};

use super::file::TlsSection;

/// Maximum size of a web configuration, certificate or key. A larger file is not one of these.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The files that a section names, each read once.
#[derive(PartialEq, Eq)]
pub(super) struct Material {
    pub(super) certificate: PemFile,
    pub(super) key: PemFile,
    pub(super) client_ca: Option<PemFile>,
}

/// A file in PEM, and the key that names it.
#[derive(PartialEq, Eq)]
pub(super) struct PemFile {
    pub(super) key: &'static str,
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl Material {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) fn read(section: &TlsSection) -> Result<Self, String> {
        let client_ca = section.client_ca_file.as_ref();
        Ok(Self {
            certificate: PemFile::read("cert_file", &section.cert_file)?,
            key: PemFile::read("key_file", &section.key_file)?,
            client_ca: client_ca.map(|path| PemFile::read("client_ca_file", path)).transpose()?,
        })
    }

    /// The rustls configuration.
    ///
    /// # Errors
    /// When a file is not PEM, or when the key does not belong to the certificate.
    pub(super) fn server_config(&self, section: &TlsSection) -> Result<ServerConfig, String> {
        let Self { certificate, key, client_ca } = self;
        let chain = certificate.certificates()?;
        let private_key = PrivateKeyDer::from_pem_slice(&key.bytes)
            .map_err(|_| key.error("no private key in PEM (unencrypted) found"))?;
        let versions = [&version::TLS12, &version::TLS13].into_iter().zip(section.versions);
        let versions: Vec<_> = versions.filter_map(|(version, is_on)| is_on.then_some(version)).collect();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&versions)
            .map_err(|error| certificate.error(&error.to_string()))?;
        let builder = match client_ca {
            Some(file) => builder.with_client_cert_verifier(file.client_verifier(section.client_must)?),
            None => builder.with_no_client_auth(),
        };
        builder.with_single_cert(chain, private_key).map_err(|error| {
            let does_not_fit = matches!(error, Error::InconsistentKeys(_));
            let text = error.to_string();
            key.error(if does_not_fit { "the key does not belong to the certificate" } else { &text })
        })
    }
}

impl PemFile {
    fn read(key: &'static str, path: &Path) -> Result<Self, String> {
        let bytes = regular_file::read_limited(path, Links::Follow, MAX_BYTES)
            .map_err(|error| format!("{key}: cannot read {}: {error}", path.display()))?;
        Ok(Self { key, path: path.to_owned(), bytes })
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| self.error(&error.to_string()))?;
        if chain.is_empty() { Err(self.error("no certificate in PEM found")) } else { Ok(chain) }
    }

    /// Accepts clients with a certificate from one of these authorities, and others only if a certificate is not a
    /// `must`.
    fn client_verifier(&self, must: bool) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| self.error(&error.to_string()))?;
        }
        let provider = Arc::new(ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if must { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|error| self.error(&error.to_string()))
    }

    fn error(&self, problem: &str) -> String {
        format!("{}: {}: {}", self.key, self.path.display(), shortened(problem, 200))
    }
}
