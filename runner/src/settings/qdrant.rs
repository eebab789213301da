//! The settings about the server that need more than parsing.

use std::path::{Path, PathBuf};

use qdrant_backup_shared::config_file::keys::{
    API_KEY, API_KEY_FILE, NODES, PROXY, QDRANT_URL, TLS_CERT_FILE, TLS_KEY_FILE,
};
use qdrant_backup_shared::config_file::{About, MASK};
use serde_json::json;
use url::Url;

use super::api_key::ApiKey;
use super::files::{is_readable_by_others, others_can_read, read_key};
use super::layers::Layers;
use super::server_url::{ProxyUrl, QdrantUrl};
use super::setting::{Setting, Source};

/// The variable of systemd that names the directory of credentials, and the credential that is the API key.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const CREDENTIAL: &str = "api-key";

/// The server and how to connect to it.
#[derive(Debug, Clone)]
pub struct QdrantSettings {
    /// Qdrant's URL, with the credentials for basic authentication from the URL.
    pub url: Setting<QdrantUrl>,
    /// The nodes of its cluster, if they cannot be derived.
    pub nodes: Vec<Url>,
    /// The API key.
    pub api_key: Option<ApiKey>,
    /// HTTP proxy for connections to Qdrant.
    pub proxy: Option<ProxyUrl>,
}

impl QdrantSettings {
    /// Reads the values. `None` if the URL is invalid; this is reported.
    pub(super) fn choose(layers: &mut Layers<'_>) -> Option<Self> {
        let refusal = "every user of this machine can read the command line: put a URL with a password into QDRANT_URL or backup.yaml";
        let url = layers.convert(
            &QDRANT_URL,
            |text, source| match source {
                Source::CommandLine(_) => without_password(text.expose(), refusal),
                Source::Environment(_)
                | Source::EnvFile { .. }
                | Source::ConfigFile { .. }
                | Source::Default => QdrantUrl::parse(text.expose()).map_err(|error| error.to_string()),
            },
            QdrantUrl::masked,
        );
        layers.warnings.extend(url.as_ref().and_then(doubt));
        let api_key = choose_api_key(layers);
        check_identity(layers);
        let proxy = layers.convert(&PROXY, |text, _| ProxyUrl::parse(text.expose()), |proxy| proxy.masked());
        let nodes = choose_nodes(layers);
        Some(Self { url: url?, nodes, api_key, proxy: proxy.map(|proxy| proxy.value) })
    }
}

/// The URLs of nodes, without passwords: the credentials of `qdrant.url` are used for all.
fn choose_nodes(layers: &mut Layers<'_>) -> Vec<Url> {
    let mut nodes = Vec::new();
    for given in layers.values.get(&NODES) {
        match without_password(
            &given.value,
            "remove user and password: those of qdrant.url are used for every node",
        ) {
            Ok(url) => nodes.push(url.as_url().clone()),
            Err(problem) => {
                let source = match given.line {
                    0 => layers.values.source(NODES.key()),
                    line => layers.config_source(NODES.key(), line),
                };
                layers.problems.push(source.problem(problem));
            }
        }
    }
    nodes
}

/// Parses a URL from the command line, which everybody can read.
pub(super) fn without_password(text: &str, refusal: &str) -> Result<QdrantUrl, String> {
    match QdrantUrl::parse(text) {
        Ok(url) if url.basic_auth().is_some() => Err(refusal.to_owned()),
        Ok(url) => Ok(url),
        Err(error) => Err(error.to_string()),
    }
}

/// The warning about a URL that is probably wrong.
pub(super) fn doubt(url: &Setting<QdrantUrl>) -> Option<String> {
    url.doubt().map(|doubt| url.source.problem(doubt))
}

/// The client's certificate and its key: both or none. The files are read when a server is called.
fn check_identity(layers: &mut Layers<'_>) {
    let (cert, key) = (layers.values.get(&TLS_CERT_FILE), layers.values.get(&TLS_KEY_FILE));
    // If the other one is set but invalid, that was already reported.
    let alone = |one: &About, other: &About, problem: &str| {
        let is_alone = layers.offers(other).is_empty();
        is_alone.then(|| layers.values.source(one.key).problem(problem))
    };
    let problem = match (&cert, &key) {
        (Some(_), None) => alone(
            TLS_CERT_FILE.about(),
            TLS_KEY_FILE.about(),
            "a certificate needs its key: also set qdrant.tls.key_file (QDRANT_TLS_KEY_FILE)",
        ),
        (None, Some(_)) => alone(
            TLS_KEY_FILE.about(),
            TLS_CERT_FILE.about(),
            "a key needs its certificate: also set qdrant.tls.cert_file (QDRANT_TLS_CERT_FILE)",
        ),
        (Some(_), Some(_)) | (None, None) => None,
    };
    layers.problems.extend(problem);
    if let Some(key) = key.filter(|key| is_readable_by_others(key)) {
        layers.warnings.push(others_can_read("client key file", &key));
    }
}

/// The variables for the API key.
fn variables() -> impl Iterator<Item = &'static str> {
    [API_KEY.about(), API_KEY_FILE.about()].into_iter().filter_map(|about| about.variable)
}

enum KeyFrom {
    Value(ApiKey),
    File(PathBuf),
}

/// The key passed by systemd (`LoadCredential=api-key:…`), if it exists and the environment does not set another one.
/// Documented in systemd.exec(5), "Credentials".
fn credential(layers: &Layers<'_>) -> Option<(Source, KeyFrom)> {
    if variables().any(|name| layers.variable(name).is_some()) {
        return None;
    }
    let file = Path::new(layers.variable(CREDENTIALS)?).join(CREDENTIAL);
    (file.is_absolute() && file.exists()).then(|| (Source::Environment(CREDENTIALS), KeyFrom::File(file)))
}

/// The key. Only the file of the source with precedence is opened.
fn choose_api_key(layers: &mut Layers<'_>) -> Option<ApiKey> {
    let (keys, files) = (layers.readable(&API_KEY), layers.readable(&API_KEY_FILE));
    let mut found = Vec::new();
    for (source, text) in &keys {
        match ApiKey::new(text.expose()) {
            Ok(key) => found.push((source.clone(), KeyFrom::Value(key))),
            Err(error) => layers.problems.push(source.problem(error)),
        }
    }
    for (source, path) in files {
        if keys.iter().any(|(other, _)| other.rank() == source.rank()) {
            layers.problems.push(source.problem("QDRANT_API_KEY is also set; set only one of the two"));
        }
        found.push((source, KeyFrom::File(path)));
    }
    found.extend(credential(layers));
    layers.values.set(&API_KEY_FILE, None, Source::Default);
    let Some((source, from)) = found.into_iter().min_by_key(|(source, _)| source.rank()) else {
        let empty = variables().find(|name| layers.is_empty(name));
        layers.warnings.extend(empty.map(|name| {
            format!("{name} is empty, and no key is set elsewhere: requests to Qdrant have no API key")
        }));
        return None;
    };
    let key = match from {
        KeyFrom::Value(key) => Some(key),
        KeyFrom::File(path) => {
            let key = read_key(layers, &path, &source);
            layers.values.set(&API_KEY_FILE, Some(path), source.clone());
            key
        }
    };
    layers.values.set(&API_KEY, None, source);
    layers.values.show(API_KEY.key(), json!(if key.is_some() { MASK } else { "unreadable" }));
    key
}
