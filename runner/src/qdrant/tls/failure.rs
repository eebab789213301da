//! Explains TLS errors, with advice.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::verifier::NotAccepted;

/// The cause of `error`. Also finds an error wrapped in an I/O error, which is not its source.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// An error and its chain of causes.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

/// The TLS library's error among the causes of `error`.
pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// Whether an established connection was cut.
pub fn is_cut(error: &(dyn Error + 'static)) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref()).any(|error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
        )
    })
}

/// Whether a later attempt may succeed without changes.
pub fn may_pass(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::AlertReceived(AlertDescription::InternalError))
}

/// The problem and advice. `has_identity` is whether a client certificate is configured.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library has many errors; only these need a separate message"
)]
pub fn explain(error: &rustls::Error, has_identity: bool) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) if other.0.is::<NotAccepted>() => {
            format!("invalid peer certificate: {}", other.0)
        }
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => "the server at this URL does not speak TLS: if it is Qdrant, the URL must begin with http://"
            .to_owned(),
        rustls::Error::AlertReceived(alert) => refused(*alert, has_identity),
        rustls::Error::PeerIncompatible(_) => {
            format!("{error}: the server must support TLS 1.2 or 1.3 with a modern cipher")
        }
        other => other.to_string(),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library has many errors; only these need a separate message"
)]
fn refused(alert: AlertDescription, has_identity: bool) -> String {
    let wanted = "set qdrant.tls.cert_file and qdrant.tls.key_file";
    match alert {
        AlertDescription::CertificateRequired if !has_identity => {
            format!("the server requires a client certificate (CertificateRequired): {wanted}")
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRequired
        | AlertDescription::UnknownCA
        // Its issuer has the name of a known authority, but another key.
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => {
            if has_identity {
                format!(
                    "the server does not accept the client certificate in qdrant.tls.cert_file ({alert:?}): is it valid, and issued by an authority that the server trusts?"
                )
            } else {
                format!("the server requires a client certificate ({alert:?}): {wanted}")
            }
        }
        AlertDescription::HandshakeFailure if !has_identity => format!(
            "the server refused the connection (HandshakeFailure): if it requires a client certificate, {wanted}; otherwise it may support neither TLS 1.2 nor 1.3"
        ),
        AlertDescription::ProtocolVersion => {
            "the server supports neither TLS 1.2 nor 1.3 (ProtocolVersion)".to_owned()
        }
        AlertDescription::UnrecognisedName => {
            "the server does not know the host name in the URL (UnrecognisedName): use the name in its certificate".to_owned()
        }
        other => format!("the server refused the connection ({other:?})"),
    }
}
