//! Starts this program again: as another user, or like a scheduler.

use std::env;
use std::io;
use std::process::{Command, Output, Stdio};

use qdrant_backup_shared::config_file::keys::variables;

use crate::host::user::User;

/// A call of this program that captures only its log.
///
/// # Errors
/// When the system does not report the program's path.
pub fn command() -> Result<Command, String> {
    let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

/// Removes settings from its environment.
pub fn without_settings(command: &mut Command) {
    for name in variables() {
        command.env_remove(name);
    }
}

/// Runs it to its end, as `user` if given.
///
/// # Errors
/// When it cannot be started, or this process may not become them.
pub fn run(mut command: Command, user: Option<&User>) -> io::Result<Output> {
    match user {
        Some(user) => user.run(command),
        None => command.output(),
    }
}

/// Why it failed, from its log.
pub fn reason(ended: &Output) -> Option<String> {
    let said = String::from_utf8_lossy(&ended.stderr);
    said.lines().find_map(|line| line.split_once("ERROR: ").map(|(_, why)| why.to_owned()))
}
