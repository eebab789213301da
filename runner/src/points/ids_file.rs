//! Point ids from the command line, or from files with one id per line.

use std::path::Path;

use super::error::PointsError;
use super::id::PointId;
use super::input::Input;
use super::tally::Kind;

/// Longer than any kind and id.
const LINE_MAX_BYTES: usize = 256;

/// Parses ids or names of files. A line in a file may begin with a kind, as in the output of `compare --ids`. The kinds are
/// ignored, because the points are compared again.
///
/// # Errors
/// When an argument is neither, or a file cannot be read or has an invalid line.
pub fn read(words: &[String]) -> Result<Vec<PointId>, PointsError> {
    let mut ids = Vec::new();
    for word in words {
        if let Ok(id) = word.parse() {
            ids.push(id);
            continue;
        }
        let mut input = Input::open(Path::new(word))?;
        while let Some(line) = input.line(LINE_MAX_BYTES)? {
            let id = Kind::ALL.iter().find_map(|kind| line.strip_prefix(kind.word())?.strip_prefix(' '));
            let id = id.unwrap_or(&line).parse().map_err(|error| input.wrong(format!("{error}")))?;
            ids.push(id);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
