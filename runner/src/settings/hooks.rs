//! The dead man's service that is told how a scheduled run ended.

use std::fmt;

use qdrant_backup_shared::config_file::PingStyle;
use qdrant_backup_shared::config_file::keys::{PING_STYLE, PING_URL};
use url::Url;

use super::layers::Layers;
use super::server_url::UrlError;
use super::setting::Source;

/// The address of a dead man's service. Whoever knows it can call there, so neither `Debug` nor `Display` shows more than
/// its host.
#[derive(Clone)]
pub struct PingUrl(Url);

impl PingUrl {
    /// Chooses the address; where nobody says how it is to be called, it says so itself.
    pub(super) fn choose(layers: &mut Layers<'_>) -> Option<Self> {
        let url = layers.convert(&PING_URL, |text, _| Self::parse(text.expose()), Self::to_string);
        if layers.values.get(&PING_STYLE).is_none() {
            let style = url.as_ref().map_or(PingStyle::Healthchecks, |url| url.value.looks_like());
            layers.values.set(&PING_STYLE, Some(style), Source::Default);
        }
        url.map(|url| url.value)
    }

    /// Reads an address.
    ///
    /// # Errors
    /// Not http(s), not a URL, or with a fragment, which is never sent.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
            return Err(UrlError::Blank);
        }
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme);
        }
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        Ok(Self(url))
    }

    /// How the service wants to be called, by its path.
    fn looks_like(&self) -> PingStyle {
        if self.0.path().contains("/api/push/") { PingStyle::UptimeKuma } else { PingStyle::Healthchecks }
    }

    /// The address itself, for the request and nothing else.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for PingUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/********", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for PingUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PingUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_of_an_address_is_shown() {
        let url = PingUrl::parse("https://me:s3cret@ping.example/s3cret-uuid").unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://ping.example/******** PingUrl(https://ping.example/********)"
        );
        assert_eq!(url.expose().path(), "/s3cret-uuid");
        let url = PingUrl::parse("https://kuma.example/api/push/s3cret?status=up&msg=s3cret&ping=").unwrap();
        assert_eq!(url.to_string(), "https://kuma.example/********");
        assert_eq!(url.looks_like(), PingStyle::UptimeKuma);
    }

    #[test]
    fn what_cannot_be_called_is_refused_without_being_repeated() {
        for text in ["ping.example/s3cret", "ftp://x/s3cret", "https://x/s3cret#a", "https://x/s3 cret"] {
            assert!(!PingUrl::parse(text).unwrap_err().to_string().contains("s3"), "{text}");
        }
    }
}
