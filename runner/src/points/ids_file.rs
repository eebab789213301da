//! Point ids from the command line, or from files with one id per line.

use std::collections::BTreeSet;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::error::PointsError;
use super::id::PointId;
use super::input::Input;
use super::tally::Kind;

/// Longer than any kind and id.
const LINE_MAX_BYTES: usize = 256;
/// Maximum number of ids, including repeated ones: about 500 MiB of memory.
const IDS_MAX: usize = 10_000_000;

/// Parses ids or names of files. A line in a file may begin with a kind, as in the output of `compare --ids`. The kinds are
/// ignored, because the points are compared again.
///
/// # Errors
/// When an argument is neither, a file cannot be read or has an invalid line, there are too many ids, or a signal came.
pub fn read(words: &[String], interrupt: &CancellationToken) -> Result<Vec<PointId>, PointsError> {
    read_at_most(IDS_MAX, words, interrupt)
}

fn read_at_most(
    most: usize,
    words: &[String],
    interrupt: &CancellationToken,
) -> Result<Vec<PointId>, PointsError> {
    let mut ids = BTreeSet::new();
    let mut read = 0;
    for word in words {
        if let Ok(id) = word.parse() {
            ids.insert(id);
            continue;
        }
        let mut input = Input::open(Path::new(word), interrupt)?;
        while let Some(line) = input.line(LINE_MAX_BYTES)? {
            if read >= most {
                return Err(input.wrong(format!("these are more than {most} ids")));
            }
            let id = Kind::ALL.iter().find_map(|kind| line.strip_prefix(kind.word())?.strip_prefix(' '));
            let id = id.unwrap_or(&line).parse().map_err(|error| input.wrong(format!("{error}")))?;
            ids.insert(id);
            read += 1;
        }
    }
    Ok(ids.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[String]) -> Result<Vec<PointId>, PointsError> {
        read_at_most(5, words, &CancellationToken::new())
    }

    #[test]
    fn ids_are_words_or_lines_with_and_without_a_kind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ids");
        qdrant_backup_shared::atomic::write(&path, 0o600, b"missing 7\n\n9\r\nchanged 8\nnew 7\n").unwrap();
        let ids = read(&["3".to_owned(), path.display().to_string()]).unwrap();
        assert_eq!(ids, [3, 7, 8, 9].map(PointId::Number));
        qdrant_backup_shared::atomic::write(&path, 0o600, b"missing 7\nmissing seven\n").unwrap();
        let error = read(&[path.display().to_string()]).unwrap_err().to_string();
        assert!(error.ends_with("ids, line 2: `seven` is not a point id (a number or a UUID)"), "{error}");
        assert!(read(&["nowhere".to_owned()]).is_err());
    }

    #[test]
    fn a_list_has_an_end_even_if_it_repeats_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ids");
        qdrant_backup_shared::atomic::write(&path, 0o600, b"1\n1\n1\n1\n1\n").unwrap();
        let word = path.display().to_string();
        assert_eq!(read(std::slice::from_ref(&word)).unwrap(), [PointId::Number(1)]);
        let error = read(&[word.clone(), word]).unwrap_err().to_string();
        assert!(error.ends_with("ids, line 1: these are more than 5 ids"), "{error}");
    }
}
