//! One user command.

use std::env;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::host::user::ROOT;
use crate::settings::hook_problem;
use crate::settings::trust::is_programs_of_root;
use qdrant_backup_shared::config_file::HookCommand;

/// Variables with secrets that a command does not need.
const SECRETS: [&str; 3] = ["QDRANT_API_KEY", "QDRANT_URL", "BACKUP_PING_URL"];

/// A command and its timeout.
#[derive(Debug)]
pub struct Hook<'a> {
    /// The command.
    pub command: &'a HookCommand,
    /// Its timeout.
    pub timeout: Duration,
}

impl Hook<'_> {
    /// Runs the command (a string with `/bin/sh -c`), with `essentials` in its environment and `report` on its standard input.
    /// Its output goes to stderr, because stdout may contain the report of `--json`. After the timeout it is killed with all its
    /// child processes.
    ///
    /// # Errors
    /// Describes how the command failed. Never contains the command, which may include a token.
    pub async fn run(&self, essentials: &[(&str, String)], report: &[u8]) -> Result<(), String> {
        let mut command = match self.command {
            HookCommand::Shell(text) => {
                let mut shell = Command::new("/bin/sh");
                shell.arg("-c").arg(text);
                shell
            }
            HookCommand::Program { program, arguments } => {
                if let Some(problem) = hook_problem(self.command) {
                    return Err(format!("cannot be started: {problem}"));
                }
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
        };
        for name in SECRETS {
            command.env_remove(name);
        }
        if let Some(path) = env::var_os("PATH").filter(|_| uzers::get_effective_uid() == ROOT) {
            // Programs that a shell or a script finds in PATH must belong to root.
            let of_root = env::split_paths(&path).filter(|directory| is_programs_of_root(directory));
            command.env("PATH", env::join_paths(of_root).unwrap_or_default());
        }
        command
            .envs(essentials.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::piped())
            .stdout(io::stderr())
            // Signals from the terminal are for this program, which stops the command itself.
            .process_group(0);
        let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
        let pid = child.id();
        match timeout(self.timeout, feed_and_wait(&mut child, report)).await {
            Ok(ended) => ended,
            Err(_) => {
                kill(pid);
                child.wait().await.map(drop).unwrap_or(());
                Err(format!("took longer than {} and was killed", humantime::format_duration(self.timeout)))
            }
        }
    }
}

async fn feed_and_wait(child: &mut Child, report: &[u8]) -> Result<(), String> {
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(report).await {
            // The command does not have to read the report.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                return Err(format!("the report cannot be passed to it: {error}"));
            }
            Ok(()) | Err(_) => {}
        }
    }
    let status = child.wait().await.map_err(|error| format!("waiting for it failed: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("failed ({status})")) }
}

/// Kills the command's process group, of which it is the leader.
fn kill(pid: Option<u32>) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended in the meantime.
        kill_process_group(pid, Signal::KILL).unwrap_or(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(command: &str, report: &[u8]) -> Result<(), String> {
        let command = HookCommand::Shell(command.to_owned());
        let hook = Hook { command: &command, timeout: Duration::from_secs(20) };
        hook.run(&[("QDRANT_BACKUP_EVENT", "success".to_owned())], report).await
    }

    #[tokio::test]
    async fn the_report_and_the_essentials_arrive() {
        let script = r#"test "$QDRANT_BACKUP_EVENT" = success && test "$(cat)" = '{"a":1}'"#;
        assert_eq!(run(script, br#"{"a":1}"#).await, Ok(()));
        assert_eq!(run(script, br#"{"a":2}"#).await, Err("failed (exit status: 1)".to_owned()));
    }

    #[tokio::test]
    async fn a_command_that_does_not_read_is_no_problem() {
        assert_eq!(run("exit 0", &vec![b'x'; 1 << 20]).await, Ok(()));
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
        let command = HookCommand::Shell("sleep 600 | sleep 600".to_owned());
        let hook = Hook { command: &command, timeout: Duration::from_millis(200) };
        let error = hook.run(&[], b"").await.unwrap_err();
        assert_eq!(error, "took longer than 200ms and was killed");
    }
}
