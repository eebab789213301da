//! Runs other programs: each command is printed, and a failure is one line.

use std::{
    ffi::{OsStr, OsString},
    fmt::Display,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
};

/// An error as the line that is printed.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Adds context to an error.
pub(crate) trait Context<T> {
    /// Prefixes the error with `what`.
    fn context(self, what: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Display) -> Result<T> {
        self.map_err(|error| format!("{what}: {error}"))
    }
}

/// A command to run, and how it is printed.
pub(crate) struct Cmd {
    command: Command,
    shown: String,
    shown_env: String,
}

impl Cmd {
    /// A command without the variables that `cargo run` has set for this program. Build scripts watch some of them,
    /// and would run again each time `cargo xtask` and plain `cargo` alternate.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(&program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_set_by_cargo_run(name)) {
            command.env_remove(name);
        }
        Self { command, shown: quoted(program.as_ref()), shown_env: String::new() }
    }

    /// Prints the command with a shorter name than its path.
    pub(crate) fn shown_as(mut self, name: &str) -> Self {
        name.clone_into(&mut self.shown);
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&quoted(arg.as_ref()));
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        args.into_iter().fold(self, Cmd::arg)
    }

    /// Sets a variable and prints it in front of the command.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.shown_env.push_str(&format!("{name}={} ", quoted(value.as_ref())));
        self.command.env(name, value);
        self
    }

    /// Sets variables without printing them.
    pub(crate) fn quiet_envs(mut self, envs: &[(&str, OsString)]) -> Self {
        self.command.envs(envs.iter().map(|(name, value)| (name, value)));
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn cwd(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Prints the command and runs it. Any exit code other than 0 is an error.
    pub(crate) fn run(mut self) -> Result<()> {
        self.echo();
        let status = self.command.stdin(Stdio::null()).status().context(self.cannot_run())?;
        self.judge(status)
    }

    /// Like [`Cmd::run`], and passes each printed line to `each`.
    pub(crate) fn run_reading(mut self, mut each: impl FnMut(&str)) -> Result<()> {
        self.echo();
        self.command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = self.command.spawn().context(self.cannot_run())?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line.context(format!("reading what `{}` prints", self.shown))?;
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                each(&line);
            }
        }
        let status = child.wait().context(self.cannot_run())?;
        self.judge(status)
    }

    /// Runs the command silently and returns its standard output.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self.command.stdin(Stdio::null()).output().context(self.cannot_run())?;
        if output.status.success() {
            return String::from_utf8(output.stdout).context(format!("what `{}` prints", self.shown));
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Err(format!("`{}` failed with {}: {last}", self.shown, output.status))
    }

    /// The command itself, for callers that start it in another way.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    fn echo(&self) {
        println!("$ {}{}", self.shown_env, self.shown);
    }

    fn cannot_run(&self) -> String {
        format!("cannot run `{}`", self.shown)
    }

    fn judge(&self, status: std::process::ExitStatus) -> Result<()> {
        if status.success() { Ok(()) } else { Err(format!("`{}` failed with {status}", self.shown)) }
    }
}

/// The output lines of a running program. A thread reads all of them, even if nobody needs them any more, so that the
/// program never blocks on a full pipe.
pub(crate) fn lines_of(output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
            drop(sender.send(line));
        }
    });
    receiver
}

fn is_set_by_cargo_run(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_CRATE_NAME"
}

/// The word, quoted for a shell.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_when_a_shell_would_need_it() {
        assert_eq!(quoted(OsStr::new("--port=0")), "--port=0");
        assert_eq!(quoted(OsStr::new("0 2 * * *")), "'0 2 * * *'");
        assert_eq!(quoted(OsStr::new("it's")), r"'it'\''s'");
        assert_eq!(quoted(OsStr::new("")), "''");
    }

    #[test]
    fn a_failing_command_is_named_with_its_exit_code() {
        let error = Cmd::new("sh").args(["-c", "exit 7"]).run().unwrap_err();
        assert!(error.contains("sh -c 'exit 7'") && error.contains('7'), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Cmd::new("no-such-program-here").read().unwrap_err();
        assert!(error.starts_with("cannot run `no-such-program-here`: "), "{error}");
    }

    #[test]
    fn a_failed_read_ends_with_the_last_line_of_standard_error() {
        let error = Cmd::new("sh").args(["-c", "echo first >&2; echo last >&2; exit 1"]).read().unwrap_err();
        assert!(error.ends_with(": last"), "{error}");
    }
}
