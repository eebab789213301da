//! `qdrant-backup`: backs up Qdrant collections. Started by cron or a systemd timer, runs once and exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    qdrant_backup_runner::main()
}
