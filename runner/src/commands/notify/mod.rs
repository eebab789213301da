//! Telling others how a scheduled run went: commands of the user's own, and a dead man's service.
//!
//! Nothing here can fail a backup: what goes wrong is a warning in the log. The commands that call this are those that a
//! schedule starts, `run` and `backup` of everything; what a person tries out by hand says nothing about the schedule.

mod event;
mod hook;
mod ping;

pub use event::{Ended, Event};

use std::path::PathBuf;
use std::time::Duration;

use qdrant_backup_shared::config_file::HookCommand;
use qdrant_backup_shared::config_file::PingStyle;
use qdrant_backup_shared::config_file::keys::{
    BACKUP_PATH, CA_FILE, HOOK_TIMEOUT, ON_FAILURE, ON_PARTIAL, ON_SKIPPED, ON_SUCCESS, PING_STYLE,
};
use tokio::task::JoinHandle;

use crate::settings::Settings;
use hook::Hook;
use ping::Ping;

/// The user's commands and the dead man's service.
#[derive(Debug)]
pub struct Notifier {
    on_success: Option<HookCommand>,
    on_failure: Option<HookCommand>,
    on_partial: Option<HookCommand>,
    on_skipped: Option<HookCommand>,
    timeout: Duration,
    ping: Option<Ping>,
    directory: PathBuf,
    /// The message of the start, which may still be on its way.
    start: Option<JoinHandle<()>>,
}

impl Notifier {
    /// Whoever the settings name.
    pub fn new(settings: &Settings) -> Self {
        let ping = settings.ping_url.as_ref().and_then(|url| {
            let style = settings.get(&PING_STYLE).unwrap_or(PingStyle::Healthchecks);
            Ping::new(url, style, settings.get(&CA_FILE))
                .map_err(|problem| tracing::warn!("hooks.ping_url: {problem}; no ping is sent"))
                .ok()
        });
        Self {
            on_success: settings.get(&ON_SUCCESS),
            on_failure: settings.get(&ON_FAILURE),
            on_partial: settings.get(&ON_PARTIAL),
            on_skipped: settings.get(&ON_SKIPPED),
            timeout: settings.get(&HOOK_TIMEOUT),
            ping,
            directory: settings.get(&BACKUP_PATH),
            start: None,
        }
    }

    /// Says that a run has begun, without keeping it waiting. To be called once it has the lock.
    pub fn started(&mut self) {
        self.start = self.ping.clone().map(|ping| tokio::spawn(async move { ping.start().await }));
    }

    /// Says how a run ended: the command of that event first, then the dead man's service.
    pub async fn ended(&mut self, ended: &Ended<'_>) {
        // The service is to hear of the start before it hears of the end.
        if let Some(start) = self.start.take()
            && let Err(error) = start.await
        {
            tracing::warn!("cannot report the start to the dead man's switch: {error}");
        }
        let event = ended.event();
        if let Some((key, command)) = self.command_for(event) {
            let hook = Hook { command, timeout: self.timeout };
            match hook.run(&ended.essentials(&self.directory), &ended.report_json()).await {
                Ok(()) => tracing::debug!("Ran {key}"),
                Err(problem) => {
                    tracing::warn!("{key}: {problem}; the backup itself is not affected");
                }
            }
        }
        if let Some(ping) = &self.ping {
            match event {
                Event::Success => ping.success().await,
                Event::Failure | Event::Partial => ping.failure().await,
                // Whoever holds the lock has pinged, or will.
                Event::Skipped => {}
            }
        }
    }

    /// Without a command of its own, a partial failure is a failure.
    fn command_for(&self, event: Event) -> Option<(&'static str, &HookCommand)> {
        let (key, command) = match event {
            Event::Success => ("hooks.on_success", &self.on_success),
            Event::Partial if self.on_partial.is_some() => ("hooks.on_partial", &self.on_partial),
            Event::Partial | Event::Failure => ("hooks.on_failure", &self.on_failure),
            Event::Skipped => ("hooks.on_skipped", &self.on_skipped),
        };
        Some((key, command.as_ref()?))
    }
}
