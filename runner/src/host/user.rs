//! Users of this machine: who this process is, and becoming somebody else.

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

/// Number of the user who may do everything.
pub const ROOT: u32 = 0;

/// A user, who need not have a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// All groups.
    groups: Vec<u32>,
    name: Option<String>,
    home: Option<PathBuf>,
}

impl User {
    /// The user with this number. One that the machine does not know is in `gid` alone.
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

    /// The user called so, if the machine knows one.
    pub fn named(name: &(impl AsRef<std::ffi::OsStr> + ?Sized)) -> Option<Self> {
        let user = uzers::get_user_by_name(name)?;
        Some(Self::of(user.uid(), user.primary_group_id()))
    }

    /// Who this process is.
    pub fn current() -> Self {
        Self::of(uzers::get_effective_uid(), uzers::get_effective_gid())
    }

    /// As `sudo -u` and `chown` take it.
    pub fn for_sudo(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("'#{}'", self.uid))
    }

    /// What to type so that this call is made by this user.
    pub fn to_type(&self) -> String {
        format!("run: sudo -u {} {}", self.for_sudo(), this_call())
    }

    /// As `chown` takes it, with the primary group.
    pub fn for_chown(&self) -> String {
        format!("{self}:{}", group(self.gid))
    }

    /// Begins this program again as this user, with the same arguments and the same environment, but for what says who somebody
    /// is. Returns only when that failed.
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
        // It lies where this user cannot go, as in root's home: the kernel knows another way to it.
        self.replace_by(Path::new("/proc/self/exe"))
    }

    /// Runs `command` to its end as this user, in all of their groups, as cron and systemd do.
    ///
    /// # Errors
    /// When it cannot be started, or this process may not become them.
    pub fn run(&self, mut command: Command) -> io::Result<Output> {
        // On a thread of its own, which ends with it: the others stay who they are.
        let running = thread::spawn({
            let user = self.clone();
            move || {
                user.become_them()?;
                command.output()
            }
        });
        running.join().unwrap_or_else(|_| Err(io::Error::other("the thread that starts it has failed")))
    }

    /// This thread alone. The user comes last, who may not change groups.
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

/// Whether this process may not do `what` with `path` because of who it is. What is wrong otherwise shows when it is done.
pub fn is_denied(path: &Path, what: Access) -> bool {
    access(path, what) == Err(Errno::ACCESS)
}

/// What has to be typed so that this process may read the file, or read and change the directory, at `path`, from which it was kept;
/// nothing where it cannot be looked at.
pub fn mend(path: &Path) -> Option<String> {
    // What is not there yet is made in its directory.
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
        // Whoever only looks at somebody else's backups is not to take them.
        return Some(format!("{shown} belongs to {owner}, but this runs as {me}: {}", owner.to_type()));
    }
    let all = if metadata.is_dir() { "-R " } else { "" };
    Some(format!("it belongs to {owner}, but this runs as {me}: chown {all}{} {shown}", me.for_chown()))
}

/// Whether what lies in a directory can be expected to be this user's.
fn is_mine(directory: Option<&Path>, me: &User) -> bool {
    let owner = directory.and_then(|directory| fs::metadata(directory).ok()).map(|found| found.uid());
    owner.is_none_or(|owner| owner == me.uid || owner == ROOT)
}

/// Whom a file of root's is readable by, where it is for the group of one user.
fn reader_of(metadata: &fs::Metadata) -> Option<User> {
    let for_group = metadata.gid() != ROOT && metadata.mode() & 0o040 != 0;
    let group = uzers::get_group_by_gid(metadata.gid()).filter(|_| for_group)?;
    User::named(group.name())
}

/// What has to be typed so that this process may read a file of somebody else's, such as a key, which stays theirs.
fn let_read(path: &Path) -> String {
    let me = User::current();
    let shown = path.display();
    match fs::metadata(path) {
        Ok(metadata) => {
            let owner = User::of(metadata.uid(), metadata.gid());
            // A key that somebody may read already stays theirs: it is not given to whoever else asks.
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

/// `error` with what [`mend`] says where it is about who this is.
pub fn explain(path: &Path, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    match mend(path) {
        Some(hint) => io::Error::new(error.kind(), format!("{error}; {hint}")),
        None => error,
    }
}

/// `error` of reading a file that may be somebody else's, with what [`let_read`] says where it is about who this is.
pub fn refused(path: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        format!("{error}; {}", let_read(path))
    } else {
        error.to_string()
    }
}
