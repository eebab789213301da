//! `--web.config.file`: TLS, basic auth and headers, in the format of Prometheus' exporter-toolkit.
//!
//! `file` reads the text, `tls` makes a TLS configuration of it, and `live` does both again while the program runs,
//! when the files change. Nothing here answers a request.

mod file;
mod live;
mod tls;

pub use file::PasswordHash;
pub use live::Live;

#[cfg(any(test, feature = "fuzzing"))]
pub use file::WebConfig;

/// Fuzzed: sets TLS up with `pem` in place of each file.
///
/// # Errors
/// What is wrong with it.
#[cfg(feature = "fuzzing")]
pub(super) fn try_tls(config: &WebConfig, pem: &[u8]) -> Result<(), String> {
    let Some(section) = &config.tls else { return Ok(()) };
    let file = |key| tls::PemFile { key, path: "/etc/x/pem".into(), bytes: pem.to_vec() };
    let client_ca = section.client_ca_file.is_some().then(|| file("client_ca_file"));
    tls::Material { certificate: file("cert_file"), key: file("key_file"), client_ca }
        .server_config(section)
        .map(drop)
}
