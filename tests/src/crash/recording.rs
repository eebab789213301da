//! Records a run of the program under strace as changes of its backup directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::change::{Change, Step};
use super::disk::Disk;
use super::recorder::Recorder;
use super::trace::{OPTIONS, calls};
use super::tree::Tree;
use crate::place::Ran;
use crate::strace::under_strace;

/// The effect of a run on a directory.
pub struct Recording {
    /// The directory before the run.
    pub before: Tree,
    /// The changes.
    pub steps: Vec<Step>,
    /// The directory after the run.
    pub after: Tree,
}

/// Runs `command`, records its changes below `directory`, and returns its exit status.
///
/// # Panics
/// When it makes an unsupported call there, or the changes do not explain the final state of the directory.
pub fn record(directory: &Path, trace: &Path, command: &Command) -> (Recording, Ran) {
    let directory = directory.canonicalize().expect("the directory exists");
    let before = Tree::of(&directory);
    let options = OPTIONS.map(str::to_owned).into_iter().chain([format!("--output={}", trace.display())]);
    let mut traced = under_strace(options, command);
    traced.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ran = Ran::of(&mut traced);
    let text =
        fs::read_to_string(trace).unwrap_or_else(|error| panic!("{}: {error}; {ran:?}", trace.display()));
    fs::remove_file(trace).expect("it existed");
    let mut recorder = Recorder::new(&directory, &before);
    calls(&text).iter().for_each(|call| recorder.enter(call));
    let (steps, explained) = recorder.end();
    let after = Tree::of(&directory);
    for (path, node) in &after.0 {
        assert!(explained.0.get(path) == Some(node), "{path} differs from the recorder's result");
    }
    assert_eq!(explained.0.len(), after.0.len(), "the recorder has files that do not exist");
    (Recording { before, steps, after }, ran)
}

impl Recording {
    /// The changes without their times.
    pub fn changes(&self) -> Vec<Change> {
        self.steps.iter().map(|step| step.change.clone()).collect()
    }

    /// Every path that ever had a name here, with the file's contents when it got the name. Paths from before the run
    /// come first.
    pub fn named(&self) -> Vec<(String, std::sync::Arc<super::tree::Blob>)> {
        let own = |(path, blob): (&str, &std::sync::Arc<super::tree::Blob>)| (path.to_owned(), blob.clone());
        let mut named: Vec<_> = self.before.files().map(own).collect();
        let mut disk = Disk::of(&self.before);
        for step in &self.steps {
            disk.apply(&step.change);
            if let Change::Rename { to, .. } = &step.change {
                let tree = disk.tree();
                named.extend(tree.files().filter(|(path, _)| path.rsplit('/').next() == Some(to)).map(own));
            }
        }
        named
    }
}
