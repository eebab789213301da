//! The recorded material in `tests/data`: genuine snapshot files with their index, and raw HTTP exchanges.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::plain::split;

/// The versions with genuine snapshots.
pub(crate) const VERSIONS: [&str; 2] = ["1.18.3", "1.14.1"];

/// A genuine snapshot file, as described in `index.json`.
#[derive(Clone, Debug)]
pub struct GenuineSnapshot {
    /// The version of the server that created it.
    pub version: String,
    /// The file's name in `tests/data/snapshots/<version>/`.
    pub file: String,
    /// The collection it was created from.
    pub collection: String,
    /// The number of points in this file.
    pub points_count: u64,
    /// The number of shards of the whole collection.
    pub shards: u32,
    /// The shards whose data this file contains.
    pub local_shard_ids: Vec<u32>,
    /// Whether this is the snapshot of a shard and not of a collection.
    pub is_shard: bool,
    /// The shard key, if this is the snapshot of a shard with a key.
    pub shard_key: Option<Value>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

#[derive(Deserialize)]
struct IndexEntry {
    file: String,
    collection: String,
    kind: String,
    shard_id: Option<u32>,
    shard_key: Option<Value>,
    points_count: Option<u64>,
    points_count_on_node: Option<u64>,
    shards: Option<u32>,
    local_shard_ids: Option<Vec<u32>>,
    sha256: Option<String>,
    server_response: Option<ServerResponse>,
}

#[derive(Deserialize)]
struct ServerResponse {
    checksum: String,
}

impl GenuineSnapshot {
    /// Every genuine snapshot.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub fn all() -> io::Result<Vec<GenuineSnapshot>> {
        let mut all = Vec::new();
        for version in VERSIONS {
            let index = fs::read(data_dir().join("snapshots").join(version).join("index.json"))?;
            let entries: Vec<IndexEntry> = serde_json::from_slice(&index)?;
            all.extend(entries.into_iter().map(|entry| entry.describe(version)));
        }
        // The index does not list the points of a shard if a snapshot of the whole collection exists.
        let whole: Vec<GenuineSnapshot> = all.iter().filter(|one| !one.is_shard).cloned().collect();
        for shard in all.iter_mut().filter(|one| one.is_shard && one.points_count == 0) {
            let of = |one: &&GenuineSnapshot| {
                (&one.version, &one.collection) == (&shard.version, &shard.collection)
            };
            if let Some(whole) = whole.iter().find(of) {
                let counts = split(whole.points_count, whole.shards);
                let id = shard.local_shard_ids.first().map_or(0, |id| *id as usize);
                shard.points_count = counts.get(id).copied().unwrap_or(0);
            }
        }
        Ok(all)
    }

    /// The snapshot with this file name, for example `cluster-node-1.spread.snapshot`.
    ///
    /// # Errors
    /// When there is no such file, or the index cannot be read.
    pub fn find(version: &str, file: &str) -> io::Result<GenuineSnapshot> {
        GenuineSnapshot::all()?
            .into_iter()
            .find(|snapshot| snapshot.version == version && snapshot.file == file)
            .ok_or_else(|| {
                io::Error::new(ErrorKind::NotFound, format!("no genuine snapshot {file} of {version}"))
            })
    }

    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        data_dir().join("snapshots").join(&self.version).join(&self.file)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        fs::read(self.path())
    }
}

impl IndexEntry {
    fn describe(self, version: &str) -> GenuineSnapshot {
        let shards = self.shards.unwrap_or(1);
        GenuineSnapshot {
            version: version.to_owned(),
            file: self.file,
            collection: self.collection,
            points_count: self.points_count.or(self.points_count_on_node).unwrap_or(0),
            shards,
            local_shard_ids: self
                .local_shard_ids
                .or_else(|| self.shard_id.map(|id| vec![id]))
                .unwrap_or_else(|| (0..shards).collect()),
            is_shard: self.kind == "shard",
            shard_key: self.shard_key,
            sha256: self
                .sha256
                .or_else(|| self.server_response.map(|response| response.checksum))
                .unwrap_or_default(),
        }
    }
}

/// A recorded exchange: the request as far as it was recorded, and the complete response.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file's name without `.http`.
    pub name: String,
    /// The request line, for example `GET /collections`. Missing in some recordings.
    pub request_line: Option<String>,
    /// The lines after the request line: headers, a JSON body, or `body: field=@file`.
    pub request_rest: Vec<String>,
    /// The status code of the final response.
    pub status: u16,
    /// The final response's headers with names as recorded.
    pub headers: Vec<(String, String)>,
    /// The response's body, or `<body: …>` if the recording only describes it.
    pub body: String,
}

impl Recording {
    /// Every recording, sorted by name.
    ///
    /// # Errors
    /// When a recording cannot be read.
    pub fn all() -> io::Result<Vec<Recording>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(data_dir().join("recordings"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".http").map(str::to_owned));
        }
        names.sort();
        names.iter().map(|name| Recording::read(name)).collect()
    }

    /// The recording with this name, for example `snapshot-create-no-space`.
    ///
    /// # Errors
    /// When it cannot be read or has no response.
    pub fn read(name: &str) -> io::Result<Recording> {
        let text = fs::read_to_string(data_dir().join("recordings").join(format!("{name}.http")))?;
        let mut request: Vec<String> = Vec::new();
        let mut rest = text.as_str();
        while let Some(line) = rest.strip_prefix("> ") {
            let (line, tail) = line.split_once('\n').unwrap_or((line, ""));
            request.push(line.trim_end().to_owned());
            rest = tail;
        }
        let mut rest = rest.trim_start();
        if let Some(tail) = rest.strip_prefix("HTTP/1.1 100 Continue") {
            rest = tail.trim_start();
        }
        let normalised = rest.replace("\r\n", "\n");
        let (head, body) = normalised.split_once("\n\n").unwrap_or((normalised.as_str(), ""));
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| {
                io::Error::new(ErrorKind::InvalidData, format!("recording {name} has no status line"))
            })?;
        Ok(Recording {
            name: name.to_owned(),
            request_line: request.first().cloned(),
            request_rest: request.into_iter().skip(1).collect(),
            status,
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: body.trim_end_matches('\n').to_owned(),
        })
    }
}

fn data_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data")
}
