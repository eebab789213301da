//! Reads a file once: computes both digests, checks the contents, and optionally copies it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};

use flate2::read::MultiGzDecoder;
use qdrant_backup_shared::manifest::{Encoding, SizeAndDigest};
use tokio_util::sync::CancellationToken;

use super::error::ImportError;
use crate::archive::inspect::{Inspection, Limits, SnapshotKind, inspect};
use crate::archive::write::Tally;

const BUFFER_BYTES: usize = 1 << 20;
/// Decompressed size that is always allowed: reserved empty files compress to almost nothing.
const ALWAYS_ALLOWED_BYTES: u64 = 16 << 30;
/// Additional decompressed bytes allowed per byte, the maximum of gzip.
const EXPANSION: u64 = 1_100;

/// The result of reading a file.
#[derive(Debug)]
pub struct Examined {
    /// The encoding of the file.
    pub encoding: Vec<Encoding>,
    /// The stored bytes.
    pub stored: SizeAndDigest,
    /// The snapshot in them.
    pub snapshot: SizeAndDigest,
    /// Its contents: complete, except for unusual findings.
    pub inspection: Inspection,
}

/// Reads `file` to its end, copies it to `copy`, and calls `progress` with the numbers of bytes read.
///
/// # Errors
/// When it is not a whole snapshot of that kind, or reading or writing fails.
pub fn examine(
    file: &mut File,
    kind: SnapshotKind,
    copy: Option<&mut File>,
    interrupt: &CancellationToken,
    progress: &mut dyn FnMut(u64),
) -> Result<Examined, ImportError> {
    let encoding = encoding(file)?;
    let stored = file.metadata().map_err(ImportError::io("reading"))?.len();
    let most = if encoding.is_empty() { u64::MAX } else { most_decoded(stored) };
    examine_within(file, encoding, most, kind, copy, interrupt, progress)
}

/// Maximum decompressed size of a compressed file with this size.
fn most_decoded(stored: u64) -> u64 {
    stored.saturating_mul(EXPANSION).saturating_add(ALWAYS_ALLOWED_BYTES)
}

fn examine_within(
    file: &mut File,
    encoding: Vec<Encoding>,
    most: u64,
    kind: SnapshotKind,
    copy: Option<&mut File>,
    interrupt: &CancellationToken,
    progress: &mut dyn FnMut(u64),
) -> Result<Examined, ImportError> {
    let mut source = Source { file, copy, tally: Tally::default(), failed: None, interrupt, progress };
    let (looked, snapshot) = look(&mut source, &encoding, most);
    let looked = looked.and_then(|inspection| io::copy(&mut source, &mut io::sink()).map(|_| inspection));
    let inspection = match (looked, source.failed.take()) {
        (_, Some(failed)) => return Err(failed),
        // A small file may decompress to very much data, and signals must still work.
        (Err(_), None) if interrupt.is_cancelled() => return Err(ImportError::Interrupted),
        (Err(error), None) if error.get_ref().is_some_and(|inner| inner.is::<TooLong>()) => {
            let stored = source.file.metadata().map_err(ImportError::io("reading"))?.len();
            return Err(ImportError::Expands { stored, most });
        }
        (Ok(inspection), None) => inspection,
        // Reading and writing worked, so the data cannot be decoded.
        (Err(error), None) => {
            let names: Vec<&str> = encoding.iter().map(Encoding::as_str).collect();
            return Err(ImportError::Contents {
                problem: format!("incomplete {}: {error}", names.join("+")),
            });
        }
    };
    check(&inspection, kind)?;
    Ok(Examined { encoding, stored: source.tally.finish(), snapshot, inspection })
}

/// Decodes `source`, checks its contents, and tallies it.
fn look(
    source: &mut Source<'_>,
    encoding: &[Encoding],
    most: u64,
) -> (io::Result<Inspection>, SizeAndDigest) {
    let interrupt = source.interrupt;
    let raw = BufReader::with_capacity(BUFFER_BYTES, source);
    let inner: Box<dyn BufRead + '_> = match encoding.first() {
        None => Box::new(raw),
        Some(Encoding::Zstd) => match zstd::Decoder::with_buffer(raw) {
            Ok(decoder) => Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder)),
            Err(error) => return (Err(error), Tally::default().finish()),
        },
        Some(Encoding::Gzip | Encoding::Other(_)) => {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw)))
        }
    };
    let mut snapshot = Tallied { inner, tally: Tally::default(), left: most, interrupt };
    let looked = inspect(&mut snapshot, &Limits::default());
    (looked, snapshot.tally.finish())
}

/// Detected by the first bytes, because names may be wrong: a tar begins with a name, which differs from all of these.
fn encoding(file: &mut File) -> Result<Vec<Encoding>, ImportError> {
    let mut first = Vec::new();
    file.take(4).read_to_end(&mut first).map_err(ImportError::io("reading"))?;
    file.rewind().map_err(ImportError::io("reading"))?;
    match first.as_slice() {
        [0x1f, 0x8b, ..] => Ok(vec![Encoding::Gzip]),
        // A frame, or a skippable frame before it, as written by `pzstd` and this program.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Ok(vec![Encoding::Zstd]),
        _ => Ok(Vec::new()),
    }
}

fn check(inspection: &Inspection, kind: SnapshotKind) -> Result<(), ImportError> {
    let contents = |problem: &str| Err(ImportError::Contents { problem: problem.to_owned() });
    if inspection.kind == SnapshotKind::Shard && kind != SnapshotKind::Shard {
        return Err(ImportError::SingleShard);
    }
    if let Some(finding) = inspection.findings.iter().find(|finding| !finding.kind.is_oddity()) {
        return contents(&finding.to_string());
    }
    match inspection.kind {
        SnapshotKind::Unknown => contents("it contains no known file"),
        SnapshotKind::Collection if kind == SnapshotKind::Shard => {
            contents("it is a snapshot of a whole collection, not of a single shard")
        }
        SnapshotKind::Collection | SnapshotKind::Shard => Ok(()),
    }
}

/// The file, tallied and copied while it is read.
struct Source<'a> {
    file: &'a mut File,
    copy: Option<&'a mut File>,
    tally: Tally,
    /// Why reading or copying failed. Kept separately, because decoders wrap errors.
    failed: Option<ImportError>,
    interrupt: &'a CancellationToken,
    progress: &'a mut dyn FnMut(u64),
}

impl Source<'_> {
    fn step(&mut self, buffer: &mut [u8]) -> Result<usize, ImportError> {
        if self.interrupt.is_cancelled() {
            return Err(ImportError::Interrupted);
        }
        let read = loop {
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(ImportError::io("reading"))?,
            }
        };
        let piece = &buffer[..read];
        self.tally.update(piece);
        if let Some(copy) = &mut self.copy {
            copy.write_all(piece).map_err(ImportError::io("writing the copy"))?;
        }
        (self.progress)(read as u64);
        Ok(read)
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.step(buffer).map_err(|error| {
            self.failed = Some(error);
            io::Error::other("the file cannot be read")
        })
    }
}

/// There was too much data.
#[derive(Debug, thiserror::Error)]
#[error("it decompresses to too many bytes")]
struct TooLong;

/// Tallies the data that is consumed.
struct Tallied<'a, R> {
    inner: R,
    tally: Tally,
    /// The remaining number of bytes.
    left: u64,
    interrupt: &'a CancellationToken,
}

impl<R: BufRead> BufRead for Tallied<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.interrupt.is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        let filled = self.inner.fill_buf()?;
        if filled.len() as u64 > self.left {
            return Err(io::Error::other(TooLong));
        }
        Ok(filled)
    }

    fn consume(&mut self, amount: usize) {
        // Consumed data was read before, so this neither reads nor fails.
        if let Some(consumed) = self.inner.fill_buf().ok().and_then(|filled| filled.get(..amount)) {
            self.tally.update(consumed);
        }
        self.left = self.left.saturating_sub(amount as u64);
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Tallied<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.fill_buf()?.read(buffer)?;
        self.consume(taken);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_decompresses_to_more_than_it_may_is_left_at_that() {
        let zeros = vec![0; 64 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&zeros).unwrap();
        for packed in [gzip.finish().unwrap(), zstd::encode_all(zeros.as_slice(), 1).unwrap()] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&packed).unwrap();
            file.rewind().unwrap();
            let encoding = encoding(&mut file).unwrap();
            let mut at = |most: u64| {
                file.rewind().unwrap();
                let interrupt = CancellationToken::new();
                {
                    let kind = SnapshotKind::Collection;
                    examine_within(&mut file, encoding.clone(), most, kind, None, &interrupt, &mut |_| ())
                        .unwrap_err()
                }
            };
            let error = at(40 << 20);
            assert!(matches!(error, ImportError::Expands { most, .. } if most == 40 << 20), "{error}");
            assert!(error.to_string().contains("more than 40.00 MiB"), "{error}");
            assert!(matches!(at(64 << 20), ImportError::Contents { .. }));
        }
    }

    #[test]
    fn what_gzip_can_do_and_reserved_files_that_are_empty_are_always_allowed() {
        assert!(most_decoded(40 << 10) > 4 << 30);
        assert!(most_decoded(1 << 30) > 1_032 << 30);
        assert_eq!(most_decoded(u64::MAX), u64::MAX);
    }
}
