//! `qdrant-backup-exporter`: Prometheus metrics about the backups that `qdrant-backup` made.

use clap::Parser;

/// Prometheus metrics about the backups that qdrant-backup made. This release has no metrics yet.
#[derive(Parser)]
#[command(name = "qdrant-backup-exporter", version)]
struct Cli {}

fn main() {
    Cli::parse();
}
