//! The settings about the server and how patient to be with it.

use std::path::PathBuf;
use std::time::Duration;

use qdrant_backup_shared::config_file::{ConfigFile, Located};

use super::api_key::ApiKey;
use super::files::{TextFile, is_readable_by_others, others_can_read};
use super::layers::{Candidate, Layers, absolute, as_is, option, optional};
use super::opts::{Keys, Opts};
use super::server_url::{ProxyUrl, QdrantUrl};
use super::setting::{Setting, Source};
use crate::user::refused;

const DEFAULT_URL: &str = "http://localhost:6333";
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_CREATE_TIMEOUT: Duration = Duration::from_secs(6 * 3600);
const DEFAULT_COUNT_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const DEFAULT_WAIT_FOR_SERVER: Duration = Duration::from_secs(5 * 60);
const DEFAULT_RETRIES: u32 = 4;
/// The credential of systemd that is the API key.
const CREDENTIAL: &str = "api-key";

/// The server and how patient to be with it.
#[derive(Debug, Clone)]
pub struct QdrantSettings {
    /// Where Qdrant answers, with the credentials for basic authentication that the URL held.
    pub url: Setting<QdrantUrl>,
    /// The API key.
    pub api_key: Setting<Option<ApiKey>>,
    /// The file the API key was read from, if it was.
    pub api_key_file: Setting<Option<PathBuf>>,
    /// PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Setting<Option<PathBuf>>,
    /// PEM file with the certificate that Qdrant is shown where it wants one. Set together with its key, or not at all.
    pub tls_cert_file: Setting<Option<PathBuf>>,
    /// PEM file with that certificate's private key.
    pub tls_key_file: Setting<Option<PathBuf>>,
    /// HTTP proxy to reach Qdrant through.
    pub proxy: Setting<Option<ProxyUrl>>,
    /// How long a connection may take to be made; not zero.
    pub connect_timeout: Setting<Duration>,
    /// How long a transfer may stand still; not zero.
    pub stall_timeout: Setting<Duration>,
    /// How long a small request may take; not zero.
    pub request_timeout: Setting<Duration>,
    /// How long Qdrant may take to create a snapshot; not zero.
    pub create_timeout: Setting<Duration>,
    /// How long counting the points of a collection may take; not zero.
    pub count_timeout: Setting<Duration>,
    /// How long a scheduled run waits for a server that is not there yet; zero for not at all.
    pub wait_for_server: Setting<Duration>,
    /// How often a failed request that changes nothing is tried again, after the first try.
    pub retries: Setting<u32>,
}

impl QdrantSettings {
    /// Chooses each value. `None` when the URL, for which there is no stand-in, is a reported problem.
    pub(super) fn choose(
        layers: &mut Layers<'_>,
        opts: &Opts,
        config: &ConfigFile,
        warnings: &mut Vec<String>,
    ) -> Option<Self> {
        let file = &config.qdrant;
        let url = choose_url(layers, opts, config);
        warnings.extend(url.as_ref().and_then(doubt));
        let (api_key, api_key_file) = choose_api_key(layers, opts, config, warnings);
        let ca_file = layers.choose([
            option("--ca-file", &opts.ca_file, as_is),
            layers.environment("QDRANT_CA_FILE", |path| absolute(path)),
            layers.env_file("QDRANT_CA_FILE", |path| absolute(path)),
            layers.config("qdrant.ca_file", &file.ca_file, absolute),
        ]);
        let (tls_cert_file, tls_key_file) = choose_identity(layers, config, warnings);
        let proxy = layers
            .choose([layers.config("qdrant.proxy", &file.proxy, |text| ProxyUrl::parse(text.expose()))]);
        let mut timeout = |key, located: &Option<Located<Duration>>, default| {
            layers.choose_or([layers.config(key, located, as_is)], default)
        };
        Some(Self {
            url: url?,
            api_key,
            api_key_file,
            ca_file: optional(ca_file),
            tls_cert_file,
            tls_key_file,
            proxy: optional(proxy),
            connect_timeout: timeout(
                "qdrant.connect_timeout",
                &file.connect_timeout,
                DEFAULT_CONNECT_TIMEOUT,
            ),
            stall_timeout: timeout("qdrant.stall_timeout", &file.stall_timeout, DEFAULT_STALL_TIMEOUT),
            request_timeout: timeout(
                "qdrant.request_timeout",
                &file.request_timeout,
                DEFAULT_REQUEST_TIMEOUT,
            ),
            create_timeout: timeout("qdrant.create_timeout", &file.create_timeout, DEFAULT_CREATE_TIMEOUT),
            count_timeout: timeout("qdrant.count_timeout", &file.count_timeout, DEFAULT_COUNT_TIMEOUT),
            wait_for_server: timeout(
                "qdrant.wait_for_server",
                &file.wait_for_server,
                DEFAULT_WAIT_FOR_SERVER,
            ),
            retries: layers
                .choose_or([layers.config("qdrant.retries", &file.retries, as_is)], DEFAULT_RETRIES),
        })
    }
}

fn choose_url(layers: &mut Layers<'_>, opts: &Opts, config: &ConfigFile) -> Option<Setting<QdrantUrl>> {
    let without_credentials = |text: String| {
        match QdrantUrl::parse(&text) {
        Ok(url) if url.basic_auth().is_some() => Err(
            "every user of this machine can read the command line; put a URL with a password into QDRANT_URL or backup.yaml"
                .to_owned(),
        ),
        Ok(url) => Ok(url),
        Err(error) => Err(error.to_string()),
    }
    };
    let default =
        || Some((Source::Default, QdrantUrl::parse(DEFAULT_URL).map_err(|error| error.to_string())));
    layers.choose([
        option("--url", &opts.url, without_credentials),
        layers.environment("QDRANT_URL", QdrantUrl::parse),
        layers.env_file("QDRANT_URL", QdrantUrl::parse),
        layers.config("qdrant.url", &config.qdrant.url, |text| QdrantUrl::parse(text.expose())),
        default(),
    ])
}

/// The client's certificate and its key: both or none. The files are read when a server is called.
fn choose_identity(
    layers: &mut Layers<'_>,
    config: &ConfigFile,
    warnings: &mut Vec<String>,
) -> (Setting<Option<PathBuf>>, Setting<Option<PathBuf>>) {
    let file = &config.qdrant;
    let cert = layers.choose([
        layers.environment("QDRANT_TLS_CERT_FILE", |path| absolute(path)),
        layers.env_file("QDRANT_TLS_CERT_FILE", |path| absolute(path)),
        layers.config("qdrant.tls.cert_file", &file.tls_cert_file, absolute),
    ]);
    let key = layers.choose([
        layers.environment("QDRANT_TLS_KEY_FILE", |path| absolute(path)),
        layers.env_file("QDRANT_TLS_KEY_FILE", |path| absolute(path)),
        layers.config("qdrant.tls.key_file", &file.tls_key_file, absolute),
    ]);
    // Where the other one is there and no good, that has been said.
    let said = |variable: &'static str, in_file: bool| {
        in_file || layers.names(variable) || layers.env_file.get(variable).is_some()
    };
    let alone = match (&cert, &key) {
        (Some(cert), None) if !said("QDRANT_TLS_KEY_FILE", file.tls_key_file.is_some()) => Some((
            &cert.source,
            "a certificate is of no use without its key: set qdrant.tls.key_file (QDRANT_TLS_KEY_FILE) as well",
        )),
        (None, Some(key)) if !said("QDRANT_TLS_CERT_FILE", file.tls_cert_file.is_some()) => Some((
            &key.source,
            "a key is of no use without its certificate: set qdrant.tls.cert_file (QDRANT_TLS_CERT_FILE) as well",
        )),
        _ => None,
    };
    if let Some((source, problem)) = alone {
        layers.problems.push(source.problem(problem));
    }
    if let Some(key) = &key
        && is_readable_by_others(&key.value)
    {
        warnings.push(others_can_read("client key file", &key.value));
    }
    (optional(cert), optional(key))
}

/// The warning about a URL that is likely to be meant otherwise.
pub(super) fn doubt(url: &Setting<QdrantUrl>) -> Option<String> {
    url.doubt().map(|doubt| url.source.problem(doubt))
}

enum KeyFrom {
    Value(ApiKey),
    File(PathBuf),
}

/// The key as systemd passes it (`LoadCredential=api-key:…`), where there is one of that name. Documented in
/// systemd.exec(5), "Credentials".
fn credential(layers: &Layers<'_>) -> Candidate<KeyFrom> {
    let directory = layers.environment("CREDENTIALS_DIRECTORY", |path| absolute(path))?;
    let file = directory.1.as_ref().ok()?.join(CREDENTIAL);
    file.exists().then(|| (directory.0, Ok(KeyFrom::File(file))))
}

/// The key, and the file it came from. Only the file of the place that wins is opened.
fn choose_api_key(
    layers: &mut Layers<'_>,
    opts: &Opts,
    config: &ConfigFile,
    warnings: &mut Vec<String>,
) -> (Setting<Option<ApiKey>>, Setting<Option<PathBuf>>) {
    let value = |text: &str| ApiKey::new(text).map(KeyFrom::Value);
    let file = |path: &str| absolute(path).map(KeyFrom::File);
    let none: Candidate<KeyFrom> = None;
    let credential = if layers.names("QDRANT_API_KEY") || layers.names("QDRANT_API_KEY_FILE") {
        None
    } else {
        credential(layers)
    };
    let levels = [
        [none, option("--api-key-file", &opts.api_key_file, |path| as_is(KeyFrom::File(path)))],
        [
            layers.environment("QDRANT_API_KEY", value),
            layers.environment("QDRANT_API_KEY_FILE", file).or(credential),
        ],
        [layers.env_file("QDRANT_API_KEY", value), layers.env_file("QDRANT_API_KEY_FILE", file)],
        [
            None,
            layers.config("qdrant.api_key_file", &config.qdrant.api_key_file, |path| {
                absolute(path).map(KeyFrom::File)
            }),
        ],
    ];
    for level in &levels {
        if let [Some(_), Some((source, _))] = level {
            layers.problems.push(source.problem("QDRANT_API_KEY is given as well; give one of the two"));
        }
    }
    let Some(chosen) = layers.choose(levels.into_iter().flatten()) else {
        let empty = ["QDRANT_API_KEY", "QDRANT_API_KEY_FILE"].into_iter().find(|name| layers.is_empty(name));
        warnings.extend(empty.map(|name| {
            format!("{name} is empty, and no key is given elsewhere: Qdrant is asked without an API key")
        }));
        return (Setting::default_value(None), Setting::default_value(None));
    };
    let source = chosen.source;
    let path = match chosen.value {
        KeyFrom::Value(key) => return (Setting { value: Some(key), source }, Setting::default_value(None)),
        KeyFrom::File(path) => path,
    };
    let file = Setting { value: path, source: source.clone() };
    let key = read_key(layers, opts, &file, warnings);
    (Setting { value: key, source }, Setting { value: Some(file.value), source: file.source })
}

/// The key in `file`, for a command that needs one. One that only shows the settings says what is wrong with the file.
pub(super) fn read_key(
    layers: &mut Layers<'_>,
    opts: &Opts,
    file: &Setting<PathBuf>,
    warnings: &mut Vec<String>,
) -> Option<ApiKey> {
    if opts.keys == Keys::Unneeded {
        return None;
    }
    let path = &file.value;
    let read = TextFile::read(path).map_err(|error| refused(path, &error)).and_then(|text| {
        if text.readable_by_others {
            warnings.push(others_can_read("API key file", path));
        }
        ApiKey::from_file_content(&text.text).map_err(|error| error.to_string())
    });
    match read {
        Ok(key) => Some(key),
        Err(error) => {
            let message = format!("cannot use the API key file {}: {error}", path.display());
            let problem = file.source.problem(message);
            match opts.keys {
                Keys::Shown => warnings.push(problem),
                Keys::Needed | Keys::Unneeded => layers.problems.push(problem),
            }
            None
        }
    }
}
