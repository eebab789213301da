//! From the TLS section and the files it names to what rustls needs for a handshake.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::regular_file::{self, Links};
use qdrant_backup_shared::text::shortened;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, Error, RootCertStore, ServerConfig, version};

use super::file::{Pem, TlsSection};
use crate::stop::Stop;

/// No web configuration, certificate or key is that long; a larger file is another file.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The contents of the files that a section names, each read once.
#[derive(PartialEq, Eq)]
pub(super) struct Material {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Vec<u8>,
}

/// What is wrong with a part of `section`, in the web configuration `file`.
struct Blame<'a> {
    file: &'a Path,
    key: &'static str,
    pem: &'a Pem,
}

impl Material {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) fn read(file: &Path, section: &TlsSection) -> Result<Self, Stop> {
        let bytes = |key, pem: &Pem| match pem {
            Pem::Inline(text) => Ok(text.clone().into_bytes()),
            Pem::File(path) => regular_file::read_limited(path, Links::Follow, MAX_BYTES).map_err(|error| {
                Stop::Configuration(format!(
                    "{}: {key}: cannot read {}: {error}",
                    file.display(),
                    path.display()
                ))
            }),
        };
        Ok(Self {
            certificate: bytes("cert_file", &section.certificate)?,
            key: bytes("key_file", &section.key)?,
            client_ca: match &section.client_ca {
                Some(pem) => bytes("client_ca_file", pem)?,
                None => Vec::new(),
            },
        })
    }

    /// What rustls needs. At `now`, clients have to take the certificate, if that matters.
    ///
    /// # Errors
    /// When a file is no PEM, when the key does not belong to the certificate, or when that is out of its time.
    pub(super) fn server_config(
        &self,
        file: &Path,
        section: &TlsSection,
        now: Option<DateTime<Utc>>,
    ) -> Result<ServerConfig, Stop> {
        let of_certificate = Blame { file, key: "cert_file", pem: &section.certificate };
        let of_key = Blame { file, key: "key_file", pem: &section.key };
        let chain = of_certificate.certificates(&self.certificate)?;
        if let Some(problem) = now.and_then(|now| out_of_time(chain.first()?, now)) {
            return Err(of_certificate.error(&problem));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| of_key.error("no private key in PEM (unencrypted) found"))?;
        let versions = [&version::TLS12, &version::TLS13];
        let versions: Vec<_> = versions
            .into_iter()
            .zip(section.versions)
            .filter(|(_, is_on)| *is_on)
            .map(|(version, _)| version)
            .collect();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&versions)
            .map_err(|error| of_certificate.error(&error.to_string()))?;
        let builder = match &section.client_ca {
            Some(pem) => builder.with_client_cert_verifier(
                self.client_verifier(&Blame { file, key: "client_ca_file", pem }, section.client_must)?,
            ),
            None => builder.with_no_client_auth(),
        };
        builder.with_single_cert(chain, key).map_err(|error| {
            let does_not_fit = matches!(error, Error::InconsistentKeys(_));
            let text = error.to_string();
            of_key.error(if does_not_fit { "the key does not belong to the certificate" } else { &text })
        })
    }

    fn client_verifier(&self, blame: &Blame<'_>, must: bool) -> Result<Arc<dyn ClientCertVerifier>, Stop> {
        let mut roots = RootCertStore::empty();
        for certificate in blame.certificates(&self.client_ca)? {
            roots.add(certificate).map_err(|error| blame.error(&error.to_string()))?;
        }
        let provider = Arc::new(ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if must { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|error| blame.error(&error.to_string()))
    }
}

impl Blame<'_> {
    fn certificates(&self, contents: &[u8]) -> Result<Vec<CertificateDer<'static>>, Stop> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(contents)
            .collect::<Result<_, _>>()
            .map_err(|error| self.error(&error.to_string()))?;
        if chain.is_empty() { Err(self.error("no certificate in PEM found")) } else { Ok(chain) }
    }

    fn error(&self, problem: &str) -> Stop {
        let place = match self.pem {
            Pem::File(path) => path.display().to_string(),
            Pem::Inline(_) => "text in the configuration".to_owned(),
        };
        let problem = shortened(problem, 200);
        Stop::Configuration(format!("{}: {}: {place}: {problem}", self.file.display(), self.key))
    }
}

/// What keeps clients from taking the certificate at this time. rustls would show it all the same.
fn out_of_time(certificate: &CertificateDer<'_>, now: DateTime<Utc>) -> Option<String> {
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.timestamp()).ok()?));
    let (roots, algorithms) =
        (RootCertStore::empty(), ring::default_provider().signature_verification_algorithms);
    let certificate = ParsedCertificate::try_from(certificate).ok()?;
    // No authority signed it, as far as this check knows, but the time is looked at first.
    let error =
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], at, algorithms.all).err()?;
    let shown = |time: UnixTime| DateTime::from_timestamp(i64::try_from(time.as_secs()).ok()?, 0);
    if let Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) = error {
        Some(format!("the certificate expired on {}", shown(not_after)?))
    } else if let Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) = error {
        Some(format!("the certificate is not valid before {}", shown(not_before)?))
    } else {
        None
    }
}
