//! Servers other than the one that is backed up: to restore to, and to drill on.

use qdrant_backup_shared::config_file::keys::{DRILL_API_KEY_FILE, DRILL_CRON, DRILL_URL};

use super::api_key::ApiKey;
use super::files::read_key;
use super::layers::Layers;
use super::qdrant::{doubt, without_password};
use super::schedule::{Schedule, TimeZone};
use super::server_url::QdrantUrl;
use super::setting::{Setting, Source};

/// A server to restore to. The API key of the server that is backed up is never sent to it.
#[derive(Debug, Clone)]
pub struct OtherServer {
    /// Its URL.
    pub url: QdrantUrl,
    /// Its own API key.
    pub api_key: Option<ApiKey>,
    /// The option or setting of that key.
    pub key_option: &'static str,
}

impl OtherServer {
    /// The target of `--to`.
    pub(super) fn choose(layers: &mut Layers<'_>) -> Option<Self> {
        let (source, opts) = (Source::CommandLine("--to"), layers.opts);
        let refusal =
            "every user of this machine can read the command line, so passwords are not allowed here";
        let url = opts.to.as_deref().and_then(|text| {
            without_password(text, refusal).map_err(|error| layers.problems.push(source.problem(error))).ok()
        });
        let url = url.map(|value| Setting { value, source });
        layers.warnings.extend(url.as_ref().and_then(doubt));
        let key_file = opts.to_api_key_file.as_deref();
        let api_key =
            key_file.and_then(|path| read_key(layers, path, &Source::CommandLine("--to-api-key-file")));
        Some(Self { url: url?.value, api_key, key_option: "--to-api-key-file" })
    }
}

/// How drills are made.
#[derive(Debug, Clone)]
pub struct DrillSettings {
    /// The server to drill on.
    pub url: Option<QdrantUrl>,
    /// Its API key.
    pub api_key: Option<ApiKey>,
    /// The schedule of drills in `run`. Without it, there are none.
    pub schedule: Option<Schedule>,
}

impl DrillSettings {
    /// The server to drill on, if there is one.
    pub fn server(&self) -> Option<OtherServer> {
        let (url, api_key) = (self.url.clone()?, self.api_key.clone());
        Some(OtherServer { url, api_key, key_option: DRILL_API_KEY_FILE.key() })
    }

    /// Chooses each value.
    pub(super) fn choose(layers: &mut Layers<'_>, zone: TimeZone) -> Self {
        let schedule = layers.convert(
            &DRILL_CRON,
            |text, _| Schedule::parse(&text, zone),
            |schedule| schedule.expression().to_owned(),
        );
        if let Some(schedule) = schedule.as_ref().filter(|_| layers.config.get(&DRILL_URL).is_none()) {
            let problem = "needs drill.url: scheduled drills never use the server that is backed up";
            layers.problems.push(schedule.source.problem(problem));
        }
        let url = layers.convert(&DRILL_URL, |text, _| QdrantUrl::parse(text.expose()), QdrantUrl::masked);
        layers.warnings.extend(url.as_ref().and_then(doubt));
        let key_file = layers.values.get(&DRILL_API_KEY_FILE);
        let source = layers.values.source(DRILL_API_KEY_FILE.key());
        let api_key = key_file.and_then(|path| read_key(layers, &path, &source));
        Self { url: url.map(|url| url.value), api_key, schedule: schedule.map(|schedule| schedule.value) }
    }
}
