//! Version and build information of this program.

/// The release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit. Empty unless built by `cargo xtask dist`.
pub const REVISION: &str = env!("QDRANT_BACKUP_BUILT_FROM");

/// The compiler's version.
pub const RUST_VERSION: &str = env!("QDRANT_BACKUP_RUST_VERSION");

/// The target platform.
pub const TARGET: &str = env!("QDRANT_BACKUP_TARGET");

/// The output of `--version`, in the format of Prometheus' own programs.
pub fn version_text() -> String {
    format!(
        "qdrant-backup-exporter, version {VERSION} (branch: , revision: {REVISION})\n  rust version:     {RUST_VERSION}\n  \
         platform:         {TARGET}\n"
    )
}
