//! TLS for connections to servers: trusted authorities, client certificate, and error messages.

mod certificate;
mod failure;
mod identity;
mod verifier;

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

pub use certificate::Certificate;
pub use failure::{causes, explain, find, is_cut, may_pass};
pub use identity::{Identity, certificates};

use super::transport_error::TransportError;
use verifier::ServerVerifier;

/// The TLS configuration for a server. The system's authorities are only loaded with `uses_tls`.
///
/// # Errors
/// When a file is unusable. The message names it.
pub fn client_config(
    uses_tls: bool,
    ca_file: Option<&Path>,
    identity: Option<&Identity>,
) -> Result<ClientConfig, TransportError> {
    let mut roots = RootCertStore::empty();
    if uses_tls {
        // Unreadable system certificates are skipped. If none can be read, the connection fails with an unknown
        // issuer.
        let native = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(native.certs);
    }
    let mut named: Vec<CertificateDer<'static>> = Vec::new();
    if let Some(path) = ca_file {
        let problem = |problem: String| TransportError::CaFile { path: path.to_owned(), problem };
        named = certificates(path).map_err(problem)?;
        for certificate in &named {
            roots.add(certificate.clone()).map_err(|error| problem(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = ServerVerifier::new(roots, named, provider.signature_verification_algorithms);
    let identity = identity.map(|identity| identity.read(&provider)).transpose()?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Setup { problem: error.to_string() })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(match identity {
        Some(key) => builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    })
}
