//! Snapshots of single shards in Qdrant's layout, and the points in them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use serde_json::{Value, json};
use tar::Archive;

use super::content::Content;
use super::data::GenuineSnapshot;
use super::fill::FillKind;
use super::generated::{self, Layout};
use super::origin::{Unrestorable, read_json, walk};
use super::points::{Key, Points};
use super::tar_layout;

/// The size that Qdrant reserves for a segment of the log, mostly a hole.
const WAL_BYTES: u64 = 32 << 20;

/// The points of a shard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShardOrigin {
    pub(crate) points: Points,
    /// The index of the first point within the collection.
    pub(crate) first_index: u64,
    pub(crate) points_count: u64,
}

/// The contents of a shard snapshot besides its points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bulk {
    pub(crate) size_bytes: u64,
    pub(crate) kind: FillKind,
    pub(crate) seed: u64,
}

impl Default for Bulk {
    fn default() -> Bulk {
        Bulk { size_bytes: 0, kind: FillKind::Random, seed: 1 }
    }
}

/// The settings of a generated shard snapshot. The same settings give the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShardArchive {
    pub(crate) collection: String,
    pub(crate) shard: u32,
    pub(crate) bulk: Bulk,
    pub(crate) origin: ShardOrigin,
    pub(crate) peer_id: u64,
    /// Peer id → state of the replica.
    pub(crate) peers: BTreeMap<String, String>,
}

impl ShardArchive {
    pub(crate) fn content(&self) -> Content {
        let overhead = tar_layout::total(&self.pieces(0));
        let fill = self.bulk.size_bytes.next_multiple_of(512).saturating_sub(overhead);
        let pieces = self.pieces(generated::fill_within(fill));
        // Each shard has different bytes, so that a swapped file is detected.
        let seed = self.bulk.seed ^ (u64::from(self.shard) << 32);
        Content::of_layout(Layout::new(pieces, self.bulk.kind, seed))
    }

    fn pieces(&self, fill_bytes: u64) -> Vec<tar_layout::Piece> {
        let mut pieces = Vec::new();
        let uuid = generated::segment_uuid(self.bulk.seed, self.shard);
        let segment = generated::segment_pieces(&self.carried(), self.bulk.kind, fill_bytes);
        tar_layout::member(&mut pieces, &format!("segments/{uuid}.tar"), segment);
        let clocks = json!({
            "clocks": [{ "peer_id": self.peer_id, "clock_id": 0, "current_tick": 5, "token": 1 }],
        });
        tar_layout::file(&mut pieces, "newest_clocks.json", clocks.to_string());
        tar_layout::directory(&mut pieces, "wal/");
        tar_layout::sparse_file(&mut pieces, "wal/closed-1", &[0; 64], WAL_BYTES);
        let replica =
            json!({ "is_local": true, "this_peer_id": self.peer_id, "peers": self.peers }).to_string();
        tar_layout::file(&mut pieces, "replica_state.json", replica);
        tar_layout::file(&mut pieces, "shard_config.json", json!({ "type": "ReplicaSet" }).to_string());
        tar_layout::end(&mut pieces);
        pieces
    }

    /// Read back by a restore through the stand-in.
    fn carried(&self) -> Value {
        let ShardOrigin { points, first_index, points_count } = &self.origin;
        let mut carried = json!({
            "collection": self.collection, "points_seed": points.seed, "first_index": first_index,
            "points_count": points_count,
        });
        if points.uuid_ids {
            carried["uuid_ids"] = json!(true);
        }
        if !points.overrides.is_empty() {
            carried["overrides"] = json!(points.overrides);
        }
        if !points.written.is_empty() {
            let written = points.written.iter().map(|(key, point)| json!([key.value(), point]));
            carried["written"] = written.collect();
        }
        carried
    }
}

impl ShardOrigin {
    fn carried(carried: &Value) -> ShardOrigin {
        let number = |key: &str| carried[key].as_u64().unwrap_or(0);
        let mut points = Points::new(carried["points_seed"].as_str().unwrap_or_default());
        points.uuid_ids = carried["uuid_ids"] == true;
        let overrides = carried["overrides"].as_object().into_iter().flatten();
        points.overrides =
            overrides.filter_map(|(index, point)| Some((index.parse().ok()?, point.clone()))).collect();
        let written = carried["written"].as_array().into_iter().flatten();
        points.written = written
            .filter_map(|pair| {
                Some((Key::of(&pair[0])?, Some(pair[1].clone()).filter(|point| !point.is_null())))
            })
            .collect();
        ShardOrigin { points, first_index: number("first_index"), points_count: number("points_count") }
    }

    /// The index entry of a genuine file.
    fn genuine(file: &GenuineSnapshot, all: &[GenuineSnapshot]) -> ShardOrigin {
        let id = |one: &GenuineSnapshot| one.local_shard_ids.first().copied().unwrap_or(0);
        let before = all.iter().filter(|one| {
            one.is_shard
                && (&one.version, &one.collection) == (&file.version, &file.collection)
                && id(one) < id(file)
        });
        ShardOrigin {
            points: Points::new(&file.collection),
            first_index: before.map(|one| one.points_count).sum(),
            points_count: file.points_count,
        }
    }
}

/// Reads a whole shard snapshot. `None` if the archive is not one.
pub(crate) fn inspect(content: &Content) -> Result<Option<ShardOrigin>, Unrestorable> {
    let mut carried: Option<Value> = None;
    let mut segments = BTreeSet::new();
    walk(content, |path, entry| {
        let Some(inner) = path.strip_prefix("segments/") else {
            return io::copy(entry, &mut io::sink()).map(drop);
        };
        segments.insert(inner.split(['/', '.']).next().unwrap_or_default().to_owned());
        if inner.ends_with(".tar") {
            carried = segment(entry)?.or(carried.take());
        } else if inner.ends_with("/files/segment.json") {
            carried = stand_in(entry).or(carried.take());
        }
        io::copy(entry, &mut io::sink()).map(drop)
    })?;
    if segments.is_empty() {
        return Ok(None);
    }
    if let Some(carried) = carried {
        return Ok(Some(ShardOrigin::carried(&carried)));
    }
    let all = GenuineSnapshot::all().unwrap_or_default();
    let sha256 = content.sha256();
    let shards = || all.iter().filter(|one| one.is_shard);
    // If a few bytes were changed, the file is identified by its segment names.
    let file = shards()
        .find(|one| one.sha256 == sha256)
        .or_else(|| shards().find(|one| segment_names(&one.read().unwrap_or_default()) == segments));
    Ok(Some(file.map_or_else(|| ShardOrigin::carried(&Value::Null), |file| ShardOrigin::genuine(file, &all))))
}

fn segment(tar: &mut dyn Read) -> io::Result<Option<Value>> {
    let mut carried = None;
    for member in Archive::new(tar).entries()? {
        let mut member = member?;
        if member.path_bytes().as_ref() == b"snapshot/files/segment.json" {
            carried = stand_in(&mut member).or(carried);
        }
    }
    Ok(carried)
}

fn stand_in(member: &mut dyn Read) -> Option<Value> {
    read_json(member)?.get("stand_in").cloned()
}

fn segment_names(tar: &[u8]) -> BTreeSet<String> {
    let mut archive = Archive::new(tar);
    let entries = archive.entries().into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            Some(path.strip_prefix("segments/")?.split(['/', '.']).next()?.to_owned())
        })
        .collect()
}
