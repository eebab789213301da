//! `verify`, `restore`, `drill`, `run`, `hooks`, `log`: everything else.

#![expect(missing_docs, reason = "each says itself what it means")]

use std::path::PathBuf;
use std::time::Duration;

use super::super::hook::{self, HookCommand};
use super::super::kinds;
use super::super::knob::{Declared, Follows, Knob};
use super::super::types::{LogFormat, LogLevel, PingStyle, SecretText};

pub(super) static VERIFY: &[&dyn Declared] = &[&REREAD_WITHIN_DAYS];

pub static REREAD_WITHIN_DAYS: Knob<u32> = Knob::new("verify.reread_within_days", kinds::DAYS)
    .default("30")
    .meaning("Number of days in which scheduled runs verify every stored backup once, a part in each run. The newest backup of each collection is verified in every run.");

pub(super) static RESTORE: &[&dyn Declared] = &[&SETTLE_TIMEOUT];

pub static SETTLE_TIMEOUT: Knob<Duration> = Knob::new("restore.settle_timeout", kinds::TIMEOUT)
    .default("10m")
    .meaning("Maximum time after the upload until a restored collection is ready: green, all replicas active, and no updates queued (if the server reports the queue).");

pub(super) static DRILL: &[&dyn Declared] = &[&DRILL_URL, &DRILL_API_KEY_FILE, &DRILL_CRON, &DRILL_MAX_SIZE];

pub static DRILL_URL: Knob<Option<SecretText>> = Knob::new("drill.url", kinds::URL)
    .example("https://qdrant-test.example.org:6333")
    .meaning("Server that `drill` restores to, into a scratch collection. Preferably not the server that is backed up. `user:password@` works as in `qdrant.url`.");

pub static DRILL_API_KEY_FILE: Knob<Option<PathBuf>> =
    Knob::new("drill.api_key_file", kinds::FILE).example("/etc/qdrant-backup/api-key").meaning(
        "File with the API key of the drill server. The API key of `qdrant` is never sent to another server.",
    );

pub static DRILL_CRON: Knob<Option<String>> = Knob::new("drill.cron", kinds::TEXT)
    .example(r#""0 4 * * 0""#)
    .meaning("Schedule of drills in `run`, as a cron expression: the first run after each of these times also does a drill. Needs `drill.url`.");

pub static DRILL_MAX_SIZE: Knob<u64> = Knob::new("drill.max_size", kinds::SIZE)
    .default("1GiB")
    .meaning("Largest snapshot that `drill --on-source` restores on the server that is backed up. A restore needs two to three times the disk and memory.");

pub(super) static RUN: &[&dyn Declared] = &[&RUN_VERIFY, &RUN_PRUNE];

pub static RUN_VERIFY: Knob<bool> = Knob::new("run.verify", kinds::SWITCH)
    .default("true")
    .meaning("Verify backups in `run`: the newest one of each collection, and a part of the others.");

pub static RUN_PRUNE: Knob<bool> = Knob::new("run.prune", kinds::SWITCH)
    .default("true")
    .meaning("Apply retention in `run`. Without any retention rule nothing is deleted.");

pub(super) static HOOKS: &[&dyn Declared] =
    &[&ON_SUCCESS, &ON_FAILURE, &ON_PARTIAL, &ON_SKIPPED, &HOOK_TIMEOUT, &PING_URL, &PING_STYLE];

pub static ON_SUCCESS: Knob<Option<HookCommand>> = Knob::new("hooks.on_success", hook::COMMAND)
    .example("[/usr/local/bin/backup-ok, --quiet]")
    .meaning("Command to run after a successful run: a string for the shell, or a list `[program, argument, …]`; see [below](#hooks). `config show` prints only its first word.");

pub static ON_FAILURE: Knob<Option<HookCommand>> = Knob::new("hooks.on_failure", hook::COMMAND)
    .example(r#"mail -s "$QDRANT_BACKUP_EVENT of $(hostname)" on-call@example.org"#)
    .meaning("Command to run after a run that failed, was interrupted, or found a bad backup.");

pub static ON_PARTIAL: Knob<Option<HookCommand>> = Knob::new("hooks.on_partial", hook::COMMAND)
    .unset_is("same as `on_failure`")
    .example("/usr/local/bin/backup-partial")
    .meaning("Command to run after a run in which only some collections failed.");

pub static ON_SKIPPED: Knob<Option<HookCommand>> = Knob::new("hooks.on_skipped", hook::COMMAND)
    .example(r#"logger "a backup was skipped""#)
    .meaning("Command to run after a run that was skipped because another run held the lock.");

pub static HOOK_TIMEOUT: Knob<Duration> = Knob::new("hooks.timeout", kinds::TIMEOUT)
    .default("60s")
    .meaning("Maximum time for a command. After that, it is killed with all processes of its group.");

pub static PING_URL: Knob<Option<SecretText>> = Knob::new("hooks.ping_url", kinds::URL)
    .variable("BACKUP_PING_URL")
    .example("https://ping.example.org/00000000-0000-0000-0000-000000000000")
    .meaning("URL of a dead man's switch, a service that alerts when no ping arrives. Only its host is ever shown.");

pub static PING_STYLE: Knob<Option<PingStyle>> = Knob::new("hooks.ping_style", kinds::PING_STYLE)
    .unset_is("from the URL")
    .example("healthchecks")
    .meaning("Type of this service: `healthchecks` or `uptime-kuma`. By default `uptime-kuma` if the URL contains `/api/push/`; see [below](#hooks).");

pub(super) static LOG: &[&dyn Declared] = &[&LOG_LEVEL, &LOG_FORMAT];

pub static LOG_LEVEL: Knob<LogLevel> = Knob::new("log.level", kinds::choices())
    .option("--log-level", Follows::Text("LEVEL"), "Minimum log level: error, warn, info, debug, trace")
    .default("info")
    .meaning("Minimum log level: `error`, `warn`, `info`, `debug` or `trace`.");

pub static LOG_FORMAT: Knob<LogFormat> = Knob::new("log.format", kinds::choices())
    .option("--log-format", Follows::Text("FORMAT"), "Log format: text or json")
    .default("text")
    .meaning(
        "Log format: `text` for people, or `json`, one object per line with `time`, `level` and `message`.",
    );
