//! Verifies a server's certificate, and explains problems and their fixes.
//!
//! A certificate that is itself in the CA file is trusted directly, even if it is marked as an authority's, as those of `openssl
//! req -x509` are.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::text::{one_line, shortened};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

use super::certificate::Certificate;

/// Maximum number of shown names of a certificate.
const NAMES_SHOWN: usize = 5;
const NAMES_MAX_CHARS: usize = 200;

/// Verifies servers' certificates.
#[derive(Debug)]
pub struct ServerVerifier {
    roots: RootCertStore,
    named: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why a server's certificate is not accepted, and what to do. One line.
#[derive(Debug)]
pub struct NotAccepted(String);

impl fmt::Display for NotAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAccepted {}

impl ServerVerifier {
    /// Trusts the authorities in `roots`, and exactly the certificates in `named`.
    pub fn new(
        roots: RootCertStore,
        named: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { roots, named, algorithms }
    }

    fn is_named(&self, certificate: &CertificateDer<'_>) -> bool {
        self.named.iter().any(|named| named == certificate)
    }

    fn verify(
        &self,
        der: &CertificateDer<'_>,
        certificate: Option<&Certificate>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        if let Some(certificate) = certificate.filter(|_| self.is_named(der)) {
            check_validity(certificate, now)?;
            if !certificate.has_alternative_names {
                return check_common_names(certificate, host);
            }
            return verify_server_name(&ParsedCertificate::try_from(der)?, host);
        }
        let parsed = ParsedCertificate::try_from(der)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        verify_server_name(&parsed, host)
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = Certificate::read(end_entity);
        match self.verify(end_entity, certificate.as_ref(), intermediates, server_name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(Error::InvalidCertificate(error)) => {
                let text = explain(&error, certificate.as_ref(), &server_name.to_str(), now);
                let problem = Arc::new(NotAccepted(one_line(&text)));
                Err(Error::InvalidCertificate(CertificateError::Other(OtherError(problem))))
            }
            Err(other) => Err(other),
        }
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
        // Certificates of the oldest format (version 1) can be in `named` too, but the library cannot parse them.
        let named = self.is_named(certificate) && ParsedCertificate::try_from(certificate).is_err();
        match Certificate::read(certificate).filter(|_| named) {
            Some(read) => {
                let key = SubjectPublicKeyInfoDer::from(read.public_key);
                verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
            }
            None => verify_tls13_signature(message, certificate, signature, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn check_validity(certificate: &Certificate, now: UnixTime) -> Result<(), Error> {
    let unix = |time: DateTime<Utc>| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(time.timestamp().try_into().unwrap_or(0)))
    };
    let (not_before, not_after) = (unix(certificate.not_before), unix(certificate.not_after));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    Ok(())
}

/// Without alternative names, the common name counts as the host. Only for a certificate in the CA file.
fn check_common_names(certificate: &Certificate, host: &ServerName<'_>) -> Result<(), Error> {
    let expected = host.to_owned();
    let presented = certificate.common_names.clone();
    if presented.iter().any(|name| is_name_of(name, &host.to_str())) {
        Ok(())
    } else {
        Err(CertificateError::NotValidForNameContext { expected, presented }.into())
    }
}

fn is_name_of(name: &str, host: &str) -> bool {
    if let (Ok(name), Ok(host)) = (name.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        return name == host;
    }
    let (name, host) = (name.trim_end_matches('.'), host.trim_end_matches('.'));
    let below =
        |domain: &str| host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain));
    name.eq_ignore_ascii_case(host) || name.strip_prefix("*.").is_some_and(below)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library has many errors; only these need a separate message"
)]
fn explain(error: &CertificateError, certificate: Option<&Certificate>, host: &str, now: UnixTime) -> String {
    let Some(certificate) = certificate else { return format!("it cannot be read ({error})") };
    let time = |time: UnixTime| {
        let time =
            i64::try_from(time.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        time.unwrap_or_default().format("%Y-%m-%d %H:%M:%S UTC")
    };
    let clock = format!("and this machine's clock says {}", time(now));
    let subject = &certificate.subject;
    match error {
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "it expired on {}, {clock}: renew the server's certificate, or correct the clock",
            time(*not_after)
        ),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "it is not valid before {}, {clock}: correct the clock, or issue another certificate",
            time(*not_before)
        ),
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => format!(
            "it is for {}, not for {host}: use one of its names in the URL, or issue a certificate for {host}",
            list(presented)
        ),
        CertificateError::NotValidForNameContext { .. }
            if certificate.common_names.iter().any(|name| is_name_of(name, host)) =>
        {
            format!(
                "{host} is only its common name, which counts only if the certificate itself is in qdrant.ca_file: put it there, or issue one with a subjectAltName"
            )
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let kind = if host.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
            format!(
                "it names no host, so it is not for {host}: issue one for it (`openssl req -x509 … -addext subjectAltName={kind}:{host}`)"
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("it is not a server certificate ({subject}): its extended key usage lacks serverAuth")
        }
        _ if certificate.is_self_issued => format!(
            "it is self-signed ({subject}) and not trusted here (UnknownIssuer): if it is your server's, put it into qdrant.ca_file"
        ),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "its issuer, {}, is not trusted here ({error:?}): put the issuer's certificate into qdrant.ca_file",
            certificate.issuer
        ),
        _ => format!("{error} ({subject})"),
    }
}

/// The names in words. The library returns `DnsName("qdrant.example")`.
fn list(names: &[String]) -> String {
    let plain = |name: &String| match name.split_once('(') {
        Some((_, inner)) if name.ends_with(')') => inner.trim_end_matches(')').trim_matches('"').to_owned(),
        _ => name.clone(),
    };
    let mut shown: Vec<String> = names.iter().take(NAMES_SHOWN).map(plain).collect();
    if names.len() > NAMES_SHOWN {
        shown.push(format!("{} others", names.len() - NAMES_SHOWN));
    }
    shortened(&shown.join(", "), NAMES_MAX_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_name_is_a_hosts_whatever_the_case_and_below_a_star() {
        for (name, host) in [
            ("qdrant.example", "QDRANT.example"),
            ("qdrant.example", "qdrant.example."),
            ("*.example.org", "q.example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("0:0:0:0:0:0:0:1", "::1"),
        ] {
            assert!(is_name_of(name, host), "{name} {host}");
        }
        for (name, host) in [
            ("qdrant.example", "example"),
            ("example", "qdrant.example"),
            ("*.example.org", "example.org"),
            ("*.example.org", "a.b.example.org"),
            ("*", "host"),
            ("", "host"),
        ] {
            assert!(!is_name_of(name, host), "{name} {host}");
        }
    }
}
