//! The clients that the settings describe.

use tokio_util::sync::CancellationToken;

use super::refusal::Refusal;
use crate::qdrant::{Client, ClientOptions, Identity, TransportError};
use crate::settings::{ApiKey, OtherServer, ProxyUrl, QdrantUrl, Settings};

/// The client that the settings describe.
pub fn client(settings: &Settings, interrupt: CancellationToken) -> Result<Client, Refusal> {
    let qdrant = &settings.qdrant;
    client_of(settings, &qdrant.url, qdrant.api_key.as_ref(), identity(settings), interrupt)
}

/// The certificate that Qdrant is shown.
pub(super) fn identity(settings: &Settings) -> Option<Identity> {
    let (cert, key) = (&settings.qdrant.tls_cert_file, &settings.qdrant.tls_key_file);
    let (cert_file, key_file) = cert.value.clone().zip(key.value.clone())?;
    Some(Identity { cert_file, key_file })
}

/// A client for another server, which has a key of its own and is not shown our certificate. Only where it is the same server
/// after all, the same will do.
pub fn client_for_other(
    settings: &Settings,
    other: &OtherServer,
    interrupt: CancellationToken,
) -> Result<Client, Refusal> {
    let same = other.url.as_url() == settings.qdrant.url.as_url();
    let own = settings.qdrant.api_key.as_ref().filter(|_| same);
    let identity = identity(settings).filter(|_| same);
    client_of(settings, &other.url, other.api_key.as_ref().or(own), identity, interrupt)
}

fn client_of(
    settings: &Settings,
    url: &QdrantUrl,
    api_key: Option<&ApiKey>,
    identity: Option<Identity>,
    interrupt: CancellationToken,
) -> Result<Client, Refusal> {
    let qdrant = &settings.qdrant;
    let options = ClientOptions {
        url: url.as_url().clone(),
        basic_auth: url.basic_auth().map(|auth| (auth.user().to_owned(), auth.expose_password().into())),
        api_key: api_key.map(|key| key.expose().into()),
        ca_file: qdrant.ca_file.value.clone(),
        identity,
        proxy: qdrant.proxy.as_ref().map(proxy_url).transpose()?,
        connect_timeout: *qdrant.connect_timeout,
        stall_timeout: *qdrant.stall_timeout,
        request_timeout: *qdrant.request_timeout,
        create_timeout: *qdrant.create_timeout,
        count_timeout: *qdrant.count_timeout,
        retries: *qdrant.retries,
    };
    Client::new(&options, interrupt).map_err(|error: TransportError| Refusal::configuration(error))
}

/// The proxy's URL with its credentials back in, which is how the HTTP library takes them.
fn proxy_url(proxy: &ProxyUrl) -> Result<url::Url, Refusal> {
    let mut url = proxy.as_url().clone();
    if let Some(auth) = proxy.basic_auth() {
        url.set_username(auth.user()).and_then(|()| url.set_password(Some(auth.expose_password()))).map_err(
            |()| Refusal::configuration(format!("proxy {proxy}: cannot carry a user and a password")),
        )?;
    }
    Ok(url)
}
