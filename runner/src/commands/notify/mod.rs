//! Notifications about scheduled runs: hooks and a dead man's switch.
//!
//! Nothing here can make a backup fail: problems are logged as warnings. Only the commands for schedules use it, `run` and
//! `backup` of everything.

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

/// The hooks and the dead man's switch.
#[derive(Debug)]
pub struct Notifier {
    on_success: Option<HookCommand>,
    on_failure: Option<HookCommand>,
    on_partial: Option<HookCommand>,
    on_skipped: Option<HookCommand>,
    timeout: Duration,
    ping: Option<Ping>,
    directory: PathBuf,
    /// The pending ping of the start.
    start: Option<JoinHandle<()>>,
}

impl Notifier {
    /// Takes hooks and ping address from the settings.
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

    /// Reports the start of a run, in the background. To be called when it has the lock.
    pub fn started(&mut self) {
        self.start = self.ping.clone().map(|ping| tokio::spawn(async move { ping.start().await }));
    }

    /// Reports the outcome of a run: first the hook of this event, then the dead man's switch.
    pub async fn ended(&mut self, ended: &Ended<'_>) {
        // The start must be reported before the end.
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
                // The holder of the lock sends the pings.
                Event::Skipped => {}
            }
        }
    }

    /// Without its own hook, a partial failure counts as a failure.
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
