//! `--from NAME`: reads the copies in an offsite place instead of the backup directory, which may be lost.

use qdrant_backup_shared::{CollectionName, Repository, json_file};

use super::refusal::Refusal;
use super::repository;
use crate::archive::read::Source;
use crate::commands::cli::FromArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::signals::Signals;
use crate::offsite::{Copies, OffsiteError, Restic, Wanted};
use crate::session::Session;
use crate::settings::{PlaceSettings, Settings};

/// The source of backups for a command.
pub struct From {
    settings: Settings,
    copies: Option<Copies>,
}

/// The place with this name.
///
/// # Errors
/// When it does not exist. The message lists the configured names.
pub fn place<'s>(settings: &'s Settings, name: &str) -> Result<&'s PlaceSettings, Refusal> {
    settings.offsite.iter().find(|place| place.name() == name).ok_or_else(|| {
        let names: Vec<&str> = settings.offsite.iter().map(PlaceSettings::name).collect();
        let known = if names.is_empty() {
            "none is configured (offsite, see docs/offsite.md)".to_owned()
        } else {
            format!("the configured places are {}", names.join(", "))
        };
        Refusal::configuration(format!(
            "there is no offsite place \"{}\": {known}",
            qdrant_backup_shared::text::shortened(name, 60)
        ))
    })
}

/// Exit code of a command that failed at a place.
pub fn refusal(error: &OffsiteError, interrupt: Option<crate::host::signals::Signal>) -> Refusal {
    let exit = match error {
        OffsiteError::NoProgram { .. }
        | OffsiteError::TooOld { .. }
        | OffsiteError::Unreadable(_)
        | OffsiteError::NoRepository { .. }
        | OffsiteError::WrongPassword { .. } => Exit::Configuration,
        OffsiteError::Locked { .. } => Exit::Locked,
        OffsiteError::Damaged(_) => Exit::VerificationFailed,
        OffsiteError::Interrupted => interrupt.map_or(Exit::Failed, Exit::Interrupted),
        OffsiteError::NoSpace(_)
        | OffsiteError::ReadOnly
        | OffsiteError::Unreachable(_)
        | OffsiteError::Refused(_)
        | OffsiteError::Failed { .. }
        | OffsiteError::Answer { .. }
        | OffsiteError::Archive(_)
        | OffsiteError::NotAsManifest { .. }
        | OffsiteError::Unsupported(_)
        | OffsiteError::Manifest(_)
        | OffsiteError::Local { .. }
        | OffsiteError::Kept(_) => Exit::Failed,
    };
    Refusal { exit, message: error.to_string() }
}

impl From {
    /// Reads the copies of these collections (all, if empty) in the given place; without a place, the backup directory.
    ///
    /// # Errors
    /// When there is no such place, or it cannot be used.
    pub fn look(
        settings: &Settings,
        args: &FromArgs,
        collections: &[CollectionName],
        signals: Option<&Signals>,
        clock: Clock,
    ) -> Result<Self, Refusal> {
        let Some(name) = &args.from else { return Ok(Self { settings: settings.clone(), copies: None }) };
        let restic =
            Restic::new(place(settings, name)?.clone(), signals.map(Signals::token).unwrap_or_default());
        let layout = repository::layout(settings);
        let here = json_file::read::<Repository>(&layout.repository_file()).ok();
        let wanted = Wanted {
            repository_id: args
                .repository
                .as_deref()
                .or(here.as_ref().map(|here| here.repository_id.as_str())),
            collections,
            local: here.as_ref().map(|_| &layout),
        };
        let copies = Copies::look(&restic, &wanted, clock.now()).map_err(|error| Refusal {
            message: format!("place {name}: {error}"),
            ..refusal(&error, signals.and_then(Signals::received))
        })?;
        for problem in &copies.problems {
            tracing::warn!("place {name}: {problem}");
        }
        let lacks = |collection: &&CollectionName| !copies.layout().collection(collection).exists();
        if let Some(collection) = collections.iter().find(lacks).filter(|_| copies.problems.is_empty()) {
            return Err(Refusal::failed(format!(
                "place {name} has no copy of \"{collection}\"; `qdrant-backup offsite list {name}` shows what it has"
            )));
        }
        tracing::debug!("The manifests of {name} are in {}", copies.path().display());
        Ok(Self { settings: settings.in_directory(copies.layout().clone()), copies: Some(copies) })
    }

    /// The settings for the directory with the manifests.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether this is a place instead of the backup directory.
    pub fn is_place(&self) -> bool {
        self.copies.is_some()
    }

    /// The source of archives.
    pub fn source(&self) -> Source {
        let layout = self.settings.layout();
        match &self.copies {
            Some(copies) => Source::elsewhere(layout, copies.archives()),
            None => Source::here(layout),
        }
    }

    /// Makes a session read its archives from this source.
    pub fn read_by(&self, session: &mut Session) {
        if let Some(copies) = &self.copies {
            session.read_from(copies.archives());
        }
    }
}
