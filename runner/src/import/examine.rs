//! One pass over a file: both digests, a look inside, and a copy on the way where one is wanted.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};

use flate2::read::MultiGzDecoder;
use qdrant_backup_shared::manifest::{Encoding, SizeAndDigest};
use tokio_util::sync::CancellationToken;

use super::error::ImportError;
use crate::inspect::{Inspection, Limits, SnapshotKind, inspect};
use crate::stream::Tally;

const BUFFER_BYTES: usize = 1 << 20;

/// What was found.
#[derive(Debug)]
pub struct Examined {
    /// How the bytes are encoded.
    pub encoding: Vec<Encoding>,
    /// The bytes as they are.
    pub stored: SizeAndDigest,
    /// The snapshot in them.
    pub snapshot: SizeAndDigest,
    /// What it holds. Whole, but for oddities.
    pub inspection: Inspection,
}

/// Reads `file` to its end, writing what is read to `copy`, and calls `progress` with each number of bytes read.
///
/// # Errors
/// When it is not a whole snapshot of a collection, or reading or writing fails.
pub fn examine(
    file: &mut File,
    copy: Option<&mut File>,
    interrupt: &CancellationToken,
    progress: &mut dyn FnMut(u64),
) -> Result<Examined, ImportError> {
    let encoding = encoding(file)?;
    let mut source = Source { file, copy, tally: Tally::default(), failed: None, interrupt, progress };
    let (looked, snapshot) = look(&mut source, &encoding);
    let looked = looked.and_then(|inspection| io::copy(&mut source, &mut io::sink()).map(|_| inspection));
    let inspection = match (looked, source.failed.take()) {
        (_, Some(failed)) => return Err(failed),
        (Ok(inspection), None) => inspection,
        // Neither reading nor writing failed, so it is what was read that cannot be decoded.
        (Err(error), None) => {
            let names: Vec<&str> = encoding.iter().map(Encoding::as_str).collect();
            return Err(ImportError::Contents { problem: format!("not whole {}: {error}", names.join("+")) });
        }
    };
    check(&inspection)?;
    Ok(Examined { encoding, stored: source.tally.finish(), snapshot, inspection })
}

/// Looks into what `source` holds, decoded, and tallies that.
fn look(source: &mut Source<'_>, encoding: &[Encoding]) -> (io::Result<Inspection>, SizeAndDigest) {
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
    let mut snapshot = Tallied { inner, tally: Tally::default() };
    let looked = inspect(&mut snapshot, &Limits::default());
    (looked, snapshot.tally.finish())
}

/// Told by the first bytes, for names lie: a tar begins with a name, which none of these are.
fn encoding(file: &mut File) -> Result<Vec<Encoding>, ImportError> {
    let mut first = Vec::new();
    file.take(4).read_to_end(&mut first).map_err(ImportError::io("reading"))?;
    file.rewind().map_err(ImportError::io("reading"))?;
    match first.as_slice() {
        [0x1f, 0x8b, ..] => Ok(vec![Encoding::Gzip]),
        // A frame, or a skippable frame before it, as `pzstd` and this program write.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Ok(vec![Encoding::Zstd]),
        _ => Ok(Vec::new()),
    }
}

fn check(inspection: &Inspection) -> Result<(), ImportError> {
    let contents = |problem: String| Err(ImportError::Contents { problem });
    if inspection.kind == SnapshotKind::Shard {
        return contents("it is a snapshot of a single shard".to_owned());
    }
    if let Some(finding) = inspection.findings.iter().find(|finding| !finding.kind.is_oddity()) {
        return contents(finding.to_string());
    }
    match inspection.kind {
        SnapshotKind::Collection => Ok(()),
        SnapshotKind::Shard | SnapshotKind::Unknown => contents("nothing in it is known".to_owned()),
    }
}

/// The file, tallied and copied while it is read.
struct Source<'a> {
    file: &'a mut File,
    copy: Option<&'a mut File>,
    tally: Tally,
    /// Why reading, or copying, failed. Decoders wrap errors, so it is kept apart from theirs.
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

/// Tallies what is consumed of it.
struct Tallied<R> {
    inner: R,
    tally: Tally,
}

impl<R: BufRead> BufRead for Tallied<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is consumed was filled before, so this neither reads nor fails.
        if let Some(consumed) = self.inner.fill_buf().ok().and_then(|filled| filled.get(..amount)) {
            self.tally.update(consumed);
        }
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Tallied<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let taken = available.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&available[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}
