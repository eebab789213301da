//! URLs of Qdrant and the proxy, with separate credentials.

use std::fmt;
use std::ops::Deref;

use percent_encoding::percent_decode_str;
use qdrant_backup_shared::config_file::MASK;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// User name and password for HTTP basic authentication. Its `Debug` shows neither.
#[derive(Clone)]
pub struct BasicAuth {
    user: String,
    password: SecretString,
}

impl BasicAuth {
    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password, only for the request header. Empty if the URL had only a user.
    pub fn expose_password(&self) -> &str {
        self.password.expose_secret()
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicAuth(********)")
    }
}

/// Why a URL is invalid. Never contains the URL, which may include a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("expected a URL that begins with http:// or https://")]
    Scheme,
    /// Blanks or control characters, which a parser would silently drop.
    #[error("the URL contains a space or a control character")]
    Blank,
    /// The parser's reason.
    #[error("not a URL: {0}")]
    Invalid(#[from] url::ParseError),
    /// `?…` or `#…`, which would be lost when a path is appended.
    #[error("the URL has a query (?) or a fragment (#); neither can be used here")]
    QueryOrFragment,
    /// `#…`, which is never sent.
    #[error("the URL has a fragment (#), which is never sent")]
    Fragment,
    /// A path where only host and port are allowed.
    #[error("the proxy's URL has a path; only host and port can be used here")]
    Path,
    /// Undecodable user or password.
    #[error(
        "the user or password in the URL cannot be decoded; percent-encode it as UTF-8, without control characters"
    )]
    Credentials,
}

/// The server's base URL: http or https, optionally with a path prefix, without query and fragment.
#[derive(Clone)]
pub struct QdrantUrl {
    url: Url,
    /// Whether the text had a port, even if it was the scheme's default.
    has_port: bool,
    basic_auth: Option<BasicAuth>,
}

impl QdrantUrl {
    /// Parses a URL and removes `user:password@` from it.
    ///
    /// # Errors
    /// Not http(s), not a URL, with query or fragment, or with undecodable credentials.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            return Err(UrlError::Scheme);
        }
        if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
            return Err(UrlError::Blank);
        }
        let mut url = Url::parse(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::QueryOrFragment);
        }
        let basic_auth = credentials(&url)?;
        // The setters refuse only URLs without a host, which http(s) never is.
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| UrlError::Credentials)?;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self { has_port: has_port(text), url, basic_auth })
    }

    /// The URL without credentials. Its path has no slash at the end unless it is `/`.
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    /// The credentials before the `@`.
    pub fn basic_auth(&self) -> Option<&BasicAuth> {
        self.basic_auth.as_ref()
    }

    /// As text with masked credentials.
    pub fn masked(&self) -> String {
        let url = self.to_string();
        match (&self.basic_auth, url.split_once("://")) {
            (Some(_), Some((scheme, rest))) => format!("{scheme}://{MASK}@{rest}"),
            (Some(_) | None, _) => url,
        }
    }

    /// A warning about a valid URL that is probably wrong: `http://localhost` uses port 80, but Qdrant uses 6333. With a path or
    /// TLS, a proxy on the default port is just as likely.
    pub fn doubt(&self) -> Option<String> {
        if self.has_port || self.url.scheme() != "http" || self.url.path() != "/" {
            return None;
        }
        Some(format!(
            "{self} has no port, so port 80 is used, but Qdrant's default is 6333: write {self}:6333, or {self}:80 if you mean 80"
        ))
    }
}

/// An HTTP proxy's URL: like Qdrant's, but without a path.
#[derive(Debug, Clone)]
pub struct ProxyUrl(QdrantUrl);

impl ProxyUrl {
    /// Parses a URL and removes `user:password@` from it.
    ///
    /// # Errors
    /// As for [`QdrantUrl::parse`], or with a path.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = QdrantUrl::parse(text)?;
        if url.url.path() == "/" { Ok(Self(url)) } else { Err(UrlError::Path) }
    }
}

impl Deref for ProxyUrl {
    type Target = QdrantUrl;

    fn deref(&self) -> &QdrantUrl {
        &self.0
    }
}

/// Whether a URL's text has a port. A parsed URL does not contain the default port.
fn has_port(text: &str) -> bool {
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit())
}

fn credentials(url: &Url) -> Result<Option<BasicAuth>, UrlError> {
    let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if !decoded.chars().any(char::is_control) => Ok(decoded.into_owned()),
        Ok(_) | Err(_) => Err(UrlError::Credentials),
    };
    let user = decode(url.username())?;
    let password = decode(url.password().unwrap_or_default())?;
    // In basic authentication the first colon ends the user name.
    if user.contains(':') {
        return Err(UrlError::Credentials);
    }
    let present = !user.is_empty() || !password.is_empty();
    Ok(present.then(|| BasicAuth { user, password: SecretString::from(password) }))
}

impl fmt::Display for QdrantUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for QdrantUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QdrantUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_prefix_is_kept_and_the_last_slash_is_not() {
        for (text, shown) in [
            ("http://localhost:6333", "http://localhost:6333"),
            ("http://localhost:6333/", "http://localhost:6333"),
            ("https://example.org/qdrant/", "https://example.org/qdrant"),
            ("HTTPS://EXAMPLE.org:443/a/b//", "https://example.org/a/b"),
            ("http://[::1]:6333", "http://[::1]:6333"),
        ] {
            assert_eq!(QdrantUrl::parse(text).unwrap().to_string(), shown);
        }
        assert_eq!(QdrantUrl::parse("http://h/p/").unwrap().as_url().path(), "/p");
    }

    #[test]
    fn what_cannot_be_a_server_is_refused() {
        for text in ["", "localhost:6333", "ftp://h", "http:h", "/path", "user:secret@h", "unix:///run/q"] {
            assert_eq!(QdrantUrl::parse(text).unwrap_err(), UrlError::Scheme, "{text}");
        }
        for text in ["http://h?x=1", "http://h/#f", "http://h/?"] {
            assert_eq!(QdrantUrl::parse(text).unwrap_err(), UrlError::QueryOrFragment, "{text}");
        }
        for text in ["http://h/a b", "http://h\n", "http://h\u{7f}"] {
            assert_eq!(QdrantUrl::parse(text).unwrap_err(), UrlError::Blank, "{text}");
        }
        for text in ["http://", "http://h:99999", "http://[::1", "http://u:secret@"] {
            let error = QdrantUrl::parse(text).unwrap_err();
            assert!(matches!(error, UrlError::Invalid(_)), "{text}");
            assert!(!error.to_string().contains("secret"));
        }
        assert_eq!(QdrantUrl::parse("http://a%3Ab:c@h").unwrap_err(), UrlError::Credentials);
        assert_eq!(QdrantUrl::parse("http://a:%ff@h").unwrap_err(), UrlError::Credentials);
        assert_eq!(ProxyUrl::parse("http://h/path").unwrap_err(), UrlError::Path);
    }

    #[test]
    fn a_url_that_leads_to_port_80_names_6333() {
        for text in ["http://localhost", "HTTP://u:p@qdrant/", "http://[::1]", "http://10.0.0.1:"] {
            let doubt = QdrantUrl::parse(text).unwrap().doubt().unwrap();
            assert!(doubt.contains(":6333, or ") && !doubt.contains("u:p"), "{text}: {doubt}");
        }
        for text in [
            "http://localhost:6333",
            "http://localhost:80",
            "http://u:1@h:80/",
            "http://[::1]:6333",
            "http://proxy/qdrant",
            "https://qdrant.example.org",
        ] {
            assert_eq!(QdrantUrl::parse(text).unwrap().doubt(), None, "{text}");
        }
    }

    #[test]
    fn credentials_leave_the_url_and_are_never_displayed() {
        let url = QdrantUrl::parse("https://back%40up:p%40ss-word@h:1/q").unwrap();
        let auth = url.basic_auth().unwrap();
        assert_eq!((auth.user(), auth.expose_password()), ("back@up", "p@ss-word"));
        assert_eq!(url.as_url().as_str(), "https://h:1/q");
        let shown = format!("{url} {url:?} {auth:?}");
        assert!(!shown.contains("ss-word") && !shown.contains("back"), "{shown}");
        assert!(QdrantUrl::parse("http://@h").unwrap().basic_auth().is_none());
        assert_eq!(QdrantUrl::parse("http://token@h").unwrap().basic_auth().unwrap().expose_password(), "");
    }

    proptest! {
        #[test]
        fn parsing_any_text_never_panics_and_what_is_shown_parses_again(text in "(https?://)?[ -~é%@:/\\[\\]]{0,30}") {
            if let Ok(url) = QdrantUrl::parse(&text) {
                let again = QdrantUrl::parse(&url.to_string()).unwrap();
                prop_assert_eq!(again.as_url(), url.as_url());
            }
        }
    }
}
