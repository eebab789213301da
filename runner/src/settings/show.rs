//! `config show`: every setting with its value and where it came from, secrets masked.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use comfy_table::{Table, presets};
use qdrant_backup_shared::config_file::RetentionOverride;
use qdrant_backup_shared::text::one_line;
use serde_json::{Map, Value, json};

use super::hooks::HookCommand;
use super::load::Settings;
use super::selection::Globs;
use super::server_url::BasicAuth;
use super::setting::Setting;

const MASK: &str = "********";

/// A table for people: key, value, source; above it the files that were read, below it the warnings.
pub fn render_settings(settings: &Settings) -> String {
    let file = |path: &Option<PathBuf>| path.as_deref().map_or_else(|| "none".to_owned(), shown_path);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["KEY", "VALUE", "SOURCE"]);
    for row in rows(settings) {
        table.add_row([row.key.to_owned(), row.as_text(), row.source]);
    }
    let mut lines = vec![
        format!("configuration file: {}", file(&settings.config_file)),
        format!("env file: {}", file(&settings.env_file)),
        String::new(),
    ];
    lines.extend(table.lines().map(|line| line.trim().to_owned()));
    lines.extend(settings.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n") + "\n"
}

/// The same for programs: `settings` maps each key to `value` (null when unset) and `source`.
pub fn settings_json(settings: &Settings) -> Value {
    let all: Map<String, Value> = rows(settings)
        .into_iter()
        .map(|row| (row.key.to_owned(), json!({ "value": row.value, "source": row.source })))
        .collect();
    json!({
        "config_file": settings.config_file.as_deref().map(shown_path),
        "env_file": settings.env_file.as_deref().map(shown_path),
        "settings": all,
        "warnings": settings.warnings,
    })
}

struct Row {
    key: &'static str,
    value: Value,
    source: String,
}

impl Row {
    fn new<T>(key: &'static str, setting: &Setting<T>, show: impl FnOnce(&T) -> Value) -> Self {
        Self { key, value: show(&setting.value), source: setting.source.to_string() }
    }

    fn as_text(&self) -> String {
        let text = match &self.value {
            Value::Null => "none".to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(items) if items.is_empty() => "none".to_owned(),
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_)) => other.to_string(),
        };
        one_line(&text)
    }
}

/// One line for each key of `backup.yaml`, in the order of the documentation, and one for the API key.
fn rows(settings: &Settings) -> Vec<Row> {
    let Settings { qdrant, backup, retention, drill, run, hooks, .. } = settings;
    let keep = |count: &Option<_>| json!(count);
    vec![
        Row::new("qdrant.url", &qdrant.url, |url| with_mask(url, url.basic_auth())),
        Row::new("qdrant.api_key", &qdrant.api_key, |key| match (key, &qdrant.api_key_file.value) {
            (Some(_), _) => json!(MASK),
            (None, Some(_)) => json!("unreadable"),
            (None, None) => Value::Null,
        }),
        Row::new("qdrant.api_key_file", &qdrant.api_key_file, optional_path),
        Row::new("qdrant.ca_file", &qdrant.ca_file, optional_path),
        Row::new("qdrant.tls.cert_file", &qdrant.tls_cert_file, optional_path),
        Row::new("qdrant.tls.key_file", &qdrant.tls_key_file, optional_path),
        Row::new("qdrant.proxy", &qdrant.proxy, |proxy| {
            proxy.as_ref().map_or(Value::Null, |proxy| with_mask(proxy, proxy.basic_auth()))
        }),
        Row::new("qdrant.connect_timeout", &qdrant.connect_timeout, duration),
        Row::new("qdrant.stall_timeout", &qdrant.stall_timeout, duration),
        Row::new("qdrant.request_timeout", &qdrant.request_timeout, duration),
        Row::new("qdrant.create_timeout", &qdrant.create_timeout, duration),
        Row::new("qdrant.count_timeout", &qdrant.count_timeout, duration),
        Row::new("qdrant.wait_for_server", &qdrant.wait_for_server, duration),
        Row::new("qdrant.retries", &qdrant.retries, |retries| json!(retries)),
        Row::new("backup.path", &backup.path, |path| json!(shown_path(path))),
        Row::new("backup.state_dir", &backup.state_dir, |path| json!(shown_path(path))),
        Row::new("backup.compression", &backup.compression, text),
        Row::new("backup.include", &backup.selection.include, |globs| {
            globs.as_ref().map_or_else(|| json!(["*"]), |globs| json!(globs.patterns()))
        }),
        Row::new("backup.exclude", &backup.selection.exclude, |globs: &Globs| json!(globs.patterns())),
        Row::new("backup.include_files", &backup.include_files, |patterns| json!(patterns)),
        Row::new("backup.keep_server_snapshots", &backup.keep_server_snapshots, |keep| json!(keep)),
        Row::new("backup.jobs", &backup.jobs, |jobs| json!(jobs)),
        Row::new("backup.limit_rate", &backup.limit_rate, |rate| {
            json!(rate.map(|rate| indicatif::BinaryBytes(rate.get()).to_string()))
        }),
        Row::new("backup.lock_wait", &backup.lock_wait, duration),
        Row::new("schedule.cron", &settings.schedule, |schedule| {
            json!(schedule.as_ref().map(|schedule| schedule.expression()))
        }),
        Row::new("schedule.timezone", &settings.timezone, text),
        Row::new("retention.keep_days", &retention.keep_days, keep),
        Row::new("retention.keep_last", &retention.keep_last, keep),
        Row::new("retention.keep_hourly", &retention.keep_hourly, keep),
        Row::new("retention.keep_daily", &retention.keep_daily, keep),
        Row::new("retention.keep_weekly", &retention.keep_weekly, keep),
        Row::new("retention.keep_monthly", &retention.keep_monthly, keep),
        Row::new("retention.keep_yearly", &retention.keep_yearly, keep),
        Row::new("retention.gone_after_days", &retention.gone_after_days, keep),
        Row::new("retention.overrides", &retention.overrides, |overrides: &Vec<RetentionOverride>| {
            overrides.iter().map(rules_text).collect()
        }),
        Row::new("verify.reread_within_days", &settings.verify.reread_within_days, |days| json!(days)),
        Row::new("restore.settle_timeout", &settings.restore.settle_timeout, duration),
        Row::new("drill.url", &drill.url, |url| {
            url.as_ref().map_or(Value::Null, |url| with_mask(url, url.basic_auth()))
        }),
        Row::new("drill.api_key_file", &drill.api_key_file, optional_path),
        Row::new("drill.cron", &drill.schedule, |schedule| {
            json!(schedule.as_ref().map(|schedule| schedule.expression().to_owned()))
        }),
        Row::new("drill.max_size", &drill.max_size_bytes, |bytes| {
            json!(indicatif::BinaryBytes(*bytes).to_string())
        }),
        Row::new("run.verify", &run.verify, |yes| json!(yes)),
        Row::new("run.prune", &run.prune, |yes| json!(yes)),
        Row::new("hooks.on_success", &hooks.on_success, command),
        Row::new("hooks.on_failure", &hooks.on_failure, command),
        Row::new("hooks.on_partial", &hooks.on_partial, command),
        Row::new("hooks.on_skipped", &hooks.on_skipped, command),
        Row::new("hooks.timeout", &hooks.timeout, duration),
        Row::new("hooks.ping_url", &hooks.ping_url, |url| json!(url.as_ref().map(ToString::to_string))),
        Row::new("hooks.ping_style", &hooks.ping_style, |style| json!(style.to_string())),
        Row::new("log.level", &settings.log_level, text),
        Row::new("log.format", &settings.log_format, text),
    ]
}

/// A URL in which the credentials that were taken out are hinted at.
fn with_mask(url: &impl Display, auth: Option<&BasicAuth>) -> Value {
    let url = url.to_string();
    match (auth, url.split_once("://")) {
        (Some(_), Some((scheme, rest))) => json!(format!("{scheme}://{MASK}@{rest}")),
        (Some(_) | None, _) => json!(url),
    }
}

/// As `logs-*: keep_days 3, keep_last 2`.
fn rules_text(rules: &RetentionOverride) -> String {
    let set = rules.rules().into_iter().filter_map(|(key, count)| Some(format!("{key} {}", count?)));
    format!("{}: {}", rules.glob.value, set.collect::<Vec<_>>().join(", "))
}

/// The first word of a command: what follows it may hold a token.
fn command(command: &Option<HookCommand>) -> Value {
    let shown = |command: &HookCommand| match command {
        HookCommand::Shell(text) => match text.trim().split_once(char::is_whitespace) {
            Some((program, _)) => format!("{program} {MASK}"),
            None => text.trim().to_owned(),
        },
        HookCommand::Program { program, arguments } if arguments.is_empty() => shown_path(program),
        HookCommand::Program { program, .. } => format!("{} {MASK}", shown_path(program)),
    };
    json!(command.as_ref().map(shown))
}

fn text(value: &impl Display) -> Value {
    json!(value.to_string())
}

fn duration(value: &Duration) -> Value {
    json!(humantime::format_duration(*value).to_string())
}

fn optional_path(path: &Option<PathBuf>) -> Value {
    json!(path.as_deref().map(shown_path))
}

fn shown_path(path: &Path) -> String {
    one_line(&path.display().to_string())
}
