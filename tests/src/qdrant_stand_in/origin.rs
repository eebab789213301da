//! The collection that a snapshot was made from, read from the archive or, for genuine files, from their index.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde_json::Value;
use tar::Archive;

use super::content::Content;
use super::data::GenuineSnapshot;
use super::plain::split;
use super::points::Points;

/// Small members are read completely. A larger size is not valid in a snapshot.
const SMALL_MEMBER_BYTES: u64 = 1 << 20;

/// The points and the configuration of a snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) config: Value,
    pub(crate) payload_indexes: BTreeMap<String, String>,
    /// The shards whose data is in the file, with their numbers of points.
    pub(crate) local_shards: BTreeMap<u32, u64>,
    pub(crate) points: Points,
}

/// Why a snapshot cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unrestorable {
    /// Not a tar.
    Malformed,
    /// The archive ends in the middle of this member.
    CutWithin(String),
    /// A member that every snapshot has is missing or is not JSON.
    Member(&'static str),
}

impl Unrestorable {
    /// Qdrant's error text for a collection snapshot.
    pub(crate) fn message(&self, collection: &str) -> String {
        self.message_in(&format!("./storage/tmp/col-{collection}-recovery-JaVoF7"))
    }

    /// Qdrant's error text with the path where it unpacked the snapshot.
    pub(crate) fn message_in(&self, unpacked: &str) -> String {
        let error = "Service internal error: File IO error:";
        match self {
            Unrestorable::Malformed => format!("{error} Malformed tar archive, reached unknown entry"),
            Unrestorable::CutWithin(member) => format!("{error} failed to unpack `{unpacked}/{member}`"),
            Unrestorable::Member(name) => {
                format!(
                    "{error} failed to open file `{unpacked}/{name}`: No such file or directory (os error 2)"
                )
            }
        }
    }
}

impl Origin {
    pub(crate) fn shard_count(&self) -> u32 {
        let shards = self.config["params"]["shard_number"].as_u64().unwrap_or(1).clamp(1, 1024);
        u32::try_from(shards).unwrap_or(1)
    }
}

/// Reads a snapshot completely, as a restore does.
pub(crate) fn inspect(content: &Content) -> Result<Origin, Unrestorable> {
    let mut members = Members::default();
    walk(content, |path, entry| members.take(path, entry))?;
    members.origin(content)
}

/// Calls `take` with every member of an archive and its path.
pub(crate) fn walk(
    content: &Content,
    mut take: impl FnMut(&str, &mut dyn Read) -> std::io::Result<()>,
) -> Result<(), Unrestorable> {
    let mut archive = Archive::new(content.reader());
    let entries = archive.entries().map_err(|_| Unrestorable::Malformed)?;
    let mut last: Option<String> = None;
    for entry in entries {
        // The reader notices a truncated member only when it reads the next one.
        let failure = || last.clone().map_or(Unrestorable::Malformed, Unrestorable::CutWithin);
        let mut entry = entry.map_err(|_| failure())?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        take(&path, &mut entry).map_err(|_| Unrestorable::CutWithin(path.clone()))?;
        last = Some(path);
    }
    if last.is_none() {
        return Err(Unrestorable::Malformed);
    }
    Ok(())
}

#[derive(Default)]
struct Members {
    config: Option<Value>,
    payload_index: Option<Value>,
    version: bool,
    /// The points in generated segments, by shard.
    shards: BTreeMap<u32, u64>,
    points_seed: Option<String>,
    segment_paths: BTreeSet<String>,
}

impl Members {
    fn take(&mut self, path: &str, entry: &mut dyn Read) -> std::io::Result<()> {
        match path {
            "config.json" => self.config = read_json(entry),
            "payload_index.json" => self.payload_index = read_json(entry),
            "version.info" => self.version = true,
            segment if segment.contains("/segments/") && segment.ends_with(".tar") => {
                self.segment_paths.insert(path.to_owned());
                let shard = segment.split('/').next().and_then(|id| id.parse().ok()).unwrap_or(0);
                self.take_segment(shard, entry)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn take_segment(&mut self, shard: u32, segment: &mut dyn Read) -> std::io::Result<()> {
        let points = self.shards.entry(shard).or_default();
        for member in Archive::new(segment).entries()? {
            let mut member = member?;
            if member.path_bytes().as_ref() == b"snapshot/files/segment.json" {
                let carried = read_json(&mut member).and_then(|json| json.get("stand_in").cloned());
                let Some(carried) = carried else { continue };
                *points += carried["points_count"].as_u64().unwrap_or(0);
                self.points_seed = carried["points_seed"].as_str().map(str::to_owned);
            }
        }
        Ok(())
    }

    fn origin(mut self, content: &Content) -> Result<Origin, Unrestorable> {
        if !self.version {
            return Err(Unrestorable::Member("version.info"));
        }
        let mut config = self.config.take().ok_or(Unrestorable::Member("config.json"))?;
        if let Some(members) = config.as_object_mut() {
            // The file contains it, but the API does not show it.
            members.remove("uuid");
        }
        let schema = self.payload_index.take().and_then(|index| index["schema"].as_object().cloned());
        let payload_indexes = schema.unwrap_or_default();
        let payload_indexes = payload_indexes
            .into_iter()
            .map(|(field, kind)| (field, kind.as_str().unwrap_or("keyword").to_owned()))
            .collect();
        let genuine = if self.points_seed.is_some() { None } else { self.genuine(content) };
        let (local_shards, seed) = match genuine {
            Some(snapshot) => {
                let shards = u32::try_from(snapshot.local_shard_ids.len()).unwrap_or(1);
                let counts = split(snapshot.points_count, shards);
                (snapshot.local_shard_ids.into_iter().zip(counts).collect(), snapshot.collection)
            }
            None => (self.shards, self.points_seed.unwrap_or_default()),
        };
        Ok(Origin { config, payload_indexes, local_shards, points: Points::new(&seed) })
    }

    /// The genuine file, found by its digest or, if a few bytes were changed, by its unique segment names.
    fn genuine(&self, content: &Content) -> Option<GenuineSnapshot> {
        let all = GenuineSnapshot::all().ok()?;
        let sha256 = content.sha256();
        if let Some(exact) = all.iter().find(|snapshot| snapshot.sha256 == sha256) {
            return Some(exact.clone());
        }
        all.into_iter().filter(|snapshot| !snapshot.is_shard).find(|snapshot| {
            let bytes = snapshot.read().unwrap_or_default();
            !self.segment_paths.is_empty() && segment_paths(&bytes) == self.segment_paths
        })
    }
}

fn segment_paths(tar: &[u8]) -> BTreeSet<String> {
    let mut archive = Archive::new(tar);
    let entries = archive.entries().into_iter().flatten().flatten();
    entries
        .map(|entry| String::from_utf8_lossy(&entry.path_bytes()).into_owned())
        .filter(|path| path.contains("/segments/"))
        .collect()
}

pub(crate) fn read_json(member: &mut dyn Read) -> Option<Value> {
    let mut text = Vec::new();
    member.take(SMALL_MEMBER_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
