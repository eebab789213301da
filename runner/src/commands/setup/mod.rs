//! `qdrant-backup setup`: creates and tests a repository and a `backup.yaml`.

mod answers;
mod ask;
mod file;
mod owner;

use qdrant_backup_shared::config_file::keys::{API_KEY_FILE, variables};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use self::answers::Answers;
use self::owner::Owner;
pub use self::owner::init_and_give;
use super::checks::{self, Check};
use super::repository::{absolute, config_to_name};
use super::{Refusal, trial};
use crate::commands::cli::SetupArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::host::user::ROOT;
use crate::settings::{DEFAULT_CONFIG_FILES, Opts, Settings};

/// Asks questions, tests the server, writes `backup.yaml`, creates the repository and makes a trial backup. Nothing is written
/// before the server has answered.
pub async fn setup(
    settings: &Settings,
    args: &SetupArgs,
    named: Option<&PathBuf>,
    environment: &BTreeMap<OsString, OsString>,
    clock: Clock,
) -> Result<Exit, Refusal> {
    if !args.yes && !std::io::stdin().is_terminal() {
        let message =
            "setup asks questions and needs a terminal; without one, use --yes and options".to_owned();
        return Err(Refusal { exit: Exit::Usage, message });
    }
    let target = match (named, &settings.config_file) {
        (Some(path), _) | (None, Some(path)) => absolute(path)?,
        (None, None) => PathBuf::from(DEFAULT_CONFIG_FILES[0]),
    };
    let replaced = file::check(&target, args.force)?;
    let owner = Owner::find(args.user.as_deref())?;
    check_key(settings)?;
    let mut answers = Answers::new(settings, args)?;
    let offered = answers.url.clone();
    // As in a scheduled run: only this file, nothing from the environment of this shell.
    let theirs = environment.iter().filter(|(name, _)| !variables().any(|known| name.as_os_str() == known));
    let theirs = theirs.map(|(name, value)| (name.clone(), value.clone())).collect();
    let (text, settings, server) = loop {
        if !args.yes {
            ask::ask(&mut answers)?;
        }
        let text = file::text(&answers);
        let settings = Settings::of_text(&target, &text, &Opts::default(), &theirs)
            .map_err(|error| Refusal::configuration(error.problems.join("; ")))?;
        let server = checks::server(&settings).await;
        if !checks::any_failed(&server.checks) {
            break (text, settings, server);
        }
        output::print(&checks::render(&server.checks)).map_err(Refusal::failed)?;
        if args.yes {
            return Err(Refusal::configuration(
                "nothing was written; fix what is marked FAIL and run setup again",
            ));
        }
        ask::say("Nothing was written. Fix what is marked FAIL; an empty line keeps an answer.\n")?;
        if settings.qdrant.url.basic_auth().is_some() {
            // A password is not printed.
            answers.url.clone_from(&offered);
        }
    };
    let mut all = server.checks;
    owner::make_repository(&settings, &owner, clock)?;
    owner.take(&settings)?;
    file::write(&target, &text, replaced, &owner)?;
    tracing::info!("Wrote {}", target.display());
    all.extend(checks::place(&settings));
    all.extend(checks::same_server(&settings, &server.selected).await);
    all.extend(checks::own_disk(&settings));
    all.push(checks::schedule(&settings, clock));
    if !args.no_trial && !checks::any_failed(&all) {
        all.push(trial::of_smallest(&settings, &server.selected, Some((&target, owner.user()))).await);
    } else if args.no_trial {
        all.push(Check::doubtful(
            "trial backup",
            "skipped (--no-trial); `qdrant-backup config check --trial` makes one",
        ));
    }
    output::print(&checks::render(&all)).map_err(Refusal::failed)?;
    if checks::any_failed(&all) {
        return Err(Refusal::configuration(format!(
            "{} is written, but backups will fail until everything marked FAIL is fixed; then run `qdrant-backup config check --trial`",
            target.display()
        )));
    }
    output::print(&next_steps(&target)).map_err(Refusal::failed)?;
    Ok(Exit::Success)
}

/// Refuses an API key that is only in the environment of this shell, which scheduled runs do not have.
fn check_key(settings: &Settings) -> Result<(), Refusal> {
    if settings.qdrant.api_key.is_some() && settings.get(&API_KEY_FILE).is_none() {
        return Err(Refusal::configuration(
            "the API key is in the environment of this shell or in an env file, which scheduled runs do not read; put it into a file that only the user of these runs can read, and give that file with --api-key-file",
        ));
    }
    Ok(())
}

fn next_steps(target: &Path) -> String {
    let config =
        config_to_name(target).map(|path| format!(" --config {}", path.display())).unwrap_or_default();
    // Ready to use in the shell that ran setup.
    let is_root = uzers::get_effective_uid() == ROOT;
    let sudo = if is_root { "" } else { "sudo " };
    let as_owner = if is_root { ", as the owner of the directory" } else { "" };
    format!(
        "\nNext:\n  \
         qdrant-backup run{config}                      # a backup of everything, now{as_owner}\n  \
         {sudo}qdrant-backup schedule systemd --write{config} # one on schedule; or: schedule cron --write\n  \
         qdrant-backup status{config}                   # is there a good backup of everything?"
    )
}
