//! Prints the table of `docs/metrics.md`, for `cargo xtask metrics`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().write_all(qdrant_backup_exporter::metrics::reference().as_bytes())
}
