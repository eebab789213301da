//! Certificates made on the spot: an authority, and a server certificate it signed.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// What a TLS server needs, and the certificate its clients have to trust.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) authority_pem: String,
}

impl Tls {
    /// A fresh authority and a certificate for `127.0.0.1` and `localhost`.
    pub(crate) fn make() -> io::Result<Tls> {
        let mut authority = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().map_err(io::Error::other)?;
        let authority = CertifiedIssuer::self_signed(authority, authority_key).map_err(io::Error::other)?;

        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let server = CertificateParams::new(names).map_err(io::Error::other)?;
        let server_key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = server.signed_by(&server_key, &authority).map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(server_key.serialize_der()).map_err(io::Error::other)?;

        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(io::Error::other)?;
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), authority_pem: authority.pem() })
    }
}
