//! Checks whether untrusted users can change configuration files.
//!
//! Each file must belong to a trusted user and must not be writable by others. The same is true for its directory, and for both
//! ends of a link. Higher directories are not checked.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::config_file::HookCommand;
use qdrant_backup_shared::config_file::keys::{
    API_KEY_FILE, CA_FILE, DRILL_API_KEY_FILE, TLS_CERT_FILE, TLS_KEY_FILE,
};
use qdrant_backup_shared::file_system::is_read_only;

use super::{HOOKS, Settings};
use crate::host::user::{ROOT, User};

/// Mode bits for write access by others than the owner.
const OTHERS_WRITE: u32 = 0o022;
/// The bit of the group.
const GROUP_WRITES: u32 = 0o020;
/// In a directory with this bit, only the owner of a file can replace it.
const STICKY: u32 = 0o1000;

/// Problems of all files of `settings`, one line each, with the command to fix it.
pub fn problems(settings: &Settings, trusted: &[u32]) -> Vec<String> {
    let mut problems: Vec<String> =
        files(settings).into_iter().filter_map(|(what, path)| problem(what, &path, trusted)).collect();
    problems.dedup();
    problems
}

fn files(settings: &Settings) -> Vec<(&'static str, PathBuf)> {
    let named = [
        ("configuration file", settings.config_file.clone()),
        ("env file", settings.env_file.clone()),
        ("API key file", settings.get(&API_KEY_FILE)),
        ("API key file of drills", settings.get(&DRILL_API_KEY_FILE)),
        ("file of certificate authorities", settings.get(&CA_FILE)),
        ("client certificate", settings.get(&TLS_CERT_FILE)),
        ("client key file", settings.get(&TLS_KEY_FILE)),
    ];
    let hooks = HOOKS.map(|hook| settings.get(hook));
    let programs = hooks.into_iter().filter_map(|hook| Some(("hook", program(&hook?)?)));
    let places = settings.offsite.iter().flat_map(|settings| {
        let place = &settings.place;
        let program = place.restic.is_absolute().then(|| place.restic.clone());
        [
            ("program of an offsite place", program),
            ("password file of an offsite place", Some(place.password_file.clone())),
            ("environment file of an offsite place", place.environment_file.clone()),
        ]
    });
    named.into_iter().chain(places).filter_map(|(what, path)| Some((what, path?))).chain(programs).collect()
}

/// The program of a hook, if it is an absolute path.
fn program(command: &HookCommand) -> Option<PathBuf> {
    let command = match command {
        HookCommand::Program { program, .. } => return program.is_absolute().then(|| program.clone()),
        HookCommand::Shell(command) => command,
    };
    let word = command.trim_start().trim_start_matches(['"', '\'']);
    let end = word.find(|character: char| character.is_whitespace() || "\"';&|<>()$`".contains(character));
    let word = &word[..end.unwrap_or(word.len())];
    word.starts_with('/').then(|| PathBuf::from(word))
}

/// The problem of a file. Files that cannot be examined cause an error when they are used.
fn problem(what: &str, path: &Path, trusted: &[u32]) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    // Not for devices or process substitution.
    let found = fs::metadata(&path).ok().filter(Metadata::is_file)?;
    let target = fs::canonicalize(&path).ok()?;
    let wrong = file_problem(&target, &found, trusted).or_else(|| {
        let directories = [path.parent(), target.parent()];
        directories.into_iter().flatten().find_map(|directory| directory_problem(directory, trusted))
    })?;
    Some(format!("the {what} {} can be changed by others: {wrong}", path.display()))
}

fn file_problem(path: &Path, found: &Metadata, trusted: &[u32]) -> Option<String> {
    owner_problem(path, found, trusted)
        .or_else(|| (found.mode() & OTHERS_WRITE != 0).then(|| format!("chmod go-w {}", path.display())))
}

/// Whether only root can add programs to a directory of `PATH`.
pub fn is_programs_of_root(directory: &Path) -> bool {
    directory.is_absolute() && directory.is_dir() && directory_problem(directory, &[ROOT]).is_none()
}

/// Whether only root controls `path`: every directory on the way belongs to root, and so does a link.
pub fn is_way_of_root(path: &Path) -> bool {
    let Ok(path) = std::path::absolute(path) else { return false };
    let real = path.ancestors().find_map(|above| fs::canonicalize(above).ok());
    let is_link_of_root = |found: fs::Metadata| !found.file_type().is_symlink() || found.uid() == ROOT;
    fs::symlink_metadata(&path).map_or(true, is_link_of_root)
        && [Some(path), real].into_iter().flatten().all(|path| {
            let mut steps: Vec<&Path> = path.ancestors().collect();
            steps.reverse();
            steps.windows(2).all(|step| is_step_of_root(step[0], step[1]))
        })
}

/// Whether only root controls `child` in `directory`. A missing one is created below the checked directories.
fn is_step_of_root(directory: &Path, child: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(directory) else { return true };
    let mode = found.mode();
    let of_others = if found.gid() == ROOT { OTHERS_WRITE & !GROUP_WRITES } else { OTHERS_WRITE };
    let others_write = mode & of_others != 0;
    let is_fixed =
        || mode & STICKY != 0 && fs::symlink_metadata(child).is_ok_and(|child| child.uid() == ROOT);
    // The mode of a link has no meaning, and its target is checked separately.
    found.uid() == ROOT && (found.file_type().is_symlink() || !others_write || is_fixed())
}

fn directory_problem(path: &Path, trusted: &[u32]) -> Option<String> {
    let found = fs::metadata(path).ok()?;
    let open = found.mode() & OTHERS_WRITE != 0 && found.mode() & STICKY == 0;
    // In containers the configuration may be on a read-only mount, which cannot be changed regardless of the mode.
    if (open || !trusted.contains(&found.uid())) && is_read_only(path) {
        return None;
    }
    let of = |wrong: String| format!("it is in {}; {wrong}", path.display());
    owner_problem(path, &found, trusted)
        .or_else(|| open.then(|| format!("chmod go-w {}", path.display())))
        .map(of)
}

fn owner_problem(path: &Path, found: &Metadata, trusted: &[u32]) -> Option<String> {
    if trusted.contains(&found.uid()) {
        return None;
    }
    let owner = User::of(found.uid(), found.gid());
    Some(format!("{} belongs to {owner}; chown root {}", path.display(), path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use qdrant_backup_shared::atomic;

    use super::*;

    fn me() -> u32 {
        uzers::get_effective_uid()
    }

    #[test]
    fn a_file_that_others_may_change_is_told_with_the_command_that_mends_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backup.yaml");
        let judged = |mode: u32, directory_mode: u32| {
            atomic::write(&path, mode, b"").unwrap();
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(directory_mode)).unwrap();
            problem("configuration file", &path, &[me()])
        };
        for (mode, directory_mode, fine) in [
            (0o600, 0o700, true),
            (0o644, 0o755, true),
            (0o660, 0o700, false),
            (0o602, 0o700, false),
            (0o600, 0o770, false),
            (0o600, 0o777, false),
            (0o600, 0o1777, true),
        ] {
            let wrong = judged(mode, directory_mode);
            assert_eq!(wrong.is_none(), fine, "{mode:o} {directory_mode:o}: {wrong:?}");
            assert!(wrong.is_none_or(|wrong| wrong.contains("chmod go-w /")));
        }
        judged(0o600, 0o700);
        let other = problem("configuration file", &path, &[me() + 1]).unwrap();
        assert!(other.contains("belongs to") && other.contains("chown root"), "{other}");
    }

    #[test]
    fn both_ends_of_a_link_count() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (link, target) = (here.path().join("key"), there.path().join("key"));
        atomic::write(&target, 0o600, b"").unwrap();
        symlink(&target, &link).unwrap();
        assert_eq!(problem("API key file", &link, &[me()]), None);
        for open in [here.path(), there.path()] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o777)).unwrap();
            assert!(problem("API key file", &link, &[me()]).unwrap().contains(&open.display().to_string()));
            fs::set_permissions(open, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }

    #[test]
    fn a_hooks_program_is_what_its_command_begins_with() {
        for (command, path) in [
            ("/usr/local/bin/tell me", Some("/usr/local/bin/tell")),
            (" '/opt/tell' x", Some("/opt/tell")),
            ("/opt/a;b", Some("/opt/a")),
            ("curl http://x", None),
            ("", None),
        ] {
            let hook = HookCommand::Shell(command.to_owned());
            assert_eq!(program(&hook).as_deref(), path.map(Path::new), "{command}");
        }
    }
}
