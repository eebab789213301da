//! Generated snapshots: Qdrant-like archives of any size, identical for identical settings, produced while they are
//! read. Only one block of filling is held in memory; stamps vary it.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Value, json};

use super::fill::{self, FillKind};
use super::plain::plain_config;
use super::tar_layout::{self, Piece};

/// Longer than the windows of common compression levels, so that its repetitions do not compress.
const BASE_BYTES: u64 = 16 << 20;
const STAMP_EVERY_BYTES: u64 = 1 << 20;
const STAMP_BYTES: u64 = 64;
/// Qdrant splits vectors into files of this size.
const CHUNK_FILE_BYTES: u64 = 32 << 20;
const DIMENSIONS: u64 = fill::DIMENSIONS as u64;
const WAL_BYTES: u64 = 1 << 20;
const ZEROS: [u8; 4096] = [0; 4096];

/// The settings of a generated snapshot.
#[derive(Clone, Debug)]
pub struct GeneratedSnapshot {
    /// The desired size. The file has this size rounded up to 512 bytes, and at least about 20 KiB.
    pub size_bytes: u64,
    /// The kind of bulk data.
    pub kind: FillKind,
    /// Seed of the bulk data.
    pub seed: u64,
    /// The number of shards.
    pub shards: u32,
    /// The ids of the shards whose data is included, if the others are on other nodes.
    pub local_shards: Option<Vec<u32>>,
    /// With custom sharding: the shard keys and the ids of their shards, `shards` in total.
    pub shard_keys: Option<Vec<(Value, Vec<u32>)>>,
    /// The number of points after a restore. By default it follows from the size of the vectors.
    pub points_count: Option<u64>,
    /// Seed of the points' content. A restored collection has the same points.
    pub points_seed: String,
    /// The configuration in `config.json`.
    pub config: Value,
    /// The peer id in `replica_state.json`.
    pub peer_id: u64,
}

impl GeneratedSnapshot {
    /// A snapshot of one shard with random vectors.
    pub fn new(size_bytes: u64) -> GeneratedSnapshot {
        GeneratedSnapshot {
            size_bytes,
            kind: FillKind::Random,
            seed: 1,
            shards: 1,
            local_shards: None,
            shard_keys: None,
            points_count: None,
            points_seed: "generated".to_owned(),
            config: plain_config(DIMENSIONS, 1),
            peer_id: super::plain::DEFAULT_PEER_ID,
        }
    }

    /// Sets the kind of bulk data.
    pub fn kind(self, kind: FillKind) -> GeneratedSnapshot {
        GeneratedSnapshot { kind, ..self }
    }

    /// Sets the seed.
    pub fn seed(self, seed: u64) -> GeneratedSnapshot {
        GeneratedSnapshot { seed, ..self }
    }

    /// Sets the number of points.
    pub fn points_count(self, points_count: u64) -> GeneratedSnapshot {
        GeneratedSnapshot { points_count: Some(points_count), ..self }
    }

    /// Sets the number of shards, also in the configuration.
    pub fn shards(mut self, shards: u32) -> GeneratedSnapshot {
        self.shards = shards.max(1);
        self.config["params"]["shard_number"] = json!(self.shards);
        self
    }

    /// With custom sharding: exactly these keys with these shards.
    pub fn shard_keys(mut self, keys: &[(Value, Vec<u32>)]) -> GeneratedSnapshot {
        self.shards = keys.iter().map(|(_, ids)| ids.len() as u32).sum();
        self.shard_keys = Some(keys.to_vec());
        self.config["params"]["sharding_method"] = json!("custom");
        self
    }

    fn shard_ids(&self) -> Vec<u32> {
        match &self.shard_keys {
            Some(keys) => keys.iter().flat_map(|(_, ids)| ids.clone()).collect(),
            None => (0..self.shards).collect(),
        }
    }

    /// The number of points in a collection restored from this snapshot.
    pub fn points(&self) -> u64 {
        self.points_count.unwrap_or(self.size_bytes / (DIMENSIONS * 4))
    }

    pub(crate) fn layout(&self) -> Layout {
        let overhead = tar_layout::total(&self.pieces(0));
        let wanted = self.size_bytes.next_multiple_of(512);
        let fill = wanted.saturating_sub(overhead) / u64::from(self.shards.max(1));
        let mut pieces = self.pieces(fill_within(fill));
        // The remaining bytes follow the end marker, where they are ignored.
        let missing = wanted.saturating_sub(tar_layout::total(&pieces));
        if missing > 0 {
            pieces.push(Piece::Zeros(missing));
        }
        Layout::new(pieces, self.kind, self.seed)
    }

    fn pieces(&self, fill_bytes_each: u64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (place, shard) in self.shard_ids().into_iter().enumerate() {
            let is_local = self.local_shards.as_ref().is_none_or(|local| local.contains(&shard));
            if is_local {
                let segment = self.segment(place as u64, fill_bytes_each);
                tar_layout::member(&mut pieces, &segment_path(self.seed, shard), segment);
                let wal = format!("shard {shard} of seed {}", self.seed).repeat(20);
                let path = format!("{shard}/wal/open-1");
                tar_layout::sparse_file(&mut pieces, &path, wal.as_bytes(), WAL_BYTES);
            }
            let replica = json!({
                "is_local": is_local,
                "this_peer_id": self.peer_id,
                "peers": { self.peer_id.to_string(): "Active" },
            });
            tar_layout::file(&mut pieces, &format!("{shard}/replica_state.json"), replica.to_string());
            let shard_config = json!({ "type": "ReplicaSet" });
            tar_layout::file(&mut pieces, &format!("{shard}/shard_config.json"), shard_config.to_string());
        }
        let mut config = self.config.clone();
        config["uuid"] = Value::Null;
        tar_layout::file(&mut pieces, "version.info", "0.4.2");
        tar_layout::file(&mut pieces, "config.json", config.to_string());
        let keys = self.shard_keys.iter().flatten();
        let mapping: Vec<Value> = keys.map(|(key, ids)| json!({ "key": key, "shard_ids": ids })).collect();
        tar_layout::file(&mut pieces, "shard_key_mapping.json", Value::from(mapping).to_string());
        tar_layout::file(&mut pieces, "payload_index.json", json!({ "schema": {} }).to_string());
        tar_layout::end(&mut pieces);
        pieces
    }

    /// The segment of the shard at this position.
    fn segment(&self, place: u64, fill_bytes: u64) -> Vec<Piece> {
        let shards = u64::from(self.shards);
        let extra = u64::from(place < self.points() % shards);
        // Read back by a restore through the stand-in.
        let carried =
            json!({ "points_count": self.points() / shards + extra, "points_seed": self.points_seed });
        segment_pieces(&carried, self.kind, fill_bytes)
    }

    /// The uncompressed archive of a shard snapshot stream.
    pub(crate) fn shard_stream(&self, shard: u32) -> Vec<u8> {
        let uuid = segment_uuid(self.seed, shard);
        let mut pieces = Vec::new();
        let vectors = format!("segments/{uuid}/files/vector_storage/vectors/chunk_0.mmap");
        tar_layout::member(&mut pieces, &vectors, vec![Piece::Fill(64 << 10)]);
        tar_layout::file(&mut pieces, &format!("segments/{uuid}/files/version.info"), "0.6.0");
        tar_layout::end(&mut pieces);
        let layout = Layout::new(pieces, self.kind, self.seed);
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < layout.size_bytes() {
            bytes.extend_from_slice(&layout.read_at(bytes.len() as u64, usize::MAX));
        }
        bytes
    }
}

/// The archive of a segment. `carried` is data for the stand-in itself, next to Qdrant's own fields.
pub(crate) fn segment_pieces(carried: &Value, kind: FillKind, fill_bytes: u64) -> Vec<Piece> {
    let segment = json!({
        "initial_version": null, "version": 3,
        "config": { "vector_data": {}, "payload_storage_type": { "type": "mmap" } },
        "stand_in": carried,
    });
    let mut pieces = Vec::new();
    tar_layout::file(&mut pieces, "snapshot/files/segment.json", segment.to_string());
    let mut left = fill_bytes;
    let mut number = 0;
    while left > 0 {
        let len = left.min(CHUNK_FILE_BYTES);
        let path = format!("snapshot/files/vector_storage/vectors/chunk_{number}.mmap");
        if kind == FillKind::Sparse {
            // A file that was mostly not written.
            tar_layout::sparse_member(&mut pieces, &path, Piece::Fill(len), 2 * CHUNK_FILE_BYTES);
        } else {
            tar_layout::member(&mut pieces, &path, vec![Piece::Fill(len)]);
        }
        left -= len;
        number += 1;
    }
    let flags = "snapshot/files/vector_storage/deleted/flags_a.dat";
    tar_layout::sparse_file(&mut pieces, flags, &[0; 64], WAL_BYTES);
    tar_layout::file(&mut pieces, "snapshot/files/version.info", "0.6.0");
    tar_layout::end(&mut pieces);
    pieces
}

/// How much filling fits if each file that holds it needs a header.
pub(crate) fn fill_within(bytes: u64) -> u64 {
    let file = tar_layout::member_bytes(CHUNK_FILE_BYTES);
    // Whole blocks, because padding would exceed the requested size.
    let rest = (bytes % file).saturating_sub(512) / 512 * 512;
    (bytes / file) * CHUNK_FILE_BYTES + rest
}

pub(crate) fn segment_uuid(seed: u64, shard: u32) -> String {
    format!("{shard:08x}-0000-4000-8000-{:012x}", seed & 0xffff_ffff_ffff)
}

fn segment_path(seed: u64, shard: u32) -> String {
    format!("{shard}/segments/{}.tar", segment_uuid(seed, shard))
}

/// The pieces of a generated archive and their positions.
#[derive(Debug)]
pub(crate) struct Layout {
    pieces: Vec<(u64, Piece)>,
    size_bytes: u64,
    /// The block from which fill data is sliced, created on first use.
    base: OnceLock<Bytes>,
    kind: FillKind,
    seed: u64,
}

impl Layout {
    pub(crate) fn new(pieces: Vec<Piece>, kind: FillKind, seed: u64) -> Layout {
        let mut start = 0;
        let mut placed = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let len = piece.len();
            placed.push((start, piece));
            start += len;
        }
        Layout { pieces: placed, size_bytes: start, base: OnceLock::new(), kind, seed }
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns bytes at `offset`, at most `max`. Cheap: slices of the base block without copies.
    pub(crate) fn read_at(&self, offset: u64, max: usize) -> Bytes {
        let next = self.pieces.partition_point(|(start, _)| *start <= offset);
        let Some((start, piece)) = next.checked_sub(1).and_then(|index| self.pieces.get(index)) else {
            return Bytes::new();
        };
        let left = (start + piece.len()).saturating_sub(offset).min(max as u64);
        match piece {
            Piece::Bytes(bytes) => slice(bytes, offset - start, left),
            Piece::Zeros(_) => Bytes::from_static(&ZEROS).slice(..left.min(4096) as usize),
            Piece::Fill(_) => self.fill_at(offset, left),
        }
    }

    fn fill_at(&self, offset: u64, left: u64) -> Bytes {
        let in_block = offset % STAMP_EVERY_BYTES;
        if in_block < STAMP_BYTES {
            let stamp = fill::stamp(self.kind, self.seed, offset / STAMP_EVERY_BYTES, STAMP_BYTES as usize);
            return slice(&stamp, in_block, left.min(STAMP_BYTES - in_block));
        }
        let base = self.base.get_or_init(|| fill::base(self.kind, self.size_bytes.min(BASE_BYTES) as usize));
        let in_base = offset % base.len() as u64;
        let until_stamp = STAMP_EVERY_BYTES - in_block;
        slice(base, in_base, left.min(until_stamp).min(base.len() as u64 - in_base))
    }
}

fn slice(bytes: &Bytes, from: u64, len: u64) -> Bytes {
    bytes.slice(from as usize..(from + len) as usize)
}
