//! The command line: the common flags of Prometheus exporters, and the location of the backups.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::log::Format;

/// Prometheus metrics about the backups that qdrant-backup made, and a status page for people.
#[derive(Parser)]
#[command(name = "qdrant-backup-exporter", max_term_width = 100, disable_version_flag = true)]
#[command(
    after_help = "Exit codes: 0 stopped by a signal, or --once with `qdrant_backup_up` 1; 1 failed, or --once \
    with `qdrant_backup_up` 0; 2 usage; 78 configuration."
)]
pub struct Cli {
    /// Address to listen on; may be repeated. `:PORT` means every address of the machine
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":19854")]
    pub listen_addresses: Vec<String>,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    pub telemetry_path: String,
    /// File with TLS, basic auth and headers, in the format of Prometheus' exporter-toolkit
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Maximum number of requests answered at once; others wait briefly, then get 503. 0 means no limit
    #[arg(long = "web.max-requests", value_name = "NUMBER", default_value_t = 40)]
    pub max_requests: u32,
    /// Minimum log level
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", value_parser = log_level())]
    pub log_level: tracing::Level,
    /// Log format
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub log_format: Format,
    /// Configuration file [default: /etc/qdrant-backup/backup.yaml, else /opt/qdrant/config/backup.yaml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Backup directory [env: QDRANT_BACKUP_PATH] [default: /opt/qdrant/backups]
    #[arg(long, value_name = "DIR")]
    pub backup_dir: Option<PathBuf>,
    /// Directory for status files [env: QDRANT_BACKUP_STATE_DIR] [default: the backup directory]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Print the metrics once and exit, for node_exporter's textfile collector
    #[arg(long)]
    pub once: bool,
    /// With --once: write the metrics to this file, atomically
    #[arg(long, value_name = "FILE", requires = "once")]
    pub output: Option<PathBuf>,
    /// Print the version
    #[arg(long)]
    pub version: bool,
}

/// Level names as in Prometheus' programs.
fn log_level() -> impl TypedValueParser<Value = tracing::Level> {
    PossibleValuesParser::new(["debug", "info", "warn", "error"]).try_map(|level| level.parse())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
