//! The input of setup.

use std::num::NonZeroU32;
use std::path::PathBuf;

use qdrant_backup_shared::config_file::Compression;
use qdrant_backup_shared::config_file::keys::{
    API_KEY_FILE, BACKUP_PATH, CA_FILE, COMPRESSION, KEEP_DAYS, STATE_DIR,
};

use super::super::Refusal;
use super::super::repository::absolute;
use crate::commands::cli::SetupArgs;
use crate::qdrant::Identity;
use crate::settings::{Schedule, Settings, Source, TimeZone};

const USUAL_DAYS: NonZeroU32 = NonZeroU32::new(7).unwrap();
const USUAL_CRON: &str = "0 2 * * *";

/// The future contents of `backup.yaml`.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Qdrant's URL. Contains a password only if it was typed in.
    pub url: String,
    /// The file of the API key.
    pub api_key_file: Option<PathBuf>,
    /// Further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// The client certificate and its key.
    pub identity: Option<Identity>,
    /// The backup directory.
    pub path: PathBuf,
    /// The state directory, if it is separate.
    pub state_dir: Option<PathBuf>,
    /// How archives are stored, if set.
    pub compression: Option<Compression>,
    /// The schedule of backups.
    pub cron: String,
    /// Time zone of the schedule, if it is not the machine's.
    pub timezone: Option<String>,
    /// Number of days to keep backups.
    pub keep_days: NonZeroU32,
}

impl Answers {
    /// From the options, otherwise from the existing configuration, otherwise the defaults.
    ///
    /// # Errors
    /// When an option is invalid, or the existing URL contains a password, which is not copied.
    pub fn new(settings: &Settings, args: &SetupArgs) -> Result<Self, Refusal> {
        if settings.qdrant.url.basic_auth().is_some() {
            return Err(Refusal::configuration(
                "qdrant.url contains a password, which setup does not copy; write backup.yaml by hand, then run `qdrant-backup init` and `config check --trial`",
            ));
        }
        let path = settings.get(&BACKUP_PATH);
        let compression = settings.get(&COMPRESSION);
        let timezone = match (&args.timezone, settings.timezone) {
            (Some(zone), _) => {
                let zone = TimeZone::parse(zone)
                    .map_err(|error| Refusal::configuration(format!("--timezone: {error}")))?;
                named(zone)
            }
            (None, zone) => named(zone),
        };
        let configured = settings.schedule.as_ref().map(|schedule| schedule.expression().to_owned());
        let answers = Self {
            url: settings.qdrant.url.to_string(),
            // On the command line they may be relative.
            api_key_file: settings.get(&API_KEY_FILE).as_deref().map(absolute).transpose()?,
            ca_file: settings.get(&CA_FILE).as_deref().map(absolute).transpose()?,
            identity: super::super::connect::identity(settings),
            state_dir: settings.get(&STATE_DIR).filter(|state| *state != path),
            path,
            compression: (settings.source(&COMPRESSION) != Source::Default).then_some(compression),
            cron: args.schedule.clone().or(configured).unwrap_or_else(|| USUAL_CRON.to_owned()),
            timezone,
            keep_days: args.keep_days.or(settings.get(&KEEP_DAYS)).unwrap_or(USUAL_DAYS),
        };
        answers
            .check_cron(&answers.cron)
            .map_err(|problem| Refusal::configuration(format!("--schedule: {problem}")))?;
        Ok(answers)
    }

    /// Whether `cron` is a schedule.
    ///
    /// # Errors
    /// Why it is invalid.
    pub fn check_cron(&self, cron: &str) -> Result<(), String> {
        let zone = self.timezone.as_deref().unwrap_or("local");
        let zone = TimeZone::parse(zone).map_err(|error| error.to_string())?;
        Schedule::parse(cron, zone).map(drop).map_err(|error| error.to_string())
    }
}

fn named(zone: TimeZone) -> Option<String> {
    match zone {
        TimeZone::Local => None,
        TimeZone::Named(zone) => Some(zone.name().to_owned()),
    }
}
