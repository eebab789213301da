//! The settings about restores and drills: how long to wait, and servers other than the one that is backed up.

use std::path::PathBuf;
use std::time::Duration;

use qdrant_backup_shared::config_file::ConfigFile;

use super::api_key::ApiKey;
use super::layers::{Candidate, Layers, absolute, as_is, option, optional};
use super::opts::Opts;
use super::qdrant::{doubt, read_key};
use super::schedule::{Schedule, TimeZone};
use super::server_url::QdrantUrl;
use super::setting::Setting;

const DEFAULT_SETTLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const DEFAULT_MAX_SIZE_BYTES: u64 = 1 << 30;

/// A server that something is restored to. It is never sent the key of the server that is backed up.
#[derive(Debug, Clone)]
pub struct OtherServer {
    /// Where it answers.
    pub url: QdrantUrl,
    /// Its own API key.
    pub api_key: Option<ApiKey>,
}

/// How restores are made.
#[derive(Debug, Clone)]
pub struct RestoreSettings {
    /// How long a restored collection may take until it serves; not zero.
    pub settle_timeout: Setting<Duration>,
    /// Where `--to` says that it is restored to.
    pub to: Option<OtherServer>,
}

/// How drills are made.
#[derive(Debug, Clone)]
pub struct DrillSettings {
    /// The server to drill on.
    pub url: Setting<Option<QdrantUrl>>,
    /// Its API key.
    pub api_key: Option<ApiKey>,
    /// The file the API key was read from.
    pub api_key_file: Setting<Option<PathBuf>>,
    /// How often `run` drills; it does not, without.
    pub schedule: Setting<Option<Schedule>>,
    /// The largest snapshot, in bytes, that is drilled on the server that is backed up.
    pub max_size_bytes: Setting<u64>,
}

impl RestoreSettings {
    /// Chooses each value.
    pub(super) fn choose(
        layers: &mut Layers<'_>,
        opts: &Opts,
        config: &ConfigFile,
        warnings: &mut Vec<String>,
    ) -> Self {
        let settle_timeout = layers.choose_or(
            [layers.config("restore.settle_timeout", &config.restore.settle_timeout, as_is)],
            DEFAULT_SETTLE_TIMEOUT,
        );
        let url = layers.choose([option("--to", &opts.to, |text| match QdrantUrl::parse(&text) {
            Ok(url) if url.basic_auth().is_some() => {
                Err("every user of this machine can read the command line, so no password can be given here"
                    .to_owned())
            }
            Ok(url) => Ok(url),
            Err(error) => Err(error.to_string()),
        })]);
        warnings.extend(url.as_ref().and_then(doubt));
        let key_file = layers.choose([option("--to-api-key-file", &opts.to_api_key_file, as_is)]);
        let api_key = key_file.and_then(|file| read_key(layers, opts, &file, warnings));
        let to = url.map(|url| OtherServer { url: url.value, api_key });
        Self { settle_timeout, to }
    }
}

impl DrillSettings {
    /// Chooses each value.
    pub(super) fn choose(
        layers: &mut Layers<'_>,
        config: &ConfigFile,
        zone: TimeZone,
        opts: &Opts,
        warnings: &mut Vec<String>,
    ) -> Self {
        let file = &config.drill;
        let schedule =
            layers.choose([layers.config("drill.cron", &file.cron, |text| Schedule::parse(&text, zone))]);
        if let Some(schedule) = schedule.as_ref().filter(|_| file.url.is_none()) {
            let problem = "needs drill.url: a run never drills on the server that it backs up";
            layers.problems.push(schedule.source.problem(problem));
        }
        let url =
            layers.choose([layers.config("drill.url", &file.url, |text| QdrantUrl::parse(text.expose()))]);
        warnings.extend(url.as_ref().and_then(doubt));
        let path: Candidate<PathBuf> = layers.config("drill.api_key_file", &file.api_key_file, absolute);
        let api_key_file = layers.choose([path]);
        let api_key = api_key_file.as_ref().and_then(|file| read_key(layers, opts, file, warnings));
        let max_size_bytes = layers
            .choose_or([layers.config("drill.max_size", &file.max_size, as_is)], DEFAULT_MAX_SIZE_BYTES);
        Self {
            url: optional(url),
            api_key,
            api_key_file: optional(api_key_file),
            schedule: optional(schedule),
            max_size_bytes,
        }
    }
}
