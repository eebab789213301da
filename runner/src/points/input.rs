//! Reads files of lines, with any compression.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::error::PointsError;

/// Maximum length of a line with a point. Qdrant accepts requests of 32 MiB unless `service.max_request_size_mb` says otherwise.
pub(super) const POINT_MAX_BYTES: usize = 256 << 20;

/// How often to check for a signal while there is nothing to read.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Lines of a file.
pub struct Input {
    from: String,
    lines: Box<dyn BufRead + Send>,
    line: u64,
    interrupt: CancellationToken,
}

/// A file that may be a pipe to which nobody writes. Reading ends with an error after a signal.
struct Watched {
    file: File,
    interrupt: CancellationToken,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.interrupt.is_cancelled() {
                return Err(io::Error::other("interrupted by a signal"));
            }
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&LOOK)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

impl Input {
    /// The file, or stdin for `-`. `interrupt` ends reading.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path, interrupt: &CancellationToken) -> Result<Self, PointsError> {
        let is_stdin = path == Path::new("-");
        let from = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
        let file = if is_stdin {
            io::stdin().as_fd().try_clone_to_owned().map(File::from)
        } else {
            // A pipe without a writer must not block here.
            File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
        };
        match file {
            Ok(file) => Self::new(from, Watched { file, interrupt: interrupt.clone() }, interrupt.clone()),
            Err(source) => Err(PointsError::File { what: format!("{from} cannot be read"), source }),
        }
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn of(from: String, raw: impl Read + Send + 'static) -> Result<Self, PointsError> {
        Self::new(from, raw, CancellationToken::new())
    }

    fn new(
        from: String,
        raw: impl Read + Send + 'static,
        interrupt: CancellationToken,
    ) -> Result<Self, PointsError> {
        let failed = |source| failed(&interrupt, format!("{from} cannot be read"), source);
        let mut raw = BufReader::with_capacity(1 << 16, raw);
        let lines: Box<dyn BufRead + Send> = match raw.fill_buf().map_err(failed)? {
            [0x1f, 0x8b, ..] => Box::new(BufReader::new(MultiGzDecoder::new(raw))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                Box::new(BufReader::new(zstd::Decoder::with_buffer(raw).map_err(failed)?))
            }
            _ => Box::new(raw),
        };
        Ok(Self { from, lines, line: 0, interrupt })
    }

    /// The next line that is not empty, without its end.
    ///
    /// # Errors
    /// When it cannot be read, is not text, or has more than `max_bytes` bytes. A device may be one endless line.
    pub(super) fn line(&mut self, max_bytes: usize) -> Result<Option<String>, PointsError> {
        loop {
            let mut line = Vec::new();
            let read = self.lines.by_ref().take(max_bytes as u64 + 1).read_until(b'\n', &mut line);
            let read = read.map_err(|source| {
                let what = format!("{} cannot be read after line {}", self.from, self.line);
                failed(&self.interrupt, what, source)
            })?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if line.len() > max_bytes {
                return Err(self.wrong(format!("it has more than {max_bytes} bytes")));
            }
            let line = String::from_utf8(line).map_err(|_| self.wrong("it is not text"))?;
            let line = line.trim();
            if !line.is_empty() {
                return Ok(Some(line.to_owned()));
            }
        }
    }

    /// An error about the last line that was read.
    pub fn wrong(&self, problem: impl Into<String>) -> PointsError {
        PointsError::Line { file: self.from.clone(), line: self.line, problem: problem.into() }
    }
}

fn failed(interrupt: &CancellationToken, what: String, source: io::Error) -> PointsError {
    if interrupt.is_cancelled() {
        return crate::qdrant::Error::Interrupted.into();
    }
    PointsError::File { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::output::Output;

    const MAX: usize = 1000;

    fn open(path: &Path) -> Result<Input, PointsError> {
        Input::open(path, &CancellationToken::new())
    }

    #[test]
    fn what_was_written_is_read_back_whatever_it_was_compressed_with() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"] {
            let path = directory.path().join(name);
            let mut output = Output::open(&path, false).unwrap();
            for line in 0..1000 {
                output.line(&format!("{{\"line\":{line}}}")).unwrap();
            }
            assert!(!path.exists(), "it has no name yet");
            output.finish().unwrap();
            let mut input = open(&path).unwrap();
            for line in 0..1000 {
                assert_eq!(input.line(MAX).unwrap(), Some(format!("{{\"line\":{line}}}")));
            }
            assert_eq!(input.line(MAX).unwrap(), None);
            assert!(Output::open(&path, false).is_err());
            Output::open(&path, true).unwrap().finish().unwrap();
            assert_eq!(open(&path).unwrap().line(MAX).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn a_file_that_is_cut_is_an_error_that_names_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl.gz");
        let mut output = Output::open(&path, false).unwrap();
        (0..10_000)
            .for_each(|line| output.line(&format!("{}", fastrand::Rng::with_seed(line).u64(..))).unwrap());
        output.finish().unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        let mut input = open(&path).unwrap();
        let error = loop {
            match input.line(MAX) {
                Ok(line) => assert!(line.is_some(), "it ended as if it were whole"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("cannot be read after line "), "{error}");
    }

    #[test]
    fn an_endless_line_is_an_error_and_does_not_fill_the_memory() {
        let mut input = open(Path::new("/dev/zero")).unwrap();
        let error = input.line(MAX).unwrap_err().to_string();
        assert!(error.ends_with("/dev/zero, line 1: it has more than 1000 bytes"), "{error}");

        let mut input = Input::of("file".to_owned(), io::Cursor::new([b'7'; MAX])).unwrap();
        assert_eq!(input.line(MAX).unwrap().map(|line| line.len()), Some(MAX));
        assert_eq!(input.line(MAX).unwrap(), None);
    }
}
