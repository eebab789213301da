//! What this program is and what it was built from.

/// The release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit; empty unless `cargo xtask dist` built it.
pub const REVISION: &str = env!("QDRANT_BACKUP_BUILT_FROM");

/// The compiler's version.
pub const RUST_VERSION: &str = env!("QDRANT_BACKUP_RUST_VERSION");

/// The system it was built for.
pub const TARGET: &str = env!("QDRANT_BACKUP_TARGET");

/// What `--version` prints, in the form of Prometheus' own programs.
pub fn version_text() -> String {
    format!(
        "qdrant-backup-exporter, version {VERSION} (branch: , revision: {REVISION})\n  rust version:     {RUST_VERSION}\n  \
         platform:         {TARGET}\n"
    )
}
