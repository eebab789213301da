//! The client certificate and its key.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::regular_file::{self, Links};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::super::transport_error::TransportError;
use crate::host::user::refused;

/// Size limit for certificate files.
const MAX_BYTES: u64 = 4 << 20;

/// The paths of the client's certificate and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and any intermediate certificates, in PEM.
    pub cert_file: PathBuf,
    /// Its private key, in PEM, not encrypted.
    pub key_file: PathBuf,
}

impl Identity {
    /// Reads both files.
    ///
    /// # Errors
    /// The message contains the file's path, never its contents.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library has many errors; only these need a separate message"
    )]
    pub fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TransportError> {
        let Self { cert_file, key_file } = self;
        let chain = certificates(cert_file).map_err(|problem| at_fault("certificate", cert_file, problem))?;
        let key = private_key(key_file).map_err(|problem| at_fault("key", key_file, problem))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => at_fault(
                "key",
                key_file,
                format!("does not belong to the certificate in {}", cert_file.display()),
            ),
            Error::InvalidCertificate(error) => {
                at_fault("certificate", cert_file, format!("not a usable certificate: {error}"))
            }
            other => at_fault("key", key_file, format!("not a usable key: {other}")),
        })
    }
}

fn at_fault(what: &'static str, path: &Path, problem: impl Display) -> TransportError {
    TransportError::Identity { what, path: path.to_owned(), problem: problem.to_string() }
}

/// All certificates in a PEM file.
///
/// # Errors
/// The message explains why there are none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("not PEM: {error}"))?;
    if certificates.is_empty() { Err("contains no PEM certificate".to_owned()) } else { Ok(certificates) }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library has many errors; only these need a separate message"
)]
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(path)?;
    // The two formats: a separate label, and a header in the old ones.
    if text.windows(9).any(|part| part == b"ENCRYPTED") {
        let path = path.display();
        return Err(format!(
            "the key is encrypted, and an unattended run cannot give a passphrase; remove it with `openssl pkey -in {path} -out NEW`"
        ));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => "contains no PEM private key".to_owned(),
        other => format!("not PEM: {other}"),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    regular_file::read_limited(path, Links::Follow, MAX_BYTES).map_err(|error| refused(path, &error))
}
