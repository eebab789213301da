//! Fuzzed: certificates and keys that stand in the configuration itself.

use chrono::{DateTime, Utc};

use super::file::WebConfig;
use super::sections::Pem;
use super::tls::Material;

impl WebConfig {
    /// Sets TLS up where that takes no file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in super::super) fn try_inline_tls(&self, now: DateTime<Utc>) -> Result<(), String> {
        let Some(section) = &self.tls else { return Ok(()) };
        let is_inline = |pem: &Pem| matches!(pem, Pem::Inline(_));
        if !is_inline(&section.certificate)
            || !is_inline(&section.key)
            || !section.client_ca.as_ref().is_none_or(is_inline)
        {
            return Ok(());
        }
        let told = |error: super::tls::TlsError| error.to_string();
        let material = Material::read(section).map_err(told)?;
        material.server_config(section, self.http2).map_err(told)?;
        material.check_validity(section, now).map_err(told)
    }
}
