//! The journal of the status file: changes since the status file was last written completely.
//!
//! The status of many collections is large, and a run changes small parts of it often. Writing it completely each time would need
//! quadratic time. So each change is a line at the end of the journal, until the next full write. Its first line contains the
//! digest of the status file that it continues. With any other status file, for example from an older program, the journal is
//! ignored.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::collection_name::CollectionName;
use crate::digest::Sha256Digest;
use crate::json_file::{self, ReadError, SCHEMA_VERSION};
use crate::layout::Layout;
use crate::links;
use crate::operation::Operation;
use crate::place_status::PlaceStatus;
use crate::repository::Repository;
use crate::status::{
    CollectionStatus, Creating, CurrentRun, OperationStatus, PrunedBackup, RestoringShards, ServerSnapshot,
    Status, UnansweredUpload,
};

const WHAT: &str = "status journal";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Head {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// SHA-256 of the status file that the journal continues.
    pub status_sha256: Sha256Digest,
}

/// Every other line: a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusChange {
    /// The current run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_run: Option<CurrentRun>,
    /// Same as in the status.
    #[serde(default)]
    pub source_changed: bool,
    /// Same as in the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_seconds: Option<u64>,
    /// The changed histories of operations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<Operation, OperationStatus>,
    /// The changed histories of collections.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub collections: BTreeMap<CollectionName, CollectionStatus>,
    /// The changed histories of offsite places.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub offsite: BTreeMap<String, PlaceStatus>,
    /// Changes of this list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undeleted_snapshots: Option<ListChange<ServerSnapshot>>,
    /// Changes of this list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspected_leftovers: Option<ListChange<ServerSnapshot>>,
    /// Changes of this list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered_creations: Option<ListChange<Creating>>,
    /// Changes of this list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered_uploads: Option<ListChange<UnansweredUpload>>,
    /// Changes of this list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlisted_uploads: Option<ListChange<ServerSnapshot>>,
    /// Changes of this list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruning: Option<ListChange<PrunedBackup>>,
    /// Changes of this list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<ListChange<RestoringShards>>,
}

/// Changes of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListChange<T> {
    /// The indexes of removed entries, from 0, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<usize>,
    /// The entries added at the end, after the removal.
    pub new: Vec<T>,
}

/// A status, and the problem that prevents reading the end of its journal, if any.
#[derive(Debug)]
pub struct Kept {
    /// The latest status.
    pub status: Status,
    /// The problem of the journal. Its contents after that are lost.
    pub problem: Option<ReadError>,
}

/// Reads the status of `layout` with its journal. Can be called without the lock.
///
/// # Errors
/// When there is no status, or it cannot be read.
pub fn read(layout: &Layout) -> Result<Kept, ReadError> {
    let path = layout.status_file();
    loop {
        let stamp = stamp(&path);
        let bytes = json_file::read_bytes(&path).map_err(|error| behind_a_link(layout, error))?;
        let mut status: Status = json_file::parse(&path, &bytes)?;
        let (journal, problem) = match json_file::read_bytes(&layout.status_journal()) {
            Ok(journal) => (journal, None),
            Err(error) => (Vec::new(), (!error.is_not_found()).then_some(error)),
        };
        match problem.map_or_else(|| replay(layout, &bytes, &journal, &mut status), Err) {
            Ok(true) => return Ok(Kept { status, problem: None }),
            Err(problem) => return Ok(Kept { status, problem: Some(problem) }),
            Ok(false) => {}
        }
        // There is no journal, or one of another status. If a new status was written in the meantime, it contains the changes of
        // the journal.
        if self::stamp(&path) == stamp {
            return Ok(Kept { status, problem: None });
        }
    }
}

/// As [`read`], for programs that only look: the status must belong to the backup directory of `layout`.
///
/// # Errors
/// As there, and when it belongs to another one.
pub fn read_own(layout: &Layout) -> Result<Kept, ReadError> {
    let kept = read(layout)?;
    if let Ok(repository) = json_file::read::<Repository>(&layout.repository_file()) {
        check_owner(&kept.status, layout, &repository)?;
    }
    Ok(kept)
}

/// What is expected where there is the status of another backup directory, which no run replaces.
pub const OF_THIS_DIRECTORY: &str = "status of this backup directory";

/// Fails if `status` belongs to another backup directory than `repository`.
///
/// # Errors
/// As for an invalid file.
pub fn check_owner(status: &Status, layout: &Layout, repository: &Repository) -> Result<(), ReadError> {
    match &status.repository_id {
        Some(id) if *id != repository.repository_id => Err(ReadError::Malformed {
            path: layout.status_file(),
            what: OF_THIS_DIRECTORY,
            line: 1,
            problem: "it belongs to another backup directory; give each its own backup.state_dir, or move this file away if \
                      the other directory is gone"
                .to_owned(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// Identifies a status file, to notice its replacement.
fn stamp(path: &Path) -> Option<(u64, i64, i64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}

/// If the state directory is a dangling link, a missing status file means nothing.
fn behind_a_link(layout: &Layout, error: ReadError) -> ReadError {
    match links::leads_nowhere(layout.state()) {
        Some(source) if error.is_not_found() => ReadError::Io { path: layout.state().to_owned(), source },
        Some(_) | None => error,
    }
}

/// Applies the changes of `journal` to `status`, if it continues `written`. A last line without a newline was being written when
/// its run was killed.
pub(crate) fn replay(
    layout: &Layout,
    written: &[u8],
    journal: &[u8],
    status: &mut Status,
) -> Result<bool, ReadError> {
    let whole = journal.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut lines = (1..).zip(journal[..whole].split_inclusive(|byte| *byte == b'\n'));
    let Some((_, head)) = lines.next() else { return Ok(false) };
    let malformed = |line: usize, problem: String| ReadError::Malformed {
        path: layout.status_journal(),
        what: WHAT,
        line,
        problem,
    };
    let head: Head = line(head).map_err(|problem| malformed(1, problem))?;
    if head.schema_version != SCHEMA_VERSION {
        let version = head.schema_version.into();
        return Err(ReadError::UnsupportedVersion { path: layout.status_journal(), version });
    }
    if head.status_sha256 != sha256(written) {
        return Ok(false);
    }
    for (number, text) in lines {
        let change: StatusChange = line(text).map_err(|problem| malformed(number, problem))?;
        change.make(status).map_err(|problem| malformed(number, problem.to_owned()))?;
    }
    Ok(true)
}

fn line<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| json_file::plain_message(&error))
}

fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest::from_bytes(Sha256::digest(bytes).into())
}

/// The first line of a journal that continues the status file with these bytes.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn head(status: &[u8]) -> io::Result<Vec<u8>> {
    to_line(&Head { schema_version: SCHEMA_VERSION, status_sha256: sha256(status) })
}

fn to_line<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

impl StatusChange {
    /// The change from `before` to `after`. None if a line cannot express it.
    pub fn between(before: &Status, after: &Status) -> Option<Self> {
        // All fields are listed, so that a new field is not forgotten.
        let Status {
            schema_version,
            runner_version,
            hostname,
            current_run,
            operations,
            collections,
            repository_id,
            last_run,
            source_changed,
            undeleted_snapshots,
            suspected_leftovers,
            unanswered_creations,
            unanswered_uploads,
            unlisted_uploads,
            pruning,
            restoring,
            retired_collections,
            retention_seconds,
            offsite,
        } = after;
        let same = *schema_version == before.schema_version
            && *runner_version == before.runner_version
            && *hostname == before.hostname
            && *repository_id == before.repository_id
            && *last_run == before.last_run
            && *retired_collections == before.retired_collections;
        let lost = before.operations.keys().any(|key| !operations.contains_key(key))
            || before.offsite.keys().any(|key| !offsite.contains_key(key))
            || before.collections.len() > collections.len()
            || before.collections.keys().any(|key| !collections.contains_key(key));
        if !same || lost {
            return None;
        }
        Some(Self {
            current_run: current_run.clone(),
            source_changed: *source_changed,
            retention_seconds: *retention_seconds,
            operations: changed(&before.operations, operations),
            collections: changed(&before.collections, collections),
            offsite: changed(&before.offsite, offsite),
            undeleted_snapshots: ListChange::between(&before.undeleted_snapshots, undeleted_snapshots),
            suspected_leftovers: ListChange::between(&before.suspected_leftovers, suspected_leftovers),
            unanswered_creations: ListChange::between(&before.unanswered_creations, unanswered_creations),
            unanswered_uploads: ListChange::between(&before.unanswered_uploads, unanswered_uploads),
            unlisted_uploads: ListChange::between(&before.unlisted_uploads, unlisted_uploads),
            pruning: ListChange::between(&before.pruning, pruning),
            restoring: ListChange::between(&before.restoring, restoring),
        })
    }

    /// The change as a line.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to_line(&self) -> io::Result<Vec<u8>> {
        to_line(self)
    }

    /// Applies the change.
    ///
    /// # Errors
    /// When the change belongs to another status.
    pub fn make(self, status: &mut Status) -> Result<(), &'static str> {
        status.current_run = self.current_run;
        status.source_changed = self.source_changed;
        status.retention_seconds = self.retention_seconds;
        status.operations.extend(self.operations);
        status.collections.extend(self.collections);
        status.offsite.extend(self.offsite);
        ListChange::make(self.undeleted_snapshots, &mut status.undeleted_snapshots)?;
        ListChange::make(self.suspected_leftovers, &mut status.suspected_leftovers)?;
        ListChange::make(self.unanswered_creations, &mut status.unanswered_creations)?;
        ListChange::make(self.unanswered_uploads, &mut status.unanswered_uploads)?;
        ListChange::make(self.unlisted_uploads, &mut status.unlisted_uploads)?;
        ListChange::make(self.pruning, &mut status.pruning)?;
        ListChange::make(self.restoring, &mut status.restoring)
    }
}

fn changed<K: Ord + Clone, V: PartialEq + Clone>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> BTreeMap<K, V> {
    let same = |(key, value): &(&K, &V)| before.get(*key) != Some(*value);
    after.iter().filter(same).map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl<T: PartialEq + Clone> ListChange<T> {
    fn between(before: &[T], after: &[T]) -> Option<Self> {
        if before == after {
            return None;
        }
        let mut left = after.iter().peekable();
        let mut stays = |entry: &T| left.next_if(|next| *next == entry).is_some();
        let gone = before.iter().enumerate().filter(|(_, entry)| !stays(entry)).map(|(place, _)| place);
        Some(Self { gone: gone.collect(), new: left.cloned().collect() })
    }

    fn make(change: Option<Self>, list: &mut Vec<T>) -> Result<(), &'static str> {
        let Some(Self { gone, new }) = change else { return Ok(()) };
        if gone.last().is_some_and(|last| *last >= list.len()) {
            return Err("removes entries that are not in the list");
        }
        let mut gone = gone.into_iter().peekable();
        let mut place = 0..;
        list.retain(|_| {
            let here = place.next();
            gone.next_if(|next| Some(*next) == here).is_none()
        });
        list.extend(new);
        Ok(())
    }
}
