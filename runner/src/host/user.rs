//! Users of this machine: the user of this process, and switching to another one.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use rustix::fs::{Access, Gid, Uid, access};
use rustix::io::Errno;
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
use uzers::os::unix::UserExt;

use super::shell::this_call;

/// User id of root.
pub const ROOT: u32 = 0;

/// A user, possibly without a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Numeric user id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// All groups.
    groups: Vec<u32>,
    name: Option<String>,
    home: Option<PathBuf>,
}

impl User {
    /// The user with this id. An unknown user has only the group `gid`.
    pub fn of(uid: u32, gid: u32) -> Self {
        let Some(user) = uzers::get_user_by_uid(uid) else {
            return Self { uid, gid, groups: vec![gid], name: None, home: None };
        };
        let gid = user.primary_group_id();
        let groups = uzers::get_user_groups(user.name(), gid).unwrap_or_default();
        let mut groups: Vec<u32> = groups.iter().map(uzers::Group::gid).collect();
        if !groups.contains(&gid) {
            groups.push(gid);
        }
        let name = user.name().to_str().map(str::to_owned);
        Self { uid, gid, groups, name, home: Some(user.home_dir().to_owned()) }
    }

    /// The user with this name, if it exists.
    pub fn named(name: &(impl AsRef<std::ffi::OsStr> + ?Sized)) -> Option<Self> {
        let user = uzers::get_user_by_name(name)?;
        Some(Self::of(user.uid(), user.primary_group_id()))
    }

    /// The user of this process.
    pub fn current() -> Self {
        Self::of(uzers::get_effective_uid(), uzers::get_effective_gid())
    }

    /// For `sudo -u` and `chown`.
    pub fn for_sudo(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("'#{}'", self.uid))
    }

    /// The command to repeat this call as this user.
    pub fn to_type(&self) -> String {
        format!("run: sudo -u {} {}", self.for_sudo(), this_call())
    }

    /// For `chown`, with the primary group.
    pub fn for_chown(&self) -> String {
        format!("{self}:{}", group(self.gid))
    }

    /// Restarts this program as this user, with the same arguments and environment, except for variables about the user. Returns
    /// only on failure.
    pub fn start_again(&self) -> io::Error {
        let program = match env::current_exe() {
            Ok(program) => program,
            Err(error) => return error,
        };
        if let Err(error) = self.become_them() {
            return error;
        }
        let error = self.replace_by(&program);
        if error.kind() != io::ErrorKind::PermissionDenied {
            return error;
        }
        // If this user cannot access the program's path, such as root's home, the kernel has another path to it.
        self.replace_by(Path::new("/proc/self/exe"))
    }

    /// Runs `command` to its end as this user, in all of their groups, as cron and systemd do.
    ///
    /// # Errors
    /// When it cannot be started, or this process may not become them.
    pub fn run(&self, mut command: Command) -> io::Result<Output> {
        // On a separate thread, which then ends, so that the other threads keep their user.
        let running = thread::spawn({
            let user = self.clone();
            move || {
                user.become_them()?;
                command.output()
            }
        });
        running.join().unwrap_or_else(|_| Err(io::Error::other("the thread that starts it has failed")))
    }

    /// Only this thread. The user is changed last, because it may not change groups.
    fn become_them(&self) -> io::Result<()> {
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        set_thread_groups(&groups)?;
        set_thread_gid(Gid::from_raw(self.gid))?;
        Ok(set_thread_uid(Uid::from_raw(self.uid))?)
    }

    fn replace_by(&self, program: &Path) -> io::Error {
        let mut command = Command::new(program);
        let mut arguments = env::args_os();
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments);
        if let (Some(name), Some(home)) = (&self.name, &self.home) {
            command.env("USER", name).env("LOGNAME", name).env("HOME", home);
        }
        command.exec()
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => self.uid.fmt(f),
        }
    }
}

fn group(gid: u32) -> String {
    let known = uzers::get_group_by_gid(gid).and_then(|group| group.name().to_str().map(str::to_owned));
    known.unwrap_or_else(|| gid.to_string())
}

/// Whether permissions deny `what` on `path` for this process. Other problems occur when it is used.
pub fn is_denied(path: &Path, what: Access) -> bool {
    access(path, what) == Err(Errno::ACCESS)
}

/// The command that lets this process read the file, or read and change the directory, at `path`. None if it cannot be examined.
pub fn mend(path: &Path) -> Option<String> {
    // A missing file would be created in its directory.
    let (path, metadata) = match (fs::metadata(path), path.parent()) {
        (Ok(metadata), _) => (path, metadata),
        (Err(_), Some(directory)) => (directory, fs::metadata(directory).ok()?),
        (Err(_), None) => return None,
    };
    let me = User::current();
    let shown = path.display();
    if metadata.uid() == me.uid {
        let right = if metadata.is_dir() { "rwx" } else { "rw" };
        return Some(format!("its mode denies access to its owner {me}: chmod u+{right} {shown}"));
    }
    let owner = User::of(metadata.uid(), metadata.gid());
    if owner.uid != ROOT || !is_mine(path.parent(), &me) {
        // A user who only wants to read another user's backups must not take them over.
        return Some(format!("{shown} belongs to {owner}, but this runs as {me}: {}", owner.to_type()));
    }
    let all = if metadata.is_dir() { "-R " } else { "" };
    Some(format!("it belongs to {owner}, but this runs as {me}: chown {all}{} {shown}", me.for_chown()))
}

/// Whether files in a directory should belong to this user.
fn is_mine(directory: Option<&Path>, me: &User) -> bool {
    let owner = directory.and_then(|directory| fs::metadata(directory).ok()).map(|found| found.uid());
    owner.is_none_or(|owner| owner == me.uid || owner == ROOT)
}

/// The user who can read a file of root through the user's group.
fn reader_of(metadata: &fs::Metadata) -> Option<User> {
    let for_group = metadata.gid() != ROOT && metadata.mode() & 0o040 != 0;
    let group = uzers::get_group_by_gid(metadata.gid()).filter(|_| for_group)?;
    User::named(group.name())
}

/// The command that lets this process read another user's file, such as a key, without changing its owner.
fn let_read(path: &Path) -> String {
    let me = User::current();
    let shown = path.display();
    match fs::metadata(path) {
        Ok(metadata) => {
            let owner = User::of(metadata.uid(), metadata.gid());
            // If another user can already read a key, it is not made readable for this one.
            let reader = (owner.uid != ROOT).then_some(owner.clone()).or_else(|| reader_of(&metadata));
            match reader {
                Some(reader) => format!(
                    "it belongs to {owner} and is for {reader}, but this runs as {me}: {}",
                    reader.to_type()
                ),
                None => format!(
                    "it belongs to {owner}, but must be readable by {me}, the user of this run: chgrp {} {shown}; chmod g+r {shown}",
                    group(me.gid)
                ),
            }
        }
        Err(_) => {
            format!("it must be readable by {me}, the user of this run, and so must the directories above it")
        }
    }
}

/// `error` with the hint of [`mend`], if permission was denied.
pub fn explain(path: &Path, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    match mend(path) {
        Some(hint) => io::Error::new(error.kind(), format!("{error}; {hint}")),
        None => error,
    }
}

/// `error` of reading a file of another user, with the hint of [`let_read`], if permission was denied.
pub fn refused(path: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        format!("{error}; {}", let_read(path))
    } else {
        error.to_string()
    }
}
