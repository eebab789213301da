//! Output on stderr: log lines, and progress on a terminal.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::config_file::LogFormat;
use qdrant_backup_shared::text::{one_line, shortened};
use serde_json::json;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt::layer};

use crate::host::clock::Clock;

/// Log lines and progress bars, without overwriting each other.
#[derive(Debug, Clone)]
pub struct Console {
    bars: MultiProgress,
}

impl Console {
    /// A console that shows progress when `interactive`.
    pub fn new(interactive: bool) -> Self {
        let target = if interactive { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target) }
    }

    /// A subscriber that writes this program's events of at least `level` as
    /// `[2025-07-15 14:30:00] INFO: Created snapshot for mixtral_embeddings`, or as JSON objects with `time`, `level`
    /// and `message`. Libraries' events are omitted: they are not meant for our users and may contain secrets.
    pub fn subscriber(
        &self,
        level: Level,
        format: LogFormat,
        clock: Clock,
    ) -> impl Subscriber + Send + Sync + use<> {
        let lines = layer()
            // A log that cannot be written (full disk, closed pipe) must not stop a backup.
            .log_internal_errors(false)
            .event_format(Lines { format, clock })
            .with_writer(AboveBars { bars: self.bars.clone() })
            .with_filter(filter_fn(move |event| {
                *event.level() <= level && event.target().starts_with("qdrant_backup")
            }));
        tracing_subscriber::registry().with(lines)
    }

    /// A progress bar for `total_bytes` of `collection`.
    pub fn transfer(&self, collection: &CollectionName, total_bytes: u64) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(total_bytes));
        let template = "{prefix:.bold} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} ETA {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(shortened(&collection.to_string(), 40));
        bar.enable_steady_tick(Duration::from_millis(500));
        bar
    }

    /// A progress bar for about `total` points of `collection`, if known.
    pub fn points(&self, collection: &CollectionName, total: Option<u64>) -> ProgressBar {
        let bar = self.bars.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
        let template = match total {
            Some(_) => "{prefix:.bold} [{bar:30}] {human_pos}/{human_len} points {per_sec} ETA {eta}",
            None => "{prefix:.bold} {spinner} {human_pos} points {per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(shortened(&collection.to_string(), 40));
        bar.enable_steady_tick(Duration::from_millis(500));
        bar
    }
}

/// One event, one line.
struct Lines {
    format: LogFormat,
    clock: Clock,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = event.metadata().level();
        let now = self.clock.now();
        let mut message = String::new();
        context.field_format().format_fields(Writer::new(&mut message), event)?;
        // Whatever was forgotten to be made fit for a line before.
        let message = one_line(&message);
        match self.format {
            LogFormat::Text => {
                writeln!(writer, "[{}] {level}: {message}", now.format("%Y-%m-%d %H:%M:%S"))
            }
            LogFormat::Json => {
                let line =
                    json!({ "time": now, "level": level.to_string().to_lowercase(), "message": message });
                writeln!(writer, "{line}")
            }
        }
    }
}

/// Writes to stderr while the progress bars are hidden.
#[derive(Debug, Clone)]
struct AboveBars {
    bars: MultiProgress,
}

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
