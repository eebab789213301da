//! Why a file was not imported.

use std::io;
use std::path::PathBuf;

use qdrant_backup_shared::digest::Sha256Digest;

/// A file did not become a backup. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The name does not contain the collection.
    #[error("the name does not say which collection this is; give it with `--collection`")]
    NoCollection,
    /// The name can be read in two ways.
    #[error(
        "this may be a snapshot of collection \"{one}\" or of \"{other}\"; choose one with `--collection`"
    )]
    Ambiguous {
        /// One way to read it.
        one: String,
        /// Other possible collection.
        other: String,
    },
    /// It is in the directory of another collection.
    #[error(
        "it is in the directory of a collection other than \"{collection}\"; move it elsewhere to import it"
    )]
    OtherDirectory {
        /// The requested collection.
        collection: String,
    },
    /// It is in the backup directory and is not an orphan.
    #[error(
        "it is in the backup directory and is not an archive without a manifest, so there is nothing to import; if its manifest is \
         damaged, move that out of the directory first"
    )]
    NotAnOrphan,
    /// It would be stored as a backup of configuration files.
    #[error(
        "\"/files\" is not a collection: it stands for backups of configuration files; give the collection with `--collection`"
    )]
    NotACollection,
    /// A directory, a pipe, or anything else that is not a file.
    #[error("not a regular file")]
    NotAFile,
    /// The content is a snapshot of one shard.
    #[error(
        "not a whole snapshot of a collection but of a single shard, without the collection's configuration \
         and its other shards; nothing was imported: import the directory that `export` wrote for the whole \
         backup, or upload the file by hand to that shard of a collection with the same configuration"
    )]
    SingleShard,
    /// A directory that was not written by `export`.
    #[error("not a directory that `export` wrote for a backup by shards: {problem}")]
    NotExported {
        /// What is wrong with it.
        problem: String,
    },
    /// A shard of an exported directory does not match its manifest.
    #[error("shard {shard_id}: {error}")]
    Shard {
        /// Id of the shard.
        shard_id: u32,
        /// Problem with its file.
        error: Box<ImportError>,
    },
    /// It is complete, but not the one of the manifest.
    #[error("its SHA-256 is {}…, but manifest.json says {}…: it is not the file that was exported", got.short(), expected.short())]
    NotTheExported {
        /// The value in the manifest.
        expected: Sha256Digest,
        /// The computed value.
        got: Sha256Digest,
    },
    /// The content is not a whole snapshot.
    #[error("not a whole snapshot: {problem}")]
    Contents {
        /// The problem, with the member's name.
        problem: String,
    },
    /// It decompresses to too much data.
    #[error(
        "it decompresses to more than {}, too much for a snapshot of {}; if it is one, decompress it yourself and import that file",
        indicatif::HumanBytes(*most),
        indicatif::HumanBytes(*stored)
    )]
    Expands {
        /// Bytes of the file.
        stored: u64,
        /// Maximum decompressed size, in bytes.
        most: u64,
    },
    /// Qdrant's checksum file does not match.
    #[error("Qdrant's checksum file beside it says {}…, but the snapshot has {}…", expected.short(), got.short())]
    ChecksumMismatch {
        /// The value in the file.
        expected: Sha256Digest,
        /// The computed value.
        got: Sha256Digest,
    },
    /// Qdrant's checksum file is invalid.
    #[error("the checksum file beside it, {}, {problem}; correct it, or move it away to import without it", path.display())]
    Checksum {
        /// The checksum file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The copy would not fit.
    #[error("the copy needs {needed} bytes, but only {available} are free")]
    NoRoom {
        /// The size of the copy in bytes.
        needed: u64,
        /// The free space in bytes.
        available: u64,
    },
    /// A signal was received.
    #[error("interrupted by a signal")]
    Interrupted,
    /// Reading or writing failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl ImportError {
    /// For `map_err`: a file operation that was `what`.
    pub fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
