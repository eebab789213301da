//! The clients that the settings describe.

use qdrant_backup_shared::config_file::keys::{
    CA_FILE, CONNECT_TIMEOUT, COUNT_TIMEOUT, CREATE_TIMEOUT, REQUEST_TIMEOUT, RETRIES, STALL_TIMEOUT,
    TLS_CERT_FILE, TLS_KEY_FILE,
};
use tokio_util::sync::CancellationToken;

use super::refusal::Refusal;
use crate::qdrant::{Client, ClientOptions, Identity, TransportError};
use crate::settings::{ApiKey, OtherServer, ProxyUrl, QdrantUrl, Settings};

/// The client that the settings describe.
pub fn client(settings: &Settings, interrupt: CancellationToken) -> Result<Client, Refusal> {
    let qdrant = &settings.qdrant;
    client_of(settings, &qdrant.url, qdrant.api_key.as_ref(), identity(settings), interrupt)
}

/// The client certificate.
pub(super) fn identity(settings: &Settings) -> Option<Identity> {
    let (cert_file, key_file) = settings.get(&TLS_CERT_FILE).zip(settings.get(&TLS_KEY_FILE))?;
    Some(Identity { cert_file, key_file })
}

/// A client for another server, with its own API key and without our client certificate. If it is the same server, the same key
/// and certificate are used.
pub fn client_for_other(
    settings: &Settings,
    other: &OtherServer,
    interrupt: CancellationToken,
) -> Result<Client, Refusal> {
    let same = other.url.as_url() == settings.qdrant.url.as_url();
    let own = settings.qdrant.api_key.as_ref().filter(|_| same);
    let identity = identity(settings).filter(|_| same);
    let client = client_of(settings, &other.url, other.api_key.as_ref().or(own), identity, interrupt)?;
    Ok(if same && other.api_key.is_none() { client } else { client.with_key_of(other.key_option) })
}

fn client_of(
    settings: &Settings,
    url: &QdrantUrl,
    api_key: Option<&ApiKey>,
    identity: Option<Identity>,
    interrupt: CancellationToken,
) -> Result<Client, Refusal> {
    let options = ClientOptions {
        url: url.as_url().clone(),
        basic_auth: url.basic_auth().map(|auth| (auth.user().to_owned(), auth.expose_password().into())),
        api_key: api_key.map(|key| key.expose().into()),
        ca_file: settings.get(&CA_FILE),
        identity,
        proxy: settings.qdrant.proxy.as_ref().map(proxy_url).transpose()?,
        connect_timeout: settings.get(&CONNECT_TIMEOUT),
        stall_timeout: settings.get(&STALL_TIMEOUT),
        request_timeout: settings.get(&REQUEST_TIMEOUT),
        create_timeout: settings.get(&CREATE_TIMEOUT),
        count_timeout: settings.get(&COUNT_TIMEOUT),
        retries: settings.get(&RETRIES),
    };
    Client::new(&options, interrupt).map_err(|error: TransportError| Refusal::configuration(error))
}

/// The proxy's URL with its credentials, as the HTTP library needs it.
fn proxy_url(proxy: &ProxyUrl) -> Result<url::Url, Refusal> {
    let mut url = proxy.as_url().clone();
    if let Some(auth) = proxy.basic_auth() {
        url.set_username(auth.user()).and_then(|()| url.set_password(Some(auth.expose_password()))).map_err(
            |()| {
                Refusal::configuration(format!(
                    "proxy {}: this URL cannot contain a user and a password",
                    **proxy
                ))
            },
        )?;
    }
    Ok(url)
}
