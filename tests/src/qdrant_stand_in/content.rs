//! The bytes of a snapshot, wherever they come from: memory, a file, or a generator that holds neither.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::data::GenuineSnapshot;
use super::generated::{GeneratedSnapshot, Layout};

const CHUNK_BYTES: usize = 1 << 20;

/// A snapshot's bytes, readable from any offset. Cloning shares them.
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
    /// The bytes a test gives.
    pub fn bytes(bytes: impl Into<Bytes>) -> Content {
        Content::new(Source::Memory(bytes.into()))
    }

    /// A genuine snapshot file, for example `("1.18.3", "minilm_general.snapshot")`.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn genuine(version: &str, file: &str) -> io::Result<Content> {
        Ok(Content::bytes(GenuineSnapshot::find(version, file)?.read()?))
    }

    /// A generated snapshot: made while it is read, never held.
    pub fn generated(snapshot: &GeneratedSnapshot) -> Content {
        Content::new(Source::Generated(snapshot.layout()))
    }

    /// An archive that is made while it is read.
    pub(crate) fn of_layout(layout: Layout) -> Content {
        Content::new(Source::Generated(layout))
    }

    /// An open file, which may have no name any more.
    pub(crate) fn file(file: File, len: u64, sha256: String) -> Content {
        Content(Arc::new(Inner { source: Source::File { file, len }, sha256: OnceLock::from(sha256) }))
    }

    fn new(source: Source) -> Content {
        Content(Arc::new(Inner { source, sha256: OnceLock::new() }))
    }

    /// How many bytes there are.
    pub fn size_bytes(&self) -> u64 {
        match &self.0.source {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { len, .. } => *len,
            Source::Generated(layout) => layout.size_bytes(),
        }
    }

    /// SHA-256 in hexadecimal; computed on first use, which for gigabytes takes seconds.
    pub fn sha256(&self) -> String {
        self.0.sha256.get_or_init(|| self.digest()).clone()
    }

    fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        let mut offset = 0;
        while offset < self.size_bytes() {
            // A file that went away meanwhile hashes to something else, which is what a client should see.
            let Ok(chunk) = self.read_at(offset, CHUNK_BYTES) else { break };
            if chunk.is_empty() {
                break;
            }
            hasher.update(&chunk);
            offset += chunk.len() as u64;
        }
        hex::encode(hasher.finalize())
    }

    /// At least one byte from `offset` on, at most `max`; nothing past the end.
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

    /// A sequential reader over the whole content.
    pub(crate) fn reader(&self) -> ContentReader {
        ContentReader { content: self.clone(), offset: 0 }
    }
}

/// Reads a content from its beginning to its end.
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
