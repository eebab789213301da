//! The exporter's log: one line per event on stderr, in logfmt or JSON, as in Prometheus' own programs.
//!
//! Only this program's events are written. Those of libraries are not meant for its users.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use qdrant_backup_shared::text::one_line;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

/// The format of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `key=value`.
    Logfmt,
    /// One JSON object per line.
    Json,
}

/// A subscriber that writes this program's events of at least `level`.
pub fn subscriber(
    level: Level,
    format: Format,
    clock: fn() -> DateTime<Utc>,
) -> impl Subscriber + Send + Sync {
    Registry::default().with(Lines { level, format, clock })
}

/// Logs panics in the log's own format. A repeated panic, as with each observation, is logged once.
pub fn tell_of_panics() {
    let told = Mutex::new(BTreeSet::new());
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if told.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone()) {
            let reason = panic.payload_as_str().unwrap_or_default();
            tracing::error!(at = place, err = reason, "Error in this program");
        }
    }));
}

struct Lines {
    level: Level,
    format: Format,
    clock: fn() -> DateTime<Utc>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with("qdrant_backup")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let time = (self.clock)().to_rfc3339_opts(SecondsFormat::Millis, true);
        let level = event.metadata().level().to_string();
        let mut fields = Fields(vec![("time", time), ("level", level), ("msg", String::new())]);
        event.record(&mut fields);
        // A log that can no longer be written is not a reason to exit.
        io::stderr().lock().write_all(line(self.format, fields).as_bytes()).unwrap_or(());
    }
}

/// The fields of a line in order: time, level, message, and those of the event.
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.0[2].1 = one_line(value),
            name => self.0.push((name, one_line(value))),
        }
    }
}

fn line(format: Format, Fields(fields): Fields) -> String {
    match format {
        Format::Json => {
            let fields = fields.into_iter().map(|(name, text)| (name.to_owned(), text.into()));
            format!("{}\n", Value::Object(fields.collect()))
        }
        Format::Logfmt => {
            let words: Vec<_> = fields.iter().map(|(name, text)| format!("{name}={}", word(text))).collect();
            words.join(" ") + "\n"
        }
    }
}

/// `text` in logfmt: quoted unless it is one word.
fn word(text: &str) -> String {
    let plain = |character: char| !character.is_whitespace() && !matches!(character, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
