//! Fuzzed: certificates and keys that stand in the configuration itself.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::file::{Pem, WebConfig};
use super::tls::Material;
use crate::stop::Stop;

impl WebConfig {
    /// Sets TLS up where that takes no file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in super::super) fn try_inline_tls(&self, now: DateTime<Utc>) -> Result<(), Stop> {
        let Some(section) = &self.tls else { return Ok(()) };
        let is_inline = |pem: &Pem| matches!(pem, Pem::Inline(_));
        if !is_inline(&section.certificate)
            || !is_inline(&section.key)
            || !section.client_ca.as_ref().is_none_or(is_inline)
        {
            return Ok(());
        }
        let file = Path::new("web.yml");
        Material::read(file, section)?.server_config(file, section, Some(now)).map(drop)
    }
}
