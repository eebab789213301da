//! The common parts of `qdrant-backup` and its exporter: names, file formats and the backup directory.
//!
//! The backup directory is the only interface between the two programs, so everything in it is defined here once. This crate has
//! no HTTP, async, command line, logging or clock: callers pass in the time.

pub mod atomic;
pub mod backup_id;
pub mod catalog;
pub mod collection_name;
pub mod config_file;
pub mod digest;
pub mod encoding;
pub mod failure;
pub mod file_system;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod hold;
pub mod json_file;
pub mod last_refused;
pub mod last_skipped;
pub mod layout;
pub mod links;
pub mod lock_holder;
pub mod manifest;
pub mod offsite;
mod open_enum;
pub mod operation;
pub mod place_name;
pub mod place_status;
pub mod points_count;
pub mod points_sample;
pub mod regular_file;
pub mod repository;
pub mod run_report;
#[cfg(feature = "schema")]
pub mod schema;
pub mod scratch_name;
pub mod shard_key;
pub mod status;
pub mod status_journal;
pub mod text;
pub mod verification;

pub use backup_id::BackupId;
pub use collection_name::CollectionName;
pub use digest::Sha256Digest;
pub use failure::{Failure, FailureKind};
pub use hold::Hold;
pub use layout::Layout;
pub use manifest::Manifest;
pub use offsite::OffsiteRecord;
pub use operation::Operation;
pub use points_count::PointsCount;
pub use repository::Repository;
pub use shard_key::ShardKey;
pub use status::Status;
pub use verification::VerificationRecord;
