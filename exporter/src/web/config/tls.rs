//! From the TLS section and the files it names to what rustls needs for a handshake.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::regular_file::{self, Links};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CipherSuite, ProtocolVersion, RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::client_certificates::{AnyCertificate, NamedCertificate};
use super::names::{self, Version};
use super::sections::{ClientAuth, Pem, TlsSection};
use super::validity;

/// No certificate or key is larger.
const MAX_BYTES: u64 = 1 << 20;

/// TLS cannot be set up. Says which file is at fault and never shows what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{what}: cannot read {}: {source}", path.display())]
    Read {
        /// The key that names it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is not what it should be.
    #[error("{what}: {place}: {problem}")]
    Malformed {
        /// The key that names it.
        what: &'static str,
        /// The file, or that the text stands in the configuration.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// The parts do not fit together.
    #[error("tls_server_config: {0}")]
    Unusable(String),
}

/// The contents of the files that a section names, each read once.
#[derive(PartialEq, Eq)]
pub(super) struct Material {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Material {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) fn read(section: &TlsSection) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: bytes("cert_file", &section.certificate)?,
            key: bytes("key_file", &section.key)?,
            client_ca: section.client_ca.as_ref().map(|pem| bytes("client_ca_file", pem)).transpose()?,
        })
    }

    /// What rustls needs.
    ///
    /// # Errors
    /// When a file is no PEM, when the key does not belong to the certificate, or when nothing is left to offer.
    pub(super) fn server_config(&self, section: &TlsSection, http2: bool) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(provider(section)?);
        let chain = certificates("cert_file", &section.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| malformed("key_file", &section.key, "no private key in PEM (unencrypted) found"))?;
        let unusable = |error: rustls::Error| TlsError::Unusable(error.to_string());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions(section))
            .map_err(unusable)?;
        let builder = match self.client_verifier(section, &provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            let problem = if matches!(error, rustls::Error::InconsistentKeys(_)) {
                "the key does not belong to the certificate".to_owned()
            } else {
                error.to_string()
            };
            malformed("key_file", &section.key, &problem)
        })?;
        config.ignore_client_order = section.prefer_server_cipher_suites;
        config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { Vec::new() };
        Ok(config)
    }

    /// Checks that clients will take the certificate at this time.
    ///
    /// # Errors
    /// When it has expired, or is not valid yet.
    pub(super) fn check_validity(&self, section: &TlsSection, now: DateTime<Utc>) -> Result<(), TlsError> {
        let chain = certificates("cert_file", &section.certificate, &self.certificate)?;
        match chain.first().and_then(|leaf| validity::problem(leaf, now)) {
            Some(problem) => Err(malformed("cert_file", &section.certificate, &problem)),
            None => Ok(()),
        }
    }

    fn client_verifier(
        &self,
        section: &TlsSection,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let verifier: Arc<dyn ClientCertVerifier> = match section.client_auth {
            ClientAuth::None => return Ok(None),
            ClientAuth::Request => Arc::new(AnyCertificate::new(provider, false)),
            ClientAuth::RequireAny => Arc::new(AnyCertificate::new(provider, true)),
            ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {
                let (Some(pem), Some(contents)) = (&section.client_ca, &self.client_ca) else {
                    return Err(TlsError::Unusable("client_ca_file is missing".to_owned()));
                };
                let mut roots = RootCertStore::empty();
                for certificate in certificates("client_ca_file", pem, contents)? {
                    roots
                        .add(certificate)
                        .map_err(|error| malformed("client_ca_file", pem, &error.to_string()))?;
                }
                let builder =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
                let builder = if section.client_auth == ClientAuth::VerifyIfGiven {
                    builder.allow_unauthenticated()
                } else {
                    builder
                };
                builder.build().map_err(|error| malformed("client_ca_file", pem, &error.to_string()))?
            }
        };
        Ok(Some(if section.allowed_sans.is_empty() {
            verifier
        } else {
            Arc::new(NamedCertificate::new(verifier, section.allowed_sans.clone()))
        }))
    }
}

/// The suites and groups to offer.
fn provider(section: &TlsSection) -> Result<CryptoProvider, TlsError> {
    let mut provider = ring::default_provider();
    if !section.cipher_suites.is_empty() {
        let mut chosen: Vec<_> = ring::ALL_CIPHER_SUITES
            .iter()
            .copied()
            .filter(|suite| suite.version().version == ProtocolVersion::TLSv1_3)
            .collect();
        let of = |wanted: &CipherSuite| {
            ring::ALL_CIPHER_SUITES.iter().copied().find(|suite| suite.suite() == *wanted)
        };
        chosen.extend(section.cipher_suites.iter().filter_map(of));
        provider.cipher_suites = chosen;
    }
    if !section.curves.is_empty() {
        provider.kx_groups = section.curves.iter().filter_map(|curve| names::group(*curve)).collect();
        if provider.kx_groups.is_empty() {
            return Err(TlsError::Unusable("curve_preferences leaves no curve".to_owned()));
        }
    }
    Ok(provider)
}

fn versions(section: &TlsSection) -> Vec<&'static SupportedProtocolVersion> {
    [(Version::Tls13, &version::TLS13), (Version::Tls12, &version::TLS12)]
        .into_iter()
        .filter(|(version, _)| (section.min_version..=section.max_version).contains(version))
        .map(|(_, supported)| supported)
        .collect()
}

fn certificates(
    what: &'static str,
    pem: &Pem,
    contents: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(contents)
        .collect::<Result<_, _>>()
        .map_err(|error| malformed(what, pem, &error.to_string()))?;
    if chain.is_empty() { Err(malformed(what, pem, "no certificate in PEM found")) } else { Ok(chain) }
}

fn bytes(what: &'static str, pem: &Pem) -> Result<Vec<u8>, TlsError> {
    match pem {
        Pem::Inline(text) => Ok(text.clone().into_bytes()),
        Pem::File(path) => regular_file::read_limited(path, Links::Follow, MAX_BYTES)
            .map_err(|source| TlsError::Read { what, path: path.clone(), source }),
    }
}

fn malformed(what: &'static str, pem: &Pem, problem: &str) -> TlsError {
    let place = match pem {
        Pem::File(path) => path.display().to_string(),
        Pem::Inline(_) => "text in the configuration".to_owned(),
    };
    TlsError::Malformed { what, place, problem: qdrant_backup_shared::text::shortened(problem, 200) }
}
