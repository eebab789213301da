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
    .meaning("Within how many days scheduled runs read every stored backup again, a share at each run. The newest of each collection is read at every run.");

pub(super) static RESTORE: &[&dyn Declared] = &[&SETTLE_TIMEOUT];

pub static SETTLE_TIMEOUT: Knob<Duration> = Knob::new("restore.settle_timeout", kinds::TIMEOUT)
    .default("10m")
    .meaning("How long a restored collection may take, once it is uploaded, until it is green, its replicas are active, and no update waits in its queue (where the server tells).");

pub(super) static DRILL: &[&dyn Declared] = &[&DRILL_URL, &DRILL_API_KEY_FILE, &DRILL_CRON, &DRILL_MAX_SIZE];

pub static DRILL_URL: Knob<Option<SecretText>> = Knob::new("drill.url", kinds::URL)
    .example("https://qdrant-test.example.org:6333")
    .meaning("The server that `drill` restores to, for a test and into a collection of its own. Best not the one that is backed up. `user:password@` as in `qdrant.url`.");

pub static DRILL_API_KEY_FILE: Knob<Option<PathBuf>> = Knob::new("drill.api_key_file", kinds::FILE)
    .example("/etc/qdrant-backup/api-key")
    .meaning("File with that server's API key. The key of `qdrant` is never sent to another server.");

pub static DRILL_CRON: Knob<Option<String>> = Knob::new("drill.cron", kinds::TEXT)
    .example(r#""0 4 * * 0""#)
    .meaning("How often `run` also drills, as a cron expression: a drill is made by the first run after each of its times. Needs `drill.url`.");

pub static DRILL_MAX_SIZE: Knob<u64> = Knob::new("drill.max_size", kinds::SIZE)
    .default("1GiB")
    .meaning("The largest snapshot that `drill --on-source` restores on the server that is backed up: it takes two to three times the disk and memory.");

pub(super) static RUN: &[&dyn Declared] = &[&RUN_VERIFY, &RUN_PRUNE];

pub static RUN_VERIFY: Knob<bool> = Knob::new("run.verify", kinds::SWITCH)
    .default("true")
    .meaning("Whether `run` verifies: the newest backup of each collection, and a share of the others.");

pub static RUN_PRUNE: Knob<bool> = Knob::new("run.prune", kinds::SWITCH)
    .default("true")
    .meaning("Whether `run` applies retention. Without any retention rule it deletes nothing.");

pub(super) static HOOKS: &[&dyn Declared] =
    &[&ON_SUCCESS, &ON_FAILURE, &ON_PARTIAL, &ON_SKIPPED, &HOOK_TIMEOUT, &PING_URL, &PING_STYLE];

pub static ON_SUCCESS: Knob<Option<HookCommand>> = Knob::new("hooks.on_success", hook::COMMAND)
    .example("/usr/local/bin/backup-ok")
    .meaning("Command for a scheduled run that succeeded; see [below](#hooks). `config show` shows its first word only.");

pub static ON_FAILURE: Knob<Option<HookCommand>> = Knob::new("hooks.on_failure", hook::COMMAND)
    .example(r#"mail -s "$QDRANT_BACKUP_EVENT of $(hostname)" on-call@example.org"#)
    .meaning("Command for one that failed, was interrupted, or found a bad backup.");

pub static ON_PARTIAL: Knob<Option<HookCommand>> = Knob::new("hooks.on_partial", hook::COMMAND)
    .unset_is("as `on_failure`")
    .example("/usr/local/bin/backup-partial")
    .meaning("Command for one in which only some collections failed.");

pub static ON_SKIPPED: Knob<Option<HookCommand>> = Knob::new("hooks.on_skipped", hook::COMMAND)
    .example(r#"logger "a backup was skipped""#)
    .meaning("Command for one that did nothing because another run held the lock.");

pub static HOOK_TIMEOUT: Knob<Duration> = Knob::new("hooks.timeout", kinds::TIMEOUT)
    .default("60s")
    .meaning("How long a command may take; then it is killed with all that it started.");

pub static PING_URL: Knob<Option<SecretText>> = Knob::new("hooks.ping_url", kinds::URL)
    .variable("BACKUP_PING_URL")
    .example("https://ping.example.org/00000000-0000-0000-0000-000000000000")
    .meaning("Address of a dead man's service, which complains when it is not called. Only its host is ever shown.");

pub static PING_STYLE: Knob<Option<PingStyle>> = Knob::new("hooks.ping_style", kinds::PING_STYLE)
    .unset_is("by the address")
    .example("healthchecks")
    .meaning("`healthchecks`, or `uptime-kuma`, which is also taken where the address has `/api/push/` in it; see [below](#hooks).");

pub(super) static LOG: &[&dyn Declared] = &[&LOG_LEVEL, &LOG_FORMAT];

pub static LOG_LEVEL: Knob<LogLevel> = Knob::new("log.level", kinds::choices())
    .option(
        "--log-level",
        Follows::Text("LEVEL"),
        "Least important lines to log: error, warn, info, debug, trace",
    )
    .default("info")
    .meaning("`error`, `warn`, `info`, `debug` or `trace`.");

pub static LOG_FORMAT: Knob<LogFormat> = Knob::new("log.format", kinds::choices())
    .option("--log-format", Follows::Text("FORMAT"), "How log lines are written: text or json")
    .default("text")
    .meaning("`text` for people, or `json`: an object with `time`, `level` and `message` a line.");
