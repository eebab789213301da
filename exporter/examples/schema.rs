//! Prints the JSON Schema of `/api/v1/status`, for `cargo xtask schema`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().write_all(qdrant_backup_exporter::page::schema().as_bytes())
}
