//! The journal beside the status file: what has changed since the status was last written whole.
//!
//! The status of many collections is large, and a run changes a little of it again and again. Writing it whole each time costs
//! the square of their number, so between two whole writes each change is one line at the end of the journal. Its first line
//! has the digest of the very status file that it goes on from: any other status, also an older program's, makes it void.

use std::collections::BTreeMap;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::collection_name::CollectionName;
use crate::digest::Sha256Digest;
use crate::json_file::{self, ReadError, SCHEMA_VERSION};
use crate::layout::Layout;
use crate::links;
use crate::operation::Operation;
use crate::status::{
    CollectionStatus, Creating, CurrentRun, OperationStatus, PrunedBackup, ServerSnapshot, Status,
};

const WHAT: &str = "status journal";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Head {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// SHA-256 of the status file that the lines go on from.
    pub status_sha256: Sha256Digest,
}

/// Every other line: what is no longer as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusChange {
    /// The run that is going on, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_run: Option<CurrentRun>,
    /// As in the status.
    #[serde(default)]
    pub source_changed: bool,
    /// As in the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_seconds: Option<u64>,
    /// The operations whose history has changed, each whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<Operation, OperationStatus>,
    /// The collections whose history has changed, each whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub collections: BTreeMap<CollectionName, CollectionStatus>,
    /// What is different in that list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undeleted_snapshots: Option<Splice<ServerSnapshot>>,
    /// What is different in that list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspected_leftovers: Option<Splice<ServerSnapshot>>,
    /// What is different in that list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered_creations: Option<Splice<Creating>>,
    /// What is different in that list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruning: Option<Splice<PrunedBackup>>,
}

/// Entries of a list that make room for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Splice<T> {
    /// The first of them, from 0.
    pub at: usize,
    /// How many go.
    #[serde(default)]
    pub gone: usize,
    /// What comes in their place.
    pub new: Vec<T>,
}

/// A status, with what keeps the end of its journal from being read, if something does.
#[derive(Debug)]
pub struct Kept {
    /// As it was last written, whole or in a line.
    pub status: Status,
    /// What is wrong with the journal. What it held from there on is lost.
    pub problem: Option<ReadError>,
}

/// Reads the status of `layout`, with what its journal adds. Whoever holds no lock may call it too.
///
/// # Errors
/// When there is no status, or it cannot be read.
pub fn read(layout: &Layout) -> Result<Kept, ReadError> {
    let path = layout.status_file();
    let mut bytes = json_file::read_bytes(&path).map_err(|error| behind_a_link(layout, error))?;
    loop {
        let mut status: Status = json_file::parse(&path, &bytes)?;
        let (journal, problem) = match json_file::read_bytes(&layout.status_journal()) {
            Ok(journal) => (journal, None),
            Err(error) => (Vec::new(), (!error.is_not_found()).then_some(error)),
        };
        let replayed = problem.map_or_else(|| replay(layout, &bytes, &journal, &mut status), Err);
        match replayed {
            Ok(true) => return Ok(Kept { status, problem: None }),
            Err(problem) => return Ok(Kept { status, problem: Some(problem) }),
            Ok(false) => {}
        }
        // It goes on from another status: from one that was written meanwhile, or from none any more.
        let again = json_file::read_bytes(&path)?;
        if again == bytes {
            return Ok(Kept { status, problem: None });
        }
        bytes = again;
    }
}

/// In a state directory that is a link and leads nowhere, that there is no status says nothing.
fn behind_a_link(layout: &Layout, error: ReadError) -> ReadError {
    match links::leads_nowhere(layout.state()) {
        Some(source) if error.is_not_found() => ReadError::Io { path: layout.state().to_owned(), source },
        Some(_) | None => error,
    }
}

/// Whether `journal` goes on from `written`, and if so, its changes made to `status`. A last line without an end is one that
/// was being written when its run was killed.
fn replay(
    layout: &Layout,
    written: &[u8],
    journal: &[u8],
    status: &mut Status,
) -> Result<bool, ReadError> {
    let whole = journal.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut lines = (1..).zip(journal[..whole].split_inclusive(|byte| *byte == b'\n'));
    let Some((_, head)) = lines.next() else { return Ok(true) };
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

/// The first line of a journal that goes on from the status file with these bytes.
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
    /// What makes `after` of `before`; nothing where that takes more than a line can say.
    pub fn between(before: &Status, after: &Status) -> Option<Self> {
        // Every field is named, so that none that is new is forgotten.
        let Status {
            schema_version,
            runner_version,
            hostname,
            current_run,
            operations,
            collections,
            last_run,
            source_changed,
            undeleted_snapshots,
            suspected_leftovers,
            unanswered_creations,
            pruning,
            retired_collections,
            retention_seconds,
        } = after;
        let same = *schema_version == before.schema_version
            && *runner_version == before.runner_version
            && *hostname == before.hostname
            && *last_run == before.last_run
            && *retired_collections == before.retired_collections;
        let lost = before.operations.keys().any(|key| !operations.contains_key(key))
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
            undeleted_snapshots: Splice::between(&before.undeleted_snapshots, undeleted_snapshots),
            suspected_leftovers: Splice::between(&before.suspected_leftovers, suspected_leftovers),
            unanswered_creations: Splice::between(&before.unanswered_creations, unanswered_creations),
            pruning: Splice::between(&before.pruning, pruning),
        })
    }

    /// The line that says it.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to_line(&self) -> io::Result<Vec<u8>> {
        to_line(self)
    }

    /// Makes the change.
    ///
    /// # Errors
    /// When it is one of another status.
    pub fn make(self, status: &mut Status) -> Result<(), &'static str> {
        status.current_run = self.current_run;
        status.source_changed = self.source_changed;
        status.retention_seconds = self.retention_seconds;
        status.operations.extend(self.operations);
        status.collections.extend(self.collections);
        Splice::make(self.undeleted_snapshots, &mut status.undeleted_snapshots)?;
        Splice::make(self.suspected_leftovers, &mut status.suspected_leftovers)?;
        Splice::make(self.unanswered_creations, &mut status.unanswered_creations)?;
        Splice::make(self.pruning, &mut status.pruning)
    }
}

fn changed<K: Ord + Clone, V: PartialEq + Clone>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> BTreeMap<K, V> {
    let same = |(key, value): &(&K, &V)| before.get(*key) != Some(*value);
    after.iter().filter(same).map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl<T: PartialEq + Clone> Splice<T> {
    fn between(before: &[T], after: &[T]) -> Option<Self> {
        if before == after {
            return None;
        }
        let at = before.iter().zip(after).take_while(|(one, other)| one == other).count();
        let (before, after) = (before.get(at..)?, after.get(at..)?);
        let kept =
            before.iter().rev().zip(after.iter().rev()).take_while(|(one, other)| one == other).count();
        let new = after.get(..after.len() - kept)?.to_vec();
        Some(Self { at, gone: before.len() - kept, new })
    }

    fn make(splice: Option<Self>, list: &mut Vec<T>) -> Result<(), &'static str> {
        let Some(Self { at, gone, new }) = splice else { return Ok(()) };
        let end = at.checked_add(gone).filter(|end| *end <= list.len());
        let end = end.ok_or("changes entries of a list that are not there")?;
        list.splice(at..end, new);
        Ok(())
    }
}
