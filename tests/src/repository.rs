//! Files of the repository that tests hold to their word: documents, examples, scripts.

use std::fs;
use std::path::{Path, PathBuf};

/// The path of a file of the repository.
pub fn path(file: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    root.join(file)
}

/// The text of a file of the repository.
///
/// # Panics
/// When it is not there.
pub fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The text with every line that begins with `#:` uncommented: what an example recommends to some.
pub fn uncommented(text: &str) -> String {
    text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect()
}
