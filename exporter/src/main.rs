//! `qdrant-backup-exporter`: Prometheus metrics about the backups that `qdrant-backup` made.

use std::process::ExitCode;

fn main() -> ExitCode {
    qdrant_backup_exporter::main()
}
