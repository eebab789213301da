//! The invariants for every state that a crash can leave.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use e2e::crash::{Blob, Tree};
use e2e::qdrant_stand_in::State;
use qdrant_backup_shared::atomic::is_temporary;
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::layout::{FileRole, component, role};
use qdrant_backup_shared::manifest::{Archive, Encoding};
use qdrant_backup_shared::status::{Creating, ServerSnapshot};
use qdrant_backup_shared::{CollectionName, Repository, Status, json_file};
use sha2::{Digest, Sha256};

use super::known::{Known, Which};
use super::operation::{Recorded, snapshots};

/// An invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// A backup listed as good decodes to exactly what its manifest says.
    GoodIsGood,
    /// A backup is in its state from before or in its final state. A new one never lacks its archives.
    BackupComplete,
    /// No good backup is missing except those that are missing at the end too, and no collection loses its last one.
    NothingVanishes,
    /// The status records the remains of a backup that is being deleted.
    DeletionNoted,
    /// A file under its final name has the contents it had when it got that name.
    NamedWhole,
    /// The repository is readable, and so is everything that was readable before.
    Readable,
    /// The status and its journal are readable, except for unsynced data in the journal.
    StatusReadable,
    /// A last success is never lost.
    SuccessKept,
    /// Everything that we left on the server is on record.
    ServerKnown,
}

/// A broken invariant, with details.
#[derive(Debug)]
pub struct Broken(pub Invariant, pub String);

/// Length and digest of the decoded archive.
type Plain = (u64, [u8; 32]);

/// Checks the states that a recording can leave.
pub struct Judge {
    /// The directory that contains the state.
    directory: PathBuf,
    before: Known,
    after: Known,
    has_repository: bool,
    /// The contents of each file when it got its name.
    named: BTreeMap<String, BTreeSet<[u8; 32]>>,
    /// Snapshots on the server that are not ours, as node, folder and name.
    foreign: BTreeSet<(usize, String, String)>,
    /// Decoded archives, by digest and encoding.
    decoded: HashMap<([u8; 32], String), Option<Plain>>,
}

impl Judge {
    /// A judge for a recording's states, which are written to `directory`.
    pub fn new(recorded: &Recorded, directory: &Path) -> Self {
        let recording = &recorded.recording;
        let mut named: BTreeMap<String, BTreeSet<[u8; 32]>> = BTreeMap::new();
        for (path, blob) in recording.named() {
            named.entry(path).or_default().insert(blob.sha256);
        }
        Self {
            directory: directory.to_owned(),
            before: Known::of_tree(&recording.before),
            after: Known::of_tree(&recording.after),
            has_repository: recording.before.file("repository.json").is_some(),
            named,
            foreign: recorded.foreign.clone(),
            decoded: HashMap::new(),
        }
    }

    /// The broken invariants in the state `tree`, which the directory contains, with this state of the server.
    pub fn broken(&mut self, tree: &Tree, server: &State) -> Vec<Broken> {
        let mut broken = Vec::new();
        let known = match Known::of(&self.directory) {
            Ok(known) => known,
            Err(error) => return vec![Broken(Invariant::Readable, error)],
        };
        self.readable(&known, tree, &mut broken);
        self.backups(&known, tree, &mut broken);
        let status = self.status(&known, tree, &mut broken);
        self.deletions(&known, &status, &mut broken);
        self.server(&status, server, &mut broken);
        broken
    }

    fn readable(&self, known: &Known, tree: &Tree, broken: &mut Vec<Broken>) {
        match json_file::read::<Repository>(&known.layout.repository_file()) {
            // Only `init` starts without one.
            Err(error) if !error.is_not_found() || self.has_repository => {
                broken.push(Broken(Invariant::Readable, error.to_string()));
            }
            Ok(_) | Err(_) => {}
        }
        for (path, problem) in &known.unreadable {
            if !self.before.unreadable.contains_key(path) {
                broken.push(Broken(Invariant::Readable, problem.clone()));
            }
        }
        for (path, blob) in tree.files() {
            let name = path.rsplit('/').next().unwrap_or(path);
            let is_lock = [".lock", ".readers", ".waiting", "status.json.journal"].contains(&name);
            let whole = self.named.get(path).is_some_and(|held| held.contains(&blob.sha256));
            if !path.split('/').any(is_temporary) && !is_lock && !whole {
                let what = format!("{path} holds {} bytes that it was not named with", blob.bytes.len());
                broken.push(Broken(Invariant::NamedWhole, what));
            }
        }
    }

    fn backups(&mut self, known: &Known, tree: &Tree, broken: &mut Vec<Broken>) {
        for (which, backup) in &known.backups {
            let condition = backup.condition();
            let fits = [self.before.condition(which), self.after.condition(which)].contains(&Some(condition));
            if !fits {
                let what = format!("{} is {}: {:?}", named(which), condition.as_str(), backup.remarks());
                broken.push(Broken(Invariant::BackupComplete, what));
            }
            if condition != Condition::Good {
                continue;
            }
            let Ok(whole) = backup.whole(&known.layout) else { continue };
            for archive in &whole.manifest.archives {
                let path = known.layout.collection(&which.0).join(&archive.file_name);
                let path =
                    path.strip_prefix(&self.directory).expect("it is below").to_string_lossy().into_owned();
                if let Err(problem) = self.decodes(tree.file(&path).map(AsRef::as_ref), archive) {
                    broken.push(Broken(Invariant::GoodIsGood, format!("{path}: {problem}")));
                }
            }
        }
        for (which, condition) in
            self.before.backups.iter().map(|(which, backup)| (which, backup.condition()))
        {
            let stays = self.after.backups.contains_key(which);
            if condition == Condition::Good && stays && !known.backups.contains_key(which) {
                broken.push(Broken(Invariant::NothingVanishes, format!("{} is gone", named(which))));
            }
        }
        let good = |known: &Known| -> BTreeSet<CollectionName> {
            let good = known.backups.iter().filter(|(_, backup)| backup.is_good());
            good.map(|((collection, _), _)| collection.clone()).collect()
        };
        for collection in &(&good(&self.before) & &good(&self.after)) - &good(known) {
            broken.push(Broken(Invariant::NothingVanishes, format!("{collection} has no good backup")));
        }
    }

    /// Whether the archive matches its manifest.
    fn decodes(&mut self, blob: Option<&Blob>, archive: &Archive) -> Result<(), String> {
        let blob = blob.ok_or("it is not there")?;
        if blob.sha256 != *archive.stored.sha256.as_bytes() {
            return Err("the stored bytes have another digest".to_owned());
        }
        let key = (blob.sha256, format!("{:?}", archive.encoding));
        let plain = self.decoded.entry(key).or_insert_with(|| {
            let plain = decode(&blob.bytes, &archive.encoding)?;
            Some((plain.len() as u64, Sha256::digest(&plain).into()))
        });
        match plain {
            Some((size, sha256))
                if *size == archive.snapshot.size_bytes && *sha256 == *archive.snapshot.sha256.as_bytes() =>
            {
                Ok(())
            }
            other => Err(format!("it does not decode to what the manifest says: {other:?}")),
        }
    }

    /// The status, as far as it is readable.
    fn status(&self, known: &Known, tree: &Tree, broken: &mut Vec<Broken>) -> Option<Status> {
        let kept = match &known.status {
            Err(problem) => {
                broken.push(Broken(Invariant::StatusReadable, problem.clone()));
                return None;
            }
            Ok(None) => {
                if matches!(self.before.status, Ok(Some(_))) {
                    broken.push(Broken(Invariant::StatusReadable, "it is gone".to_owned()));
                }
                return None;
            }
            Ok(Some(kept)) => kept,
        };
        // Unwritten sectors read as zeros, which no line contains.
        let journal = tree.file("status.json.journal");
        let is_torn = journal.is_some_and(|blob| blob.bytes.contains(&0));
        if let Some(problem) = kept.problem.as_ref().filter(|_| !is_torn) {
            broken.push(Broken(Invariant::StatusReadable, problem.to_string()));
        }
        if let Ok(Some(before)) = &self.before.status {
            for (name, entry) in &before.status.collections {
                let now = kept.status.collections.get(name);
                let retired = kept.status.retired_collections.contains(name) || !self.knows(name);
                if !retired && now.and_then(|now| now.last_success_at) < entry.last_success_at {
                    broken.push(Broken(Invariant::SuccessKept, format!("of {name}: {now:?}")));
                }
            }
        }
        Some(kept.status.clone())
    }

    /// Whether the final status contains the collection.
    fn knows(&self, name: &CollectionName) -> bool {
        matches!(&self.after.status, Ok(Some(after)) if after.status.collections.contains_key(name))
    }

    /// Archives of earlier backups may be orphans only if the status records that they are being deleted.
    fn deletions(&self, known: &Known, status: &Option<Status>, broken: &mut Vec<Broken>) {
        for path in known.orphans.difference(&self.before.orphans) {
            let of = |(collection, id): &&Which| {
                let name = path.rsplit('/').next().unwrap_or(path);
                role(&component(collection), name) == (FileRole::Archive { id: *id })
            };
            let Some((collection, id)) = self.before.backups.keys().find(of) else { continue };
            let noted = status.iter().flat_map(|status| &status.pruning);
            if !noted.into_iter().any(|noted| noted.collection == *collection && noted.backup_id == *id) {
                broken.push(Broken(Invariant::DeletionNoted, format!("nothing says why {path} is left")));
            }
        }
    }

    fn server(&self, status: &Option<Status>, server: &State, broken: &mut Vec<Broken>) {
        for (node, folder, name) in snapshots(server).difference(&self.foreign) {
            if !status.as_ref().is_some_and(|status| knows(status, folder, name)) {
                let what = format!("nothing says of {name} in {folder} on node {node}");
                broken.push(Broken(Invariant::ServerKnown, what));
            }
        }
    }
}

/// Whether the status mentions the snapshot, or a creation requested in its folder.
fn knows(status: &Status, folder: &str, name: &str) -> bool {
    let (collection, shard) = match folder.split_once("/shards/") {
        Some((collection, shard)) => (collection, shard.parse().ok()),
        None => (folder, None),
    };
    let is = |snapshot: &ServerSnapshot| {
        snapshot.collection.as_str() == collection && snapshot.shard_id == shard && snapshot.name == name
    };
    let asked = |creating: &Creating| {
        creating.collection.as_str() == collection
            && creating.shard_id == shard
            && creating.listed_before.iter().all(|listed| listed.name != name)
    };
    let current = status.current_run.iter().flat_map(|run| run.creating.iter().chain(&run.also_creating));
    status.undeleted_snapshots.iter().chain(&status.suspected_leftovers).any(is)
        || current.chain(&status.unanswered_creations).any(asked)
}

/// Whether the status names this snapshot.
pub fn names(status: &Status, folder: &str, name: &str) -> bool {
    let mut without_intents = status.clone();
    without_intents.current_run = None;
    without_intents.unanswered_creations.clear();
    knows(&without_intents, folder, name)
}

fn named((collection, id): &Which) -> String {
    format!("backup {id} of {collection}")
}

fn decode(stored: &[u8], encoding: &[Encoding]) -> Option<Vec<u8>> {
    match encoding {
        [] => Some(stored.to_vec()),
        [Encoding::Gzip] => {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(stored).read_to_end(&mut plain).ok()?;
            Some(plain)
        }
        [Encoding::Zstd] => zstd::decode_all(stored).ok(),
        _ => None,
    }
}
