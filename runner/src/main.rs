//! `qdrant-backup`: backs up Qdrant collections. One shot, started by cron or a systemd timer.

use std::process::ExitCode;

fn main() -> ExitCode {
    qdrant_backup_runner::main()
}
