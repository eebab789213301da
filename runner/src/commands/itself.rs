//! This very program, started again for a part of the work: as somebody else, or as a schedule starts it.

use std::env;
use std::io;
use std::process::{Command, Output, Stdio};

use qdrant_backup_shared::config_file::keys::variables;

use crate::host::user::User;

/// A call of this program, whose log is kept and nothing else.
///
/// # Errors
/// When the system does not say where the program is.
pub fn command() -> Result<Command, String> {
    let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

/// Keeps from it what this process's environment says of settings.
pub fn without_settings(command: &mut Command) {
    for name in variables() {
        command.env_remove(name);
    }
}

/// Runs it to its end, as `user` where that is not whoever calls.
///
/// # Errors
/// When it cannot be started, or this process may not become them.
pub fn run(mut command: Command, user: Option<&User>) -> io::Result<Output> {
    match user {
        Some(user) => user.run(command),
        None => command.output(),
    }
}

/// Why it failed, in the words of its log.
pub fn reason(ended: &Output) -> Option<String> {
    let said = String::from_utf8_lossy(&ended.stderr);
    said.lines().find_map(|line| line.split_once("ERROR: ").map(|(_, why)| why.to_owned()))
}
