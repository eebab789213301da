//! Runs the program under a supervisor that sees every file system call and can answer one of them instead of the
//! kernel.
//!
//! See `supervise.c`, which is compiled here, for how the supervisor works. If the test is not root, the program runs
//! in its own user namespace, as under strace, because it shuts out other processes of its user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::disks::Disk;
use crate::place::Ran;
use crate::programs::program;
use crate::users::is_root;

/// One call of a run, described so that the next run can find the same call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The call's name, for example `fsync`. A call that opens a file and may create it is `create`. Variants share
    /// one name.
    pub name: String,
    /// The path relative to the directory (for a rename, the new path). `?` stands for a digit or a random character.
    pub pattern: String,
    /// Which of the calls with this name and pattern: 1 is the first, 0 means all, and -2 means every second one.
    pub which: i64,
}

/// What happens at the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It fails with this error.
    Fails(i32),
    /// It fails, and so do all later calls that would fail on such a disk.
    FailsFromThenOn(i32),
    /// Each write there writes at most this many bytes.
    WritesAtMost(usize),
    /// A shell runs this command first while the program is stopped; the path is in `$AT`. If the command fails,
    /// nothing happens.
    Meanwhile(String),
}

/// A run under the supervisor.
#[derive(Debug)]
pub struct Watched {
    /// Output and exit status of the program.
    pub ran: Ran,
    /// Its calls on paths below the directory, in order.
    pub calls: Vec<Call>,
    /// The calls that the supervisor answered or delayed, with their full paths.
    pub answered: Vec<String>,
}

/// Runs `command` to its end and applies `action` at a call on a path below `directory`.
///
/// # Panics
/// When the supervisor fails.
#[track_caller]
pub fn watched(directory: &Path, command: &Command, at: Option<(&Call, &Action)>) -> Watched {
    let by = if is_root() {
        Command::new(supervisor())
    } else {
        let mut by = Command::new("unshare");
        by.arg("--map-root-user").arg(supervisor());
        by
    };
    watched_by(by, directory, command, at, |command| command)
}

/// Like [`watched`], but on the test's own disk, which `directory` is part of.
///
/// # Panics
/// As [`watched`].
#[track_caller]
pub fn watched_on(disk: &Disk, directory: &Path, command: &Command, at: Option<(&Call, &Action)>) -> Watched {
    watched_by(Command::new(supervisor()), directory, command, at, |command| disk.inside(&command))
}

#[track_caller]
fn watched_by(
    mut by: Command,
    directory: &Path,
    command: &Command,
    at: Option<(&Call, &Action)>,
    wrap: impl FnOnce(Command) -> Command,
) -> Watched {
    let record = tempfile::NamedTempFile::new().expect("a file");
    by.arg(record.path()).arg(directory);
    what(&mut by, directory, at);
    by.arg(command.get_program()).args(command.get_args()).env_clear();
    by.envs(command.get_envs().filter_map(|(key, value)| value.map(|value| (key, value))));
    if let Some(directory) = command.get_current_dir() {
        by.current_dir(directory);
    }
    let ran = Ran::of(&mut wrap(by));
    assert_ne!(ran.code, Some(125), "the supervisor failed:\n{}", ran.stderr);
    let text = fs::read(record.path()).expect("the record can be read");
    let mut watched = Watched { ran, calls: Vec::new(), answered: Vec::new() };
    for line in String::from_utf8_lossy(&text).lines() {
        watched.take(line, directory);
    }
    watched
}

/// Sends the supervisor its instructions.
fn what(by: &mut Command, directory: &Path, at: Option<(&Call, &Action)>) {
    let Some((call, action)) = at else {
        by.args(["", "", "0", "none"]);
        return;
    };
    let below = directory.display().to_string();
    let pattern = if call.pattern.is_empty() { below } else { format!("{below}/{}", call.pattern) };
    let action = match action {
        Action::Fails(error) => format!("error={error}"),
        Action::FailsFromThenOn(error) => format!("sticky={error}"),
        Action::WritesAtMost(bytes) => format!("short={bytes}"),
        Action::Meanwhile(command) => format!("run={command}"),
    };
    by.args([&call.name, &pattern, &call.which.to_string(), &action]);
}

impl Watched {
    fn take(&mut self, line: &str, directory: &Path) {
        let mut parts: Vec<&str> = line.split('\t').collect();
        let is_answered = parts.last() == Some(&"!");
        if is_answered {
            parts.pop();
            self.answered.push(parts.join(" "));
        }
        let path = Path::new(parts.last().expect("a path"));
        let Ok(path) = path.strip_prefix(directory) else { return };
        let (name, pattern) = (parts[0].to_owned(), pattern(&path.to_string_lossy()));
        let before = self.calls.iter().filter(|call| call.name == name && call.pattern == pattern).count();
        let which = i64::try_from(before).expect("fewer calls than an i64 can count") + 1;
        self.calls.push(Call { name, pattern, which });
    }
}

/// The path with everything replaced that differs between runs.
fn pattern(path: &str) -> String {
    let path: String = path.chars().map(|c| if c.is_ascii_digit() { '?' } else { c }).collect();
    let known = path.strip_suffix(".tmp").and_then(|path| Some((path, path.len().checked_sub(6)?)));
    match known {
        Some((path, at)) if path.is_char_boundary(at) => format!("{}??????.tmp", &path[..at]),
        _ => path,
    }
}

/// The supervisor, compiled once per process.
fn supervisor() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/supervise.c");
        let beside = program("qdrant-backup").with_file_name("");
        let made = tempfile::Builder::new().prefix("supervise-").tempfile_in(&beside).expect("a file");
        // Close the file before the compiler writes to it. Otherwise a process that another test starts at the same
        // time inherits it open for writing, and running the program fails with "text file busy".
        let made = made.into_temp_path();
        let status = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&made)
            .arg(source)
            .status()
            .expect("a C compiler is installed");
        assert!(status.success(), "the supervisor cannot be compiled");
        let finished = beside.join("supervise");
        made.persist(&finished).expect("it can be renamed");
        finished
    })
}
