//! Clients' certificates beyond what rustls does itself: any certificate at all, and certificates with a given name.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Accepts any certificate whose key the client really has: Go's `RequestClientCert` and `RequireAnyClientCert`.
#[derive(Debug)]
pub(super) struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
    required: bool,
}

impl AnyCertificate {
    pub(super) fn new(provider: &CryptoProvider, required: bool) -> Self {
        Self { algorithms: provider.signature_verification_algorithms, required }
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Of the certificates that another verifier accepts, those with one of some names: `client_allowed_sans`.
#[derive(Debug)]
pub(super) struct NamedCertificate {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: Vec<String>,
}

impl NamedCertificate {
    pub(super) fn new(inner: Arc<dyn ClientCertVerifier>, allowed: Vec<String>) -> Self {
        Self { inner, allowed }
    }
}

impl ClientCertVerifier for NamedCertificate {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(certificate, chain, now)?;
        let names = subject_alternative_names(certificate).unwrap_or_default();
        if names.iter().any(|name| self.allowed.contains(name)) {
            Ok(verified)
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The e-mail addresses, DNS names, URIs and IP addresses in a certificate's subject alternative names. `None` where
/// there are none or the certificate is not one. It is only asked about certificates whose signature was verified.
fn subject_alternative_names(certificate: &[u8]) -> Option<Vec<String>> {
    /// The object identifier 2.5.29.17, encoded.
    const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
    const SEQUENCE: u8 = 0x30;
    const EXTENSIONS: u8 = 0xa3;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    let extensions = loop {
        let (tag, contents, rest) = element(fields)?;
        if tag == EXTENSIONS {
            break contents;
        }
        fields = rest;
    };
    let (_, mut extensions, _) = element(extensions)?;
    while let Some((SEQUENCE, extension, rest)) = element(extensions) {
        extensions = rest;
        let (_, identifier, mut parts) = element(extension)?;
        if identifier != SUBJECT_ALT_NAME {
            continue;
        }
        // An optional boolean says whether the extension is critical; the names are the last part.
        let mut value = None;
        while let Some((_, contents, rest)) = element(parts) {
            value = Some(contents);
            parts = rest;
        }
        let (_, mut names, _) = element(value?)?;
        let mut found = Vec::new();
        while let Some((tag, name, rest)) = element(names) {
            names = rest;
            found.extend(general_name(tag, name));
        }
        return Some(found);
    }
    None
}

fn general_name(tag: u8, name: &[u8]) -> Option<String> {
    const EMAIL: u8 = 0x81;
    const DNS: u8 = 0x82;
    const URI: u8 = 0x86;
    const ADDRESS: u8 = 0x87;
    match tag {
        EMAIL | DNS | URI => std::str::from_utf8(name).ok().map(str::to_owned),
        ADDRESS => {
            let address = <[u8; 4]>::try_from(name)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(name).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// The first element in DER: its tag, its contents, and what comes after it.
pub(super) fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    let (length, bytes) = if first < 0x80 {
        (usize::from(first), bytes)
    } else {
        let (digits, bytes) = bytes.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), bytes)
    };
    let (contents, rest) = bytes.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn every_kind_of_name_is_found() {
        let mut params = CertificateParams::new(vec!["prometheus.example".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::Rfc822Name("ops@example.com".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("spiffe://x/prometheus".try_into().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress("10.0.0.7".parse().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress("2001:db8::1".parse().unwrap()));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(
            subject_alternative_names(certificate.der()).unwrap(),
            ["prometheus.example", "ops@example.com", "spiffe://x/prometheus", "10.0.0.7", "2001:db8::1"]
        );
    }

    #[test]
    fn a_certificate_without_names_or_a_torn_one_has_none() {
        let certificate =
            CertificateParams::new(Vec::new()).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(subject_alternative_names(certificate.der()).unwrap_or_default(), Vec::<String>::new());
        let der = certificate.der().to_vec();
        for length in 0..der.len() {
            assert_eq!(subject_alternative_names(&der[..length]).unwrap_or_default(), Vec::<String>::new());
        }
    }
}
