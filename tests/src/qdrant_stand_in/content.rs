//! The bytes of a snapshot, from memory, from a file or from a generator.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::data::GenuineSnapshot;
use super::generated::{GeneratedSnapshot, Layout};

const CHUNK_BYTES: usize = 1 << 20;

/// A snapshot's bytes, readable at any offset. Clones share the bytes.
#[derive(Clone, Debug)]
pub struct Content(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    sha256: OnceLock<String>,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    File { file: File, len: u64 },
    Generated(Layout),
}

impl Content {
    /// Content with these bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Content {
        Content::new(Source::Memory(bytes.into()))
    }

    /// A genuine snapshot file, for example `("1.18.3", "minilm_general.snapshot")`.
    ///
    /// # Errors
    /// When there is no such snapshot.
    pub fn genuine(version: &str, file: &str) -> io::Result<Content> {
        Ok(Content::bytes(GenuineSnapshot::find(version, file)?.read()?))
    }

    /// A generated snapshot, which is produced while it is read and never held in memory.
    pub fn generated(snapshot: &GeneratedSnapshot) -> Content {
        Content::new(Source::Generated(snapshot.layout()))
    }

    /// An archive that is produced while it is read.
    pub(crate) fn of_layout(layout: Layout) -> Content {
        Content::new(Source::Generated(layout))
    }

    /// An open file, which may have been unlinked.
    pub(crate) fn file(file: File, len: u64, sha256: String) -> Content {
        Content(Arc::new(Inner { source: Source::File { file, len }, sha256: OnceLock::from(sha256) }))
    }

    fn new(source: Source) -> Content {
        Content(Arc::new(Inner { source, sha256: OnceLock::new() }))
    }

    /// The size in bytes.
    pub fn size_bytes(&self) -> u64 {
        match &self.0.source {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { len, .. } => *len,
            Source::Generated(layout) => layout.size_bytes(),
        }
    }

    /// SHA-256 in hexadecimal, computed on first use. For gigabytes this takes seconds.
    pub fn sha256(&self) -> String {
        self.0.sha256.get_or_init(|| self.digest()).clone()
    }

    fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        let mut offset = 0;
        while offset < self.size_bytes() {
            // If the file cannot be read, the digest differs, so that the client sees an error.
            let Ok(chunk) = self.read_at(offset, CHUNK_BYTES) else { break };
            if chunk.is_empty() {
                break;
            }
            hasher.update(&chunk);
            offset += chunk.len() as u64;
        }
        hex::encode(hasher.finalize())
    }

    /// Reads at least one byte at `offset` and at most `max`. Nothing at the end.
    ///
    /// # Errors
    /// When the underlying file cannot be read.
    pub fn read_at(&self, offset: u64, max: usize) -> io::Result<Bytes> {
        let left = self.size_bytes().saturating_sub(offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(max);
        if len == 0 {
            return Ok(Bytes::new());
        }
        match &self.0.source {
            Source::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                Ok(bytes.slice(start..start + len))
            }
            Source::File { file, .. } => {
                let mut buffer = vec![0; len.min(CHUNK_BYTES)];
                file.read_exact_at(&mut buffer, offset)?;
                Ok(buffer.into())
            }
            Source::Generated(layout) => Ok(layout.read_at(offset, len)),
        }
    }

    /// A sequential reader of the content.
    pub(crate) fn reader(&self) -> ContentReader {
        ContentReader { content: self.clone(), offset: 0 }
    }
}

/// Reads content from start to end.
pub(crate) struct ContentReader {
    content: Content,
    offset: u64,
}

impl io::Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self.content.read_at(self.offset, buffer.len())?;
        buffer[..chunk.len()].copy_from_slice(&chunk);
        self.offset += chunk.len() as u64;
        Ok(chunk.len())
    }
}
