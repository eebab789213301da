//! The HTTP client: TLS, proxies, timeouts, and headers with secrets.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::protocol;
use super::tls::{self, Identity};
use super::transport_error::TransportError;

/// How to reach one Qdrant node.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Its URL with path prefix, without credentials.
    pub url: Url,
    /// User and password for a proxy in front of Qdrant that asks for basic authentication.
    pub basic_auth: Option<(String, SecretString)>,
    /// Qdrant's API key.
    pub api_key: Option<SecretString>,
    /// Certificates of further certificate authorities, in PEM.
    pub ca_file: Option<PathBuf>,
    /// The client certificate and key, only for this server.
    pub identity: Option<Identity>,
    /// An HTTP proxy. Proxy variables of the environment are ignored.
    pub proxy: Option<Url>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest silence in a download.
    pub stall_timeout: Duration,
    /// Longest wait for a whole small answer.
    pub request_timeout: Duration,
    /// Longest wait for a snapshot to be made.
    pub create_timeout: Duration,
    /// Longest wait for an exact count of points.
    pub count_timeout: Duration,
    /// Number of retries after temporary failures.
    pub retries: u32,
}

/// Creates the client. Redirects are off, because they would send the key elsewhere; so are decompression, cookies and proxies
/// from the environment.
///
/// # Errors
/// When the options cannot be used.
pub fn http_client(options: &ClientOptions) -> Result<reqwest::Client, TransportError> {
    let mut builder = reqwest::Client::builder()
        .default_headers(secret_headers(options)?)
        .user_agent(concat!("qdrant-backup/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(only_what_was_never_sent(options.url.host_str().unwrap_or_default().to_owned()))
        .referer(false)
        .no_proxy()
        .http1_only()
        .connect_timeout(options.connect_timeout)
        // A request may be silent for hours: keepalives prevent routers from dropping the connection.
        .tcp_keepalive(Duration::from_secs(30));
    if let Some(proxy) = &options.proxy {
        if options.identity.is_some() && proxy.scheme() == "https" {
            let problem = "qdrant.tls.cert_file cannot be used with it: a proxy that uses TLS would receive the client certificate too".to_owned();
            return Err(TransportError::Proxy { url: without_credentials(proxy), problem });
        }
        let problem = |error: reqwest::Error| TransportError::Proxy {
            url: without_credentials(proxy),
            problem: root_cause(&error),
        };
        builder = builder.proxy(reqwest::Proxy::all(proxy.as_str()).map_err(problem)?);
    }
    let uses_tls = options.url.scheme() == "https";
    let tls = tls::client_config(uses_tls, options.ca_file.as_deref(), options.identity.as_ref())?;
    builder = builder.tls_backend_preconfigured(tls);
    builder.build().map_err(|error| TransportError::Setup { problem: root_cause(&error) })
}

/// A request to `host` that was never sent is sent again at once. Everything else is decided by who asks.
fn only_what_was_never_sent(host: String) -> reqwest::retry::Builder {
    reqwest::retry::for_host(host).no_budget().classify_fn(|tried| {
        if tried.error().is_some_and(protocol::was_never_sent) { tried.retryable() } else { tried.success() }
    })
}

fn secret_headers(options: &ClientOptions) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::new();
    if let Some(key) = &options.api_key {
        let mut value = HeaderValue::from_str(key.expose_secret()).map_err(|_| TransportError::Header)?;
        value.set_sensitive(true);
        headers.insert("api-key", value);
    }
    Ok(headers)
}

/// `url` for messages.
pub(super) fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have credentials.
    if url.set_password(None).and(url.set_username("")).is_err() {
        return url.scheme().to_owned();
    }
    url.to_string()
}

/// The reason of an error. For a TLS error, with advice.
pub fn without_tls_riddles(error: &(dyn std::error::Error + 'static)) -> String {
    tls::find(error).map_or_else(|| root_cause(error), |error| tls::explain(error, false))
}

/// The innermost reason of an error, without URLs.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    qdrant_backup_shared::text::shortened(&cause.to_string(), 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        let url = Url::parse("http://user:secret@proxy:3128/").unwrap();
        assert_eq!(without_credentials(&url), "http://proxy:3128/");
    }
}
