//! Certificates, generated or given: for the server, its authority and clients.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, crypto::ring, version};
use tokio_rustls::TlsAcceptor;

/// The TLS settings of a stand-in.
#[derive(Clone, Debug)]
pub struct TlsSetup {
    names: Vec<String>,
    common_name: Option<String>,
    years: (i32, i32),
    own_authority: bool,
    given: Option<(String, String)>,
    wants_client: bool,
    only_tls12: bool,
}

impl TlsSetup {
    /// A certificate for `127.0.0.1` and `localhost` from a new authority.
    pub fn of_authority() -> TlsSetup {
        TlsSetup {
            names: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
            common_name: None,
            years: (2000, 2100),
            own_authority: false,
            given: None,
            wants_client: false,
            only_tls12: false,
        }
    }

    /// A self-signed certificate that is marked as an authority, as `openssl req -x509` creates it.
    pub fn self_signed() -> TlsSetup {
        TlsSetup { own_authority: true, ..TlsSetup::of_authority() }
    }

    /// Uses this certificate and key, in PEM.
    pub fn given(certificate: &str, key: &str) -> TlsSetup {
        TlsSetup { given: Some((certificate.to_owned(), key.to_owned())), ..TlsSetup::of_authority() }
    }

    /// Adds this host.
    pub(crate) fn and_name(mut self, name: &str) -> TlsSetup {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        self
    }

    /// Replaces the hosts by these, possibly none.
    pub fn names(self, names: &[&str]) -> TlsSetup {
        TlsSetup { names: names.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }

    /// Sets the common name.
    pub fn common_name(self, name: &str) -> TlsSetup {
        TlsSetup { common_name: Some(name.to_owned()), ..self }
    }

    /// Valid from January 1 of one year to January 1 of the other.
    pub fn years(self, from: i32, until: i32) -> TlsSetup {
        TlsSetup { years: (from, until), ..self }
    }

    /// Clients must present a certificate from the stand-in's authority.
    pub fn wants_client_certificates(self) -> TlsSetup {
        TlsSetup { wants_client: true, ..self }
    }

    /// At most TLS 1.2.
    pub fn only_tls12(self) -> TlsSetup {
        TlsSetup { only_tls12: true, ..self }
    }

    fn params(&self) -> io::Result<CertificateParams> {
        let mut params = CertificateParams::new(self.names.clone()).map_err(io::Error::other)?;
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = &self.common_name {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        params.not_before = date_time_ymd(self.years.0, 1, 1);
        params.not_after = date_time_ymd(self.years.1, 1, 1);
        Ok(params)
    }
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// Certificate, as PEM.
    pub certificate: String,
    /// Private key, as PEM.
    pub key: String,
}

/// What a TLS server and its clients need.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) authority_pem: String,
    pub(crate) client: Option<ClientIdentity>,
}

/// An authority with a unique name.
fn authority(name: &str) -> io::Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)
}

impl Tls {
    pub(crate) fn make(setup: &TlsSetup) -> io::Result<Tls> {
        let (chain, key, authority_pem) = server_certificate(setup)?;
        let provider = Arc::new(ring::default_provider());
        let versions: &[_] = if setup.only_tls12 { &[&version::TLS12] } else { rustls::ALL_VERSIONS };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(io::Error::other)?;
        let (builder, client) = if setup.wants_client {
            let authority = authority("Clients of the stand-in")?;
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).map_err(io::Error::other)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.build().map_err(io::Error::other)?;
            let key = KeyPair::generate().map_err(io::Error::other)?;
            let client =
                CertificateParams::new(vec!["backup.example".to_owned()]).map_err(io::Error::other)?;
            let client = client.signed_by(&key, &authority).map_err(io::Error::other)?;
            let client = ClientIdentity { certificate: client.pem(), key: key.serialize_pem() };
            (builder.with_client_cert_verifier(verifier), Some(client))
        } else {
            (builder.with_no_client_auth(), None)
        };
        let config = builder.with_single_cert(chain, key).map_err(io::Error::other)?;
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), authority_pem, client })
    }
}

/// The server's certificate, its key, and the certificate that clients must trust.
fn server_certificate(
    setup: &TlsSetup,
) -> io::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, String)> {
    if let Some((certificate, key)) = &setup.given {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(io::Error::other)?;
        return Ok((chain.map_err(io::Error::other)?, key, certificate.clone()));
    }
    let mut params = setup.params()?;
    let server_key = KeyPair::generate().map_err(io::Error::other)?;
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).map_err(io::Error::other)?;
    if setup.own_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&server_key).map_err(io::Error::other)?;
        return Ok((vec![certificate.der().clone()], key, certificate.pem()));
    }
    let authority = authority("Authority of the stand-in")?;
    let certificate = params.signed_by(&server_key, &authority).map_err(io::Error::other)?;
    Ok((vec![certificate.der().clone()], key, authority.pem()))
}
