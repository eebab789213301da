//! `qdrant-backup schedule cron` and `schedule systemd`: the entry that starts `run`.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::config_file::keys::{API_KEY_FILE, BACKUP_PATH};

use super::Refusal;
use super::repository::{PACKAGE_USER, absolute, config_to_name};
use crate::commands::cli::{EntryArgs, ScheduleCommand};
use crate::commands::entry::{
    CRON, CommandLine, CronFields, Form, Installed, Kept, Place, SERVICE, SERVICE_DROP_IN, Service, TIMER,
    TIMER_DROP_IN, cron_file, is_packaged, is_started_by, timer,
};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::settings::{Schedule, Settings, TimeZone};

/// Prints or installs the entry, and logs its meaning.
pub fn schedule(settings: &Settings, args: &ScheduleCommand, clock: Clock) -> Result<Exit, Refusal> {
    let Some(schedule) = settings.schedule.as_ref() else {
        return Err(Refusal::configuration(
            "no schedule is configured; set BACKUP_SCHEDULE or schedule.cron, as in \"0 2 * * *\"",
        ));
    };
    let fields = CronFields::parse(schedule.expression()).map_err(Refusal::configuration)?;
    tracing::info!("{}", meaning(schedule, clock.now()));
    let (entry, files) = match args {
        ScheduleCommand::Cron { entry, cron_tz } => (entry, cron(settings, schedule, entry, *cron_tz)?),
        ScheduleCommand::Systemd { entry } => (entry, systemd(settings, schedule, &fields, entry)?),
    };
    check_files_say_all(settings, entry)?;
    if !entry.write {
        let texts: Vec<String> =
            files.iter().map(|(place, text)| format!("# {}\n{text}", place.path)).collect();
        output::print(texts.join("\n").trim_end()).map_err(Refusal::failed)?;
        return Ok(Exit::Success);
    }
    install(&files, entry)?;
    warn_of_others(&files, &entry.root);
    if matches!(args, ScheduleCommand::Systemd { .. }) {
        tracing::info!("Next: systemctl daemon-reload && systemctl enable --now qdrant-backup.timer");
    }
    Ok(Exit::Success)
}

/// As `"0 2 * * *" (Europe/Berlin): At 02:00; next 2025-07-16 02:00 CEST, which is 2025-07-16 00:00:00 UTC, in 9 h
/// 30 min`.
pub(super) fn meaning(schedule: &Schedule, now: DateTime<Utc>) -> String {
    let zone = match schedule.zone() {
        TimeZone::Local => {
            format!("this machine's time, {}", machine_zone().unwrap_or("zone unknown".to_owned()))
        }
        TimeZone::Named(zone) => zone.name().to_owned(),
    };
    let words = schedule.in_words();
    let start = format!("\"{}\" ({zone}): {}", schedule.expression(), words.trim_end_matches('.'));
    match schedule.next_after(now) {
        None => format!("{start}; no future date matches"),
        Some(next) => {
            let utc = output::time(next);
            let local = schedule.local(next);
            // If local time is UTC, it is shown only once.
            let both =
                if utc.get(..16) == local.get(..16) { utc } else { format!("{local}, which is {utc}") };
            format!("{start}; next {both}, in {}", output::age(now, next))
        }
    }
}

fn machine_zone() -> Option<String> {
    iana_time_zone::get_timezone().ok()
}

/// A scheduled run reads only files, not the environment of this shell.
fn check_files_say_all(settings: &Settings, entry: &EntryArgs) -> Result<(), Refusal> {
    if settings.only_now.is_empty() {
        return Ok(());
    }
    let message = format!(
        "scheduled runs would not have {}, which is set only for this command; put it into backup.yaml or into a file for --env-file",
        settings.only_now.join(", ")
    );
    if entry.write {
        return Err(Refusal::configuration(message));
    }
    tracing::warn!("{message}");
    Ok(())
}

fn cron(
    settings: &Settings,
    schedule: &Schedule,
    entry: &EntryArgs,
    cron_tz: bool,
) -> Result<Vec<(Place, String)>, Refusal> {
    let zone = match schedule.zone() {
        TimeZone::Named(zone) if machine_zone().as_deref() != Some(zone.name()) => Some(zone.name()),
        TimeZone::Named(_) | TimeZone::Local => None,
    };
    if let (Some(zone), false) = (zone, cron_tz) {
        return Err(Refusal::configuration(format!(
            "cron uses this machine's time zone ({}), but schedule.timezone is {zone}; use `schedule systemd`, or --cron-tz if this cron is cronie",
            machine_zone().unwrap_or("unknown".to_owned())
        )));
    }
    let user = user(settings, entry)?;
    let mut command = command_line(settings)?;
    let place = Place { path: CRON, root: entry.root.clone() };
    let kept = Kept::of(&place.read().map_err(Refusal::configuration)?.unwrap_or_default());
    if command.env_file.is_none() {
        command.env_file = kept.env_file.clone().filter(|path| is_usable(path, &entry.root, &user));
    }
    let log = absolute(settings.layout().state())?.join("last_run.log");
    let text = cron_file(schedule.expression(), &user.name, &command, zone, &log, &kept)
        .map_err(Refusal::configuration)?;
    Ok(vec![(place, text)])
}

/// Whether the user of the runs can read the env file of the existing entry. Otherwise the run would not start.
fn is_usable(env_file: &Path, root: &Path, user: &User) -> bool {
    let file = root.join(env_file.strip_prefix("/").unwrap_or(env_file));
    let Ok(metadata) = std::fs::metadata(&file) else {
        tracing::warn!("{}, which the old entry used, no longer exists and is left out", file.display());
        return false;
    };
    let of_user = uzers::get_user_by_name(&user.name);
    let groups = of_user.as_ref().and_then(uzers::User::groups).unwrap_or_default();
    let readable = of_user.is_some_and(|user| {
        let mode = metadata.mode();
        user.uid() == 0
            || user.uid() == metadata.uid() && mode & 0o400 != 0
            || groups.iter().any(|group| group.gid() == metadata.gid()) && mode & 0o040 != 0
            || mode & 0o004 != 0
    });
    if readable {
        tracing::info!("The entry still reads {}", env_file.display());
    } else {
        tracing::warn!("{} cannot be read by {}, so the entry leaves it out", env_file.display(), user.name);
    }
    readable
}

fn systemd(
    settings: &Settings,
    schedule: &Schedule,
    fields: &CronFields,
    entry: &EntryArgs,
) -> Result<Vec<(Place, String)>, Refusal> {
    let user = user(settings, entry)?;
    let command = command_line(settings)?;
    let layout = settings.layout();
    let (backups, state) = (layout.root(), layout.state());
    let mut writes: Vec<&Path> = if backups == state { vec![backups] } else { vec![backups, state] };
    // Offsite repositories in local directories.
    let places = settings.offsite.iter().map(|place| Path::new(place.place.repository.expose()));
    writes.extend(places.filter(|path| path.is_absolute()));
    let api_key_file = settings.get(&API_KEY_FILE);
    let service = Service {
        user: &user.name,
        group: &user.group,
        command: &command,
        writes: &writes,
        credential: api_key_file.as_deref(),
    };
    let zone = match schedule.zone() {
        TimeZone::Named(zone) => Some(zone.name()),
        TimeZone::Local => None,
    };
    let (form, paths) = if entry.write && is_packaged(&entry.root) {
        (Form::DropIn, [SERVICE_DROP_IN, TIMER_DROP_IN])
    } else {
        (Form::Whole, [SERVICE, TIMER])
    };
    let texts = [service.unit(form).map_err(Refusal::configuration)?, timer(fields, zone, form)];
    let places = paths.map(|path| Place { path, root: entry.root.clone() });
    Ok(places.into_iter().zip(texts).collect())
}

/// The user of an entry, and the group of the files it writes.
struct User {
    name: String,
    group: String,
}

/// The given user, or the owner of the backup directory, or the package's user.
fn user(settings: &Settings, entry: &EntryArgs) -> Result<User, Refusal> {
    let backups = &settings.get(&BACKUP_PATH);
    let owner = std::fs::metadata(backups).ok().map(|metadata| metadata.uid());
    let found = match (&entry.user, owner) {
        (Some(name), _) => uzers::get_user_by_name(name),
        (None, Some(owner)) => uzers::get_user_by_uid(owner),
        (None, None) => uzers::get_user_by_name(PACKAGE_USER),
    };
    let Some(user) = found else {
        let who = match (&entry.user, owner) {
            (Some(name), _) => format!("there is no user {name} on this machine"),
            (None, Some(owner)) => {
                format!("{} belongs to user id {owner}, which has no name on this machine", backups.display())
            }
            (None, None) => format!("{} does not exist yet, so it has no owner", backups.display()),
        };
        return Err(Refusal::configuration(format!(
            "{who}; give the user that makes backups with --user NAME"
        )));
    };
    let name = user.name().to_string_lossy().into_owned();
    if owner.is_some_and(|owner| owner != user.uid()) && user.uid() != 0 {
        tracing::warn!(
            "{} does not belong to {name}, who must be able to write there: chown -R {name} {0}",
            backups.display()
        );
    }
    let group = uzers::get_group_by_gid(user.primary_group_id());
    let group = group.map_or_else(|| name.clone(), |group| group.name().to_string_lossy().into_owned());
    Ok(User { name, group })
}

/// The command of this program with its current configuration files, without the default.
fn command_line(settings: &Settings) -> Result<CommandLine, Refusal> {
    let program = std::env::current_exe()
        .map_err(|error| Refusal::failed(format!("cannot find out where this program is: {error}")))?;
    let config = settings.config_file.as_deref().and_then(config_to_name).map(absolute);
    let env_file = settings.env_file.as_ref().map(|path| absolute(path));
    Ok(CommandLine { program, config: config.transpose()?, env_file: env_file.transpose()? })
}

fn install(files: &[(Place, String)], entry: &EntryArgs) -> Result<(), Refusal> {
    if !entry.force {
        // All or none.
        for (place, _) in files {
            place.check().map_err(Refusal::configuration)?;
        }
    }
    for (place, text) in files {
        match place.install(text).map_err(Refusal::failed)? {
            Installed::Written => tracing::info!("Wrote {}", place.file().display()),
            Installed::Unchanged => tracing::info!("{} is up to date", place.file().display()),
        }
    }
    Ok(())
}

/// Two schedulers would start two runs.
fn warn_of_others(files: &[(Place, String)], root: &Path) {
    let is_cron = files.iter().any(|(place, _)| place.path == CRON);
    for other in is_started_by(root).into_iter().filter(|other| (*other == CRON) != is_cron) {
        let remedy =
            if other == CRON { "remove that file" } else { "systemctl disable --now qdrant-backup.timer" };
        tracing::warn!("{other} also starts runs, so each would run twice; {remedy}");
    }
}
