//! Stores the ids of points to restore in an unnamed file, so that they need no memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::path::Path;

use super::error::PointsError;
use super::id::PointId;

/// Prefix of the id of a point to overwrite.
const OVERWRITES: &str = "=";

/// A list of ids, written once and read once.
pub struct Spool {
    file: BufWriter<File>,
    count: u64,
}

/// The same, being read.
pub struct Unspooled {
    lines: io::Lines<BufReader<File>>,
}

impl Spool {
    /// A new one on the disk of `directory`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(directory: &Path) -> Result<Self, PointsError> {
        let file = tempfile::tempfile_in(directory).map_err(failed)?;
        Ok(Self { file: BufWriter::new(file), count: 0 })
    }

    /// Adds an id, and whether the point exists and must be overwritten.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, id: PointId, overwrites: bool) -> Result<(), PointsError> {
        self.count += 1;
        writeln!(self.file, "{}{id}", if overwrites { OVERWRITES } else { "" }).map_err(failed)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Begins to read.
    ///
    /// # Errors
    /// When it could not be written completely.
    pub fn read(self) -> Result<Unspooled, PointsError> {
        let mut file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.rewind().map_err(failed)?;
        Ok(Unspooled { lines: BufReader::new(file).lines() })
    }
}

impl Unspooled {
    /// The next ids, up to a maximum. Empty at the end.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn next(&mut self, most: usize) -> Result<Vec<(PointId, bool)>, PointsError> {
        let mut ids = Vec::new();
        while ids.len() < most {
            let Some(line) = self.lines.next().transpose().map_err(failed)? else { break };
            let id = line.strip_prefix(OVERWRITES);
            ids.push((id.unwrap_or(&line).parse()?, id.is_some()));
        }
        Ok(ids)
    }
}

fn failed(source: io::Error) -> PointsError {
    PointsError::File { what: "the list of points to bring back, in the state directory".to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_its_order() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(directory.path()).unwrap();
        let ids =
            [PointId::Number(9), "0a0a0a0a-0000-4000-8000-00000000000f".parse().unwrap(), PointId::Number(3)];
        ids.iter().for_each(|id| spool.add(*id, *id == ids[1]).unwrap());
        assert_eq!(spool.count(), 3);
        let mut read = spool.read().unwrap();
        assert_eq!(read.next(2).unwrap(), [(ids[0], false), (ids[1], true)]);
        assert_eq!(read.next(2).unwrap(), [(ids[2], false)]);
        assert_eq!(read.next(2).unwrap(), []);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
