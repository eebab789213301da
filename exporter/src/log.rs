//! What the exporter logs: one line an event on stderr, in logfmt or JSON, as Prometheus' own programs do.
//!
//! Only this program's events are written: libraries' are not meant for its users.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use qdrant_backup_shared::text::one_line;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `key=value`.
    Logfmt,
    /// One JSON object per line.
    Json,
}

/// A subscriber that writes this program's events from `level` up to stderr.
pub fn subscriber(
    level: Level,
    format: Format,
    clock: fn() -> DateTime<Utc>,
) -> impl Subscriber + Send + Sync {
    Registry::default().with(Lines { level, format, clock, write: to_stderr })
}

/// Has panics told in the log's own form. One that comes again, as with each look, is told once.
pub fn tell_of_panics() {
    let told = Mutex::new(BTreeSet::new());
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if told.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone()) {
            let reason = panic.payload_as_str().unwrap_or_default();
            tracing::error!(at = place, err = reason, "A fault in this program");
        }
    }));
}

/// A log that nobody reads any more is no reason to end.
fn to_stderr(line: &str) {
    io::stderr().lock().write_all(line.as_bytes()).unwrap_or(());
}

struct Lines {
    level: Level,
    format: Format,
    clock: fn() -> DateTime<Utc>,
    write: fn(&str),
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with("qdrant_backup")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        (self.write)(&line(self.format, (self.clock)(), *event.metadata().level(), &fields));
    }
}

/// The fields of an event in order, the message apart.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn put(&mut self, field: &Field, text: &str) {
        match field.name() {
            "message" => self.message = one_line(text),
            name => self.others.push((name, one_line(text))),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }
}

fn line(format: Format, now: DateTime<Utc>, level: Level, fields: &Fields) -> String {
    let time = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let message = &fields.message;
    match format {
        Format::Json => {
            let fields = fields.others.iter().map(|(name, text)| (*name, text.as_str()));
            let first = [("time", &*time), ("level", level.as_str()), ("msg", message.as_str())];
            let object: Map<_, _> =
                first.into_iter().chain(fields).map(|(name, text)| (name.to_owned(), text.into())).collect();
            format!("{}\n", Value::Object(object))
        }
        Format::Logfmt => {
            let mut line = format!("time={time} level={level} msg={}", word(message));
            for (name, value) in &fields.others {
                let text = word(value);
                // Writing to a string cannot fail.
                write!(line, " {name}={text}").unwrap_or(());
            }
            line.push('\n');
            line
        }
    }
}

/// `text` as logfmt has it: in quotes where it would not be one word.
fn word(text: &str) -> String {
    let plain = |character: char| !character.is_whitespace() && !matches!(character, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: Format) -> String {
        let fields = Fields {
            message: "Listening on".to_owned(),
            others: vec![("address", "[::]:19854".to_owned()), ("err", "a \"b\"=c".to_owned())],
        };
        line(format, "2025-07-15T14:30:00.5Z".parse().unwrap(), Level::INFO, &fields)
    }

    #[test]
    fn lines_look_as_prometheus_programs_write_them() {
        assert_eq!(
            shown(Format::Logfmt),
            "time=2025-07-15T14:30:00.500Z level=INFO msg=\"Listening on\" address=[::]:19854 \
             err=\"a \\\"b\\\"=c\"\n"
        );
        let json: Value = serde_json::from_str(&shown(Format::Json)).unwrap();
        assert_eq!(json["msg"], "Listening on");
        assert_eq!(json["address"], "[::]:19854");
    }
}
