//! Go's names of TLS versions, cipher suites and curves, as the format uses them, and what rustls has for them.

use rustls::crypto::{SupportedKxGroup, ring};
use rustls::{CipherSuite, NamedGroup};

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A cipher suite of TLS 1.2.
pub type Suite = CipherSuite;

/// A key exchange group.
pub type Curve = NamedGroup;

/// Cipher suites that Go knows and that are not offered here.
const REFUSED_SUITES: &[&str] = &["_CBC_", "_RC4_", "_3DES_", "TLS_RSA_"];

/// The suite called `name`. Those of TLS 1.3 are always on, as in Go, and give nothing.
///
/// # Errors
/// What is wrong with the name.
pub(super) fn suite(name: &str) -> Result<Option<Suite>, String> {
    let suite = match name {
        "TLS_AES_128_GCM_SHA256" | "TLS_AES_256_GCM_SHA384" | "TLS_CHACHA20_POLY1305_SHA256" => {
            return Ok(None);
        }
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => {
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        _ if name.starts_with("TLS_") && REFUSED_SUITES.iter().any(|part| name.contains(part)) => {
            return Err(format!(
                "{} is not offered, for want of forward secrecy or authenticated encryption",
                short(name)
            ));
        }
        _ => return Err(format!("unknown cipher suite {}", short(name))),
    };
    Ok(Some(suite))
}

/// The group called `name`.
///
/// # Errors
/// What is wrong with the name.
pub(super) fn curve(name: &str) -> Result<Option<Curve>, String> {
    match name {
        "X25519" => Ok(Some(NamedGroup::X25519)),
        "CurveP256" => Ok(Some(NamedGroup::secp256r1)),
        "CurveP384" => Ok(Some(NamedGroup::secp384r1)),
        "CurveP521" | "X25519MLKEM768" => {
            Err(format!("{name} is not offered; use X25519, CurveP256 or CurveP384"))
        }
        _ => Err(format!("unknown curve {}", short(name))),
    }
}

/// What rustls has for a group.
pub(super) fn group(curve: Curve) -> Option<&'static dyn SupportedKxGroup> {
    ring::ALL_KX_GROUPS.iter().copied().find(|group| group.name() == curve)
}

fn short(name: &str) -> String {
    qdrant_backup_shared::text::shortened(name, 60)
}
