//! Runs the program under strace, which records its system calls or answers them instead of the kernel.

use std::ffi::OsStr;
use std::process::Command;

use crate::users::is_root;

/// `command` under strace with these `options`, with the same environment.
///
/// The program shuts out other processes of its user, so only a process with all rights in its user namespace may
/// trace it. If the test is not root, it becomes root of a new user namespace.
pub fn under_strace<O: AsRef<OsStr>>(options: impl IntoIterator<Item = O>, command: &Command) -> Command {
    let mut by = if is_root() {
        Command::new("/usr/bin/strace")
    } else {
        let mut by = Command::new("unshare");
        by.args(["--map-root-user", "/usr/bin/strace"]);
        by
    };
    by.args(["--follow-forks", "--quiet=all"]).args(options);
    by.arg(command.get_program()).args(command.get_args()).env_clear();
    by.envs(command.get_envs().filter_map(|(key, value)| value.map(|value| (key, value))));
    by
}
