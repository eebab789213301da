//! Runs restic: its input, and the meaning of its result.
//!
//! Passwords and keys are only passed in its environment and in files, never on a command line or in a message.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use qdrant_backup_shared::config_file::repository_secrets;
use qdrant_backup_shared::file_system::is_read_only;
use qdrant_backup_shared::text::one_line;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::child::{Ended, Running};
use super::error::{Meaning, OffsiteError, gist, meaning};
use crate::settings::PlaceSettings;

/// The minimum version.
const OLDEST: (u32, u32) = (0, 14);
/// Maximum size of an answer that is read completely, in bytes.
const ANSWER_MAX: u64 = 256 << 20;
/// Our variables, and those of restic that would override the configuration.
const REMOVED: [&str; 2] = ["QDRANT_", "BACKUP_"];
const NOT_TAKEN_OVER: [&str; 7] = [
    "RESTIC_REPOSITORY",
    "RESTIC_REPOSITORY_FILE",
    "RESTIC_PASSWORD",
    "RESTIC_PASSWORD_FILE",
    "RESTIC_PASSWORD_COMMAND",
    "RESTIC_KEY_HINT",
    "RESTIC_HOST",
];
/// Replaces a secret in messages.
const MASK: &str = "********";

/// restic for one place.
#[derive(Debug, Clone)]
pub struct Restic {
    settings: PlaceSettings,
    interrupt: CancellationToken,
}

/// restic's summary of a new snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    /// The snapshot's id. Old versions return only its beginning.
    pub(super) snapshot: String,
    /// Data added to the repository, in bytes.
    pub(super) added_bytes: u64,
}

/// A snapshot in progress of the data written to it.
#[derive(Debug)]
pub(super) struct Saving {
    restic: Restic,
    running: Running,
    stdin: Option<std::process::ChildStdin>,
    summary: std::thread::JoinHandle<Option<Summary>>,
}

/// A file of a snapshot, as a stream. If restic fails, reading fails too: an early end is always an error.
#[derive(Debug)]
pub(super) struct Dump {
    restic: Restic,
    running: Option<Running>,
    stdout: ChildStdout,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Summary {
    #[serde(default)]
    message_type: String,
    #[serde(default)]
    snapshot_id: Option<String>,
    #[serde(default)]
    data_added_packed: Option<u64>,
    #[serde(default)]
    data_added: Option<u64>,
}

#[derive(Deserialize)]
struct Config {
    id: String,
}

impl Restic {
    /// restic for this place. All processes are stopped when `interrupt` is canceled.
    pub fn new(settings: PlaceSettings, interrupt: CancellationToken) -> Self {
        Self { settings, interrupt }
    }

    /// The settings of the place.
    pub fn settings(&self) -> &PlaceSettings {
        &self.settings
    }

    /// Checks for a signal.
    ///
    /// # Errors
    /// [`OffsiteError::Interrupted`], then.
    pub(super) fn go_on(&self) -> Result<(), OffsiteError> {
        if self.interrupt.is_cancelled() { Err(OffsiteError::Interrupted) } else { Ok(()) }
    }

    /// The program's version, which must be new enough.
    ///
    /// # Errors
    /// When it cannot be started, is another program, or too old.
    pub fn version(&self) -> Result<String, OffsiteError> {
        let mut command = Command::new(&self.settings.place.restic);
        command.arg("version");
        clean(&mut command);
        let mut running = self.start(command, Stdio::null())?;
        let mut said = String::new();
        if let Some(stdout) = running.stdout() {
            stdout.take(4096).read_to_string(&mut said).map_err(|error| self.no_program(&error))?;
        }
        running.wait().map_err(|error| self.no_program(&error))?;
        let program = self.program();
        match version(&said) {
            Some((found, text)) if found >= OLDEST => Ok(text),
            Some((_, text)) => Err(OffsiteError::TooOld { program, found: text }),
            None => Err(OffsiteError::TooOld { program, found: "not restic".to_owned() }),
        }
    }

    /// The repository's id. Proves that the repository exists and the password is right.
    ///
    /// # Errors
    /// As [`OffsiteError`] says.
    pub fn repository_id(&self) -> Result<String, OffsiteError> {
        let config: Config = self.json("cat config", &["cat", "config"])?;
        Ok(config.id)
    }

    /// Makes the repository.
    ///
    /// # Errors
    /// As [`OffsiteError`] says.
    pub fn init(&self) -> Result<(), OffsiteError> {
        self.call(&["init"]).map(drop)
    }

    /// The output of a command with `--json`.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        command: &'static str,
        arguments: &[&str],
    ) -> Result<T, OffsiteError> {
        let answer = self.call(&[arguments, &["--json"]].concat())?;
        serde_json::from_slice(&answer)
            .map_err(|error| OffsiteError::Answer { command, why: one_line(&error.to_string()) })
    }

    /// The stdout of a command.
    pub(super) fn call(&self, arguments: &[&str]) -> Result<Vec<u8>, OffsiteError> {
        self.go_on()?;
        let mut running = self.start(self.command(arguments)?, Stdio::null())?;
        let mut answer = Vec::new();
        let read = match running.stdout() {
            Some(stdout) => stdout.take(ANSWER_MAX).read_to_end(&mut answer).map(drop),
            None => Ok(()),
        };
        self.judge(running.wait())?;
        read.map_err(|source| OffsiteError::Local { what: "reading from restic".to_owned(), source })?;
        Ok(answer)
    }

    /// A snapshot of one file, which is then written to it.
    pub(super) fn save(&self, file_name: &str, tags: &[String]) -> Result<Saving, OffsiteError> {
        self.go_on()?;
        let mut arguments = vec!["backup".to_owned(), "--stdin".to_owned(), "--json".to_owned()];
        arguments.push(format!("--stdin-filename={file_name}"));
        arguments.extend(tags.iter().map(|tag| format!("--tag={tag}")));
        if let Some(limit) = self.settings.place.limit_upload {
            // In KiB per second. Zero would mean no limit.
            arguments.push(format!("--limit-upload={}", (limit.get() >> 10).max(1)));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut running = self.start(self.command(&arguments)?, Stdio::piped())?;
        let stdout = running.stdout();
        let summary = std::thread::spawn(move || stdout.and_then(summary));
        let stdin = running.stdin();
        if let Some(stdin) = &stdin {
            // A larger pipe, so that the processes do not wait for each other all the time. Optional.
            rustix::pipe::fcntl_setpipe_size(stdin, 1 << 20).unwrap_or_default();
        }
        Ok(Saving { restic: self.clone(), running, stdin, summary })
    }

    /// A file of a snapshot.
    pub(super) fn dump(&self, snapshot: &str, path: &str) -> Result<Dump, OffsiteError> {
        self.go_on()?;
        let mut running = self.start(self.command(&["dump", snapshot, path])?, Stdio::null())?;
        let stdout = running.stdout().ok_or_else(|| OffsiteError::Local {
            what: "reading from restic".to_owned(),
            source: io::ErrorKind::BrokenPipe.into(),
        })?;
        Ok(Dump { restic: self.clone(), running: Some(running), stdout })
    }

    fn program(&self) -> String {
        self.settings.place.restic.display().to_string()
    }

    fn no_program(&self, error: &io::Error) -> OffsiteError {
        OffsiteError::NoProgram { program: self.program(), why: error.to_string() }
    }

    fn start(&self, command: Command, stdin: Stdio) -> Result<Running, OffsiteError> {
        Running::start(command, stdin, &self.interrupt).map_err(|error| self.no_program(&error))
    }

    fn command(&self, arguments: &[&str]) -> Result<Command, OffsiteError> {
        let place = &self.settings.place;
        // restic only reports a fatal error for such a file.
        std::fs::File::open(&place.password_file).map_err(|error| {
            OffsiteError::Unreadable(format!(
                "password file {}: cannot be read: {error}",
                place.password_file.display()
            ))
        })?;
        let environment = self.settings.environment().map_err(OffsiteError::Unreadable)?;
        let mut command = Command::new(&place.restic);
        command.args(arguments).args(&place.extra_options);
        clean(&mut command);
        let cache_named =
            ["RESTIC_CACHE_DIR", "XDG_CACHE_HOME"].iter().any(|name| environment.contains_key(*name));
        command
            .env("RESTIC_PROGRESS_FPS", "0.1")
            .envs(environment)
            .env("RESTIC_REPOSITORY", place.repository.expose())
            .env("RESTIC_PASSWORD_FILE", &place.password_file);
        // It would only report that it cannot have one.
        let home = std::env::var_os("HOME").is_some_and(|home| std::path::Path::new(&home).is_dir());
        if !home && !cache_named && std::env::var_os("XDG_CACHE_HOME").is_none() {
            command.arg("--no-cache");
        }
        // No lock can be written there, and nobody else can change it through this mount.
        let repository = place.repository.expose();
        let path = Path::new(repository.strip_prefix("local:").unwrap_or(repository));
        if path.is_absolute() && is_read_only(path) {
            command.arg("--no-lock");
        }
        Ok(command)
    }

    fn judge(&self, ended: io::Result<Ended>) -> Result<(), OffsiteError> {
        let Ended { status, said } =
            ended.map_err(|source| OffsiteError::Local { what: "waiting for restic".to_owned(), source })?;
        if status.success() {
            return Ok(());
        }
        self.go_on()?;
        // Before a part of a password is masked that is also a word of restic's.
        let meaning = meaning(status.code(), &said);
        let said = self.masked(&said);
        let (place, repository) = (&self.settings.place, self.settings.place.shown_repository());
        Err(match meaning {
            Meaning::WrongPassword => {
                let file = place.password_file.display().to_string();
                OffsiteError::WrongPassword { file, repository }
            }
            Meaning::NoRepository => {
                OffsiteError::NoRepository { place: place.name.value.clone(), repository }
            }
            Meaning::ReadOnly => OffsiteError::ReadOnly,
            Meaning::Locked => OffsiteError::Locked { by: locked_by(&said) },
            Meaning::NoSpace => OffsiteError::NoSpace(gist(&said)),
            Meaning::Unreachable => OffsiteError::Unreachable(gist(&said)),
            Meaning::Refused => OffsiteError::Refused(gist(&said)),
            Meaning::Damaged => OffsiteError::Damaged(gist(&said)),
            Meaning::Other => OffsiteError::Failed { status: status.to_string(), said: gist(&said) },
        })
    }

    /// restic's message without secrets, because restic repeats addresses.
    fn masked(&self, said: &str) -> String {
        let place = &self.settings.place;
        let mut said = said.replace(place.repository.expose(), &place.shown_repository());
        let values = self.settings.environment().unwrap_or_default().into_values();
        let mut secrets: Vec<String> = values.filter(|value| value.len() >= 6).collect();
        secrets.extend(repository_secrets(place.repository.expose()));
        for secret in secrets {
            said = said.replace(&secret, MASK);
        }
        said
    }
}

/// Removes our variables, and those for restic's repository and password, from a child's environment.
fn clean(command: &mut Command) {
    let is_ours = |name: &OsString| {
        let name = name.to_string_lossy();
        REMOVED.iter().any(|begin| name.starts_with(begin)) || NOT_TAKEN_OVER.contains(&&*name)
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
        command.env_remove(name);
    }
}

/// Major and minor version from `restic 0.14.0 compiled with …`, and the version text.
pub(super) fn version(said: &str) -> Option<((u32, u32), String)> {
    let text = said.lines().next()?.strip_prefix("restic ")?.split_whitespace().next()?.to_owned();
    let mut numbers = text.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    let (major, minor) = (numbers.next()??, numbers.next()??);
    Some(((major, minor), text))
}

/// The holder of the lock, in restic's words.
pub(super) fn locked_by(said: &str) -> String {
    let begin = "already locked";
    let line = said.lines().find(|line| line.contains(begin));
    let by = line.and_then(|line| Some(line.split_once(begin)?.1.trim().trim_start_matches("by ")));
    qdrant_backup_shared::text::shortened(&one_line(by.filter(|by| !by.is_empty()).unwrap_or("unknown")), 120)
}

/// The summary line, after many progress lines.
pub(super) fn summary(stdout: impl Read) -> Option<Summary> {
    let mut found = None;
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(1 << 20).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return found,
            Ok(_) => {
                let read = serde_json::from_slice::<Summary>(&line).ok();
                found = read.filter(|read| read.message_type == "summary").or(found);
            }
        }
    }
}

impl Saving {
    /// Writes data to restic.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Ends the data, so that restic creates the snapshot.
    pub(super) fn finish(mut self) -> Result<Saved, OffsiteError> {
        drop(self.stdin.take());
        self.restic.judge(self.running.wait())?;
        let answer = |why: &str| OffsiteError::Answer { command: "backup", why: why.to_owned() };
        let summary = self.summary.join().ok().flatten().ok_or_else(|| answer("it has no summary"))?;
        let snapshot =
            summary.snapshot_id.filter(|id| id.len() >= 8).ok_or_else(|| answer("it names no snapshot"))?;
        let added_bytes = summary.data_added_packed.or(summary.data_added).unwrap_or(0);
        Ok(Saved { snapshot, added_bytes })
    }

    /// Cancels the snapshot. The pipe stays open until restic has ended, so that restic does not see an end of file.
    pub(super) fn abandon(self) {
        self.running.abort();
        drop(wait_with(self.running, self.stdin));
    }

    /// Why restic accepts no more data.
    pub(super) fn why(self) -> OffsiteError {
        let Self { restic, running, stdin, .. } = self;
        drop(stdin);
        match restic.judge(running.wait()) {
            Err(error) => error,
            Ok(()) => OffsiteError::Failed {
                status: "success".to_owned(),
                said: "it stopped before it had read everything".to_owned(),
            },
        }
    }
}

/// Waits while the pipe stays open.
fn wait_with(running: Running, stdin: Option<std::process::ChildStdin>) -> io::Result<Ended> {
    let ended = running.wait();
    drop(stdin);
    ended
}

impl Read for Dump {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stdout.read(buffer)?;
        if count == 0
            && !buffer.is_empty()
            && let Some(running) = self.running.take()
        {
            self.restic.judge(running.wait()).map_err(OffsiteError::while_reading)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let of = |said: &str| version(said).map(|(numbers, _)| numbers);
        assert_eq!(of("restic 0.14.0 compiled with go1.19.8 on linux/amd64\n"), Some((0, 14)));
        assert_eq!(of("restic 0.9.6 (v0.9.6) compiled"), Some((0, 9)));
        assert_eq!(of("restic 0.18.1-dev compiled"), Some((0, 18)));
        assert_eq!(of("rustic 1.0"), None);
        assert!((0, 9) < OLDEST && (1, 0) >= OLDEST);
    }

    #[test]
    fn who_has_a_lock_is_told_in_the_words_of_restic() {
        let said = "unable to create lock in backend: repository is already locked by PID 29044 on vm by root (UID 0, GID 0)\nx";
        assert_eq!(locked_by(said), "PID 29044 on vm by root (UID 0, GID 0)");
        let newer = "repository is already locked exclusively by PID 1 on a by b";
        assert_eq!(locked_by(newer), "exclusively by PID 1 on a by b");
    }
}
