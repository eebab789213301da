//! `--web.config.file`: TLS, basic auth and headers, in the format of Prometheus' exporter-toolkit.
//!
//! `file` parses the text, `tls` makes a TLS configuration from it, and `live` repeats both at run time when the
//! files change. Nothing here answers requests.

mod file;
mod live;
mod tls;

pub use file::PasswordHash;
pub use live::Live;

#[cfg(any(test, feature = "fuzzing"))]
pub use file::WebConfig;

/// A fuzz target: sets up TLS with `pem` in place of each file.
///
/// # Errors
/// The problem of the configuration.
#[cfg(feature = "fuzzing")]
pub(super) fn try_tls(config: &WebConfig, pem: &[u8]) -> Result<(), String> {
    let Some(section) = &config.tls else { return Ok(()) };
    let file = |key| tls::PemFile { key, path: "/etc/x/pem".into(), bytes: pem.to_vec() };
    let client_ca = section.client_ca_file.is_some().then(|| file("client_ca_file"));
    tls::Material { certificate: file("cert_file"), key: file("key_file"), client_ca }
        .server_config(section)
        .map(drop)
}
