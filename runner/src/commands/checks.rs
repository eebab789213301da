//! Checks of everything that a run needs, for `config check` and `setup`.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::TimeDelta;
use indicatif::HumanBytes;
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::atomic::AtomicFile;
use qdrant_backup_shared::config_file::closest;
use qdrant_backup_shared::config_file::keys::{BACKUP_PATH, INCLUDE_FILES, TLS_CERT_FILE};
use qdrant_backup_shared::text::one_line;
use tokio_util::sync::CancellationToken;

use super::schedule::meaning;
use super::{Refusal, client, repository};
use crate::backup::matching;
use crate::commands::entry::{CRON, cron_runs, is_started_by};
use crate::host::clock::Clock;
use crate::host::output;
use crate::host::user::ROOT;
use crate::qdrant::{Certificate, Client, Listing, certificates};
use crate::settings::trust;
use crate::settings::{HOOKS, Settings, hook_problem};
use crate::store;
use crate::store::access;
use crate::store::file_system::examine;
use crate::store::own_disk::{OwnDisk, look};

/// Space that a status of many collections needs.
const STATUS_BYTES: u64 = 1 << 20;

/// Warn if a certificate expires within this time.
const CERTIFICATE_LEFT: TimeDelta = TimeDelta::days(14);

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Everything is fine.
    Good,
    /// It works, but may be wrong.
    Doubtful,
    /// It will not work.
    Bad,
}

/// One check: subject and result.
#[derive(Debug)]
pub struct Check {
    what: &'static str,
    verdict: Verdict,
    text: String,
}

impl Check {
    /// The result, or the problem and its fix.
    pub fn of(what: &'static str, result: Result<String, impl std::fmt::Display>) -> Self {
        match result {
            Ok(text) => Self { what, verdict: Verdict::Good, text },
            Err(problem) => Self { what, verdict: Verdict::Bad, text: problem.to_string() },
        }
    }

    /// A result that works, but may be wrong.
    pub fn doubtful(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Doubtful, text: text.into() }
    }
}

/// Whether a check failed.
pub fn any_failed(checks: &[Check]) -> bool {
    checks.iter().any(|check| check.verdict == Verdict::Bad)
}

/// The checks as text, one line each.
pub fn render(checks: &[Check]) -> String {
    let lines = checks.iter().map(|check| {
        let mark = match check.verdict {
            Verdict::Good => "ok",
            Verdict::Doubtful => "warn",
            Verdict::Bad => "FAIL",
        };
        format!("{mark:4}  {:<18}{}", check.what, one_line(&check.text))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The backup directory and the state directory.
pub fn place(settings: &Settings) -> Vec<Check> {
    let layout = repository::layout(settings);
    // Without a directory, the other checks of it would only repeat this.
    if let Err(refusal) = repository::check_directory(settings) {
        return vec![Check::of("backup directory", Err::<String, _>(refusal.message))];
    }
    let root = layout.root().display();
    let directory = repository::open(settings).map(|_| format!("{root} is a backup repository"));
    let writable = store::probe(&layout)
        .map(|()| "files can be created there".to_owned())
        .map_err(|error| format!("cannot create files in {root}: {error}"));
    let room = match store::available_bytes(layout.root()) {
        Ok(None) => Ok("not known".to_owned()),
        Ok(Some(bytes)) => enough(bytes),
        Err(error) => Err(format!("{root}: {error}")),
    };
    let status = layout.status_file();
    let state = AtomicFile::create(&status, 0o600)
        .and_then(|file| {
            drop(file);
            store::available_bytes(layout.state())
        })
        .map_err(|error| format!("{}: cannot be written: {error}", status.display()))
        .and_then(|free| match free {
            Some(bytes) if bytes < STATUS_BYTES => {
                Err(format!("{}: cannot be written: only {} free", status.display(), HumanBytes(bytes)))
            }
            Some(_) | None => Ok(format!("{} can be written", status.display())),
        });
    let mut checks = vec![
        Check::of("backup directory", directory.map_err(|refusal| refusal.message)),
        Check::of("write access", writable),
    ];
    checks.extend(
        access::problems(&layout)
            .into_iter()
            .map(|problem| Check::of("write access", Err::<String, _>(problem))),
    );
    checks.extend(file_system(layout.root()));
    checks.extend([Check::of("room", room), Check::of("state directory", state)]);
    checks
}

/// Checks whether other users can change the configuration files. Runs as root are then refused.
pub fn trust(settings: &Settings) -> Vec<Check> {
    let me = uzers::get_effective_uid();
    let problems = trust::problems(settings, &[ROOT, me]).into_iter();
    let check = |problem: String| match me {
        ROOT => Check::of(
            "files",
            Err::<String, _>(format!("{problem}; runs as root are refused until this is fixed")),
        ),
        _ => Check::doubtful("files", problem),
    };
    problems.map(check).collect()
}

/// Checks whether the programs of hooks can be started. Commands for the shell cannot be checked.
pub fn hooks(settings: &Settings) -> Vec<Check> {
    let problems =
        HOOKS.into_iter().filter_map(|hook| Some((hook.key(), hook_problem(&settings.get(hook)?)?)));
    problems.map(|(key, problem)| Check::of("hooks", Err::<String, _>(format!("{key}: {problem}")))).collect()
}

/// Checks whether there is enough space to start a run.
fn enough(available: u64) -> Result<String, String> {
    let (free, least) = (HumanBytes(available), HumanBytes(store::RESERVE_BYTES));
    if available < store::RESERVE_BYTES {
        return Err(format!("{free} free, but a backup needs at least {least} to start: free some space"));
    }
    Ok(format!("{free} free"))
}

/// Checks the file system of the backup directory, if it may be tested.
fn file_system(root: &Path) -> Vec<Check> {
    let what = "file system";
    let Ok(manners) = examine(root) else { return Vec::new() };
    let refusals = manners.refusals.into_iter().map(|refusal| Check::of(what, Err(refusal)));
    let limits = manners.limits.into_iter().map(|limit| Check::doubtful(what, limit));
    let checks: Vec<Check> = refusals.chain(limits).collect();
    if checks.is_empty() {
        return vec![Check::of(what, Ok::<_, String>("supports everything that backups need".to_owned()))];
    }
    checks
}

/// Checks whether the file system of the backup directory distinguishes the names of these collections.
pub fn names(settings: &Settings, collections: &[CollectionName]) -> Option<Check> {
    let root = &settings.get(&BACKUP_PATH);
    let folds_case = examine(root).is_ok_and(|manners| manners.folds_case);
    let mut seen: BTreeMap<String, &CollectionName> = BTreeMap::new();
    let alike: Vec<String> = collections
        .iter()
        .filter_map(|name| {
            let other = seen.insert(name.component().to_ascii_lowercase(), name)?;
            Some(format!("\"{other}\" and \"{name}\""))
        })
        .collect();
    let text = || {
        format!(
            "the file system of {} treats {} as the same name, so only one of them can be backed up",
            root.display(),
            alike.join(", ")
        )
    };
    (folds_case && !alike.is_empty()).then(|| Check::of("file system", Err(text())))
}

/// Checks whether every pattern of configuration files matches a file. If one does not, every run fails.
pub fn include_files(settings: &Settings) -> Option<Check> {
    let patterns: Vec<String> =
        settings.get(&INCLUDE_FILES).into_iter().map(|pattern| pattern.value).collect();
    let found = matching(&patterns).map(|paths| format!("{} match backup.include_files", paths.len()));
    (!patterns.is_empty()).then(|| Check::of("include files", found))
}

/// Names in `backup.include` that are not on the server.
fn not_on_server(settings: &Settings, collections: &[CollectionName]) -> Option<Check> {
    let missing: Vec<String> = settings
        .selection
        .included_names()
        .filter(|name| !collections.iter().any(|collection| collection.as_str() == *name))
        .map(|name| {
            let meant = closest(name, collections.iter().map(CollectionName::as_str));
            let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
            format!("\"{name}\"{meant}")
        })
        .collect();
    let text = format!("backup.include names what is not on the server: {}", missing.join(", "));
    (!missing.is_empty()).then(|| Check::doubtful("access", text))
}

/// Checks whether the backups are on the same disk as Qdrant's data. Nothing without a backup directory.
pub fn own_disk(settings: &Settings) -> Option<Check> {
    let what = "own disk";
    let root = &settings.get(&BACKUP_PATH);
    if !root.is_dir() {
        return None;
    }
    Some(match look(settings.qdrant.url.as_url(), root) {
        OwnDisk::OtherMachine => Check::of(what, Ok::<_, String>("Qdrant is on another machine".to_owned())),
        OwnDisk::Apart(data) => Check::of(
            what,
            Ok::<_, String>(format!("Qdrant's data in {} is on another file system", data.display())),
        ),
        OwnDisk::Shared(data) => Check::doubtful(
            what,
            format!(
                "on the same file system as Qdrant's data in {}: a broken disk destroys both, and a full disk stops both; mount another disk on {}",
                data.display(),
                root.display()
            ),
        ),
        OwnDisk::Unknown => Check::doubtful(
            what,
            "Qdrant is on this machine, but its data directory was not found: make sure that its disk is not the one with the backups",
        ),
        OwnDisk::Several => Check::doubtful(
            what,
            format!(
                "several Qdrant servers run on this machine, and which of them is {} is not known: make sure that its disk is not the one with the backups",
                *settings.qdrant.url
            ),
        ),
    })
}

/// The expected schedule of backups.
pub fn schedule(settings: &Settings, clock: Clock) -> Check {
    let what = "schedule";
    let Some(schedule) = settings.schedule.as_ref() else {
        return Check::doubtful(
            what,
            "none is configured, so late backups cannot be detected; set BACKUP_SCHEDULE or schedule.cron",
        );
    };
    let now = clock.now();
    let gap = output::span(schedule.longest_gap(now));
    Check::of(what, Ok::<_, String>(format!("{}; runs are at most {gap} apart", meaning(schedule, now))))
}

/// Checks whether a known scheduler starts the next run.
pub fn started_by(settings: &Settings) -> Check {
    let what = "started by";
    let found = is_started_by(Path::new("/"));
    match found.as_slice() {
        [] => {}
        [only] if *only == CRON && !cron_runs(Path::new("/")) => {
            let text = format!("{CRON}, but no cron daemon seems to be running: install cron or start it");
            return Check::doubtful(what, text);
        }
        [only] => return Check::of(what, Ok::<_, String>((*only).to_owned())),
        several => {
            let text = format!("{}: both start runs; remove one of them", several.join(" and "));
            return Check::doubtful(what, text);
        }
    }
    Check::doubtful(
        what,
        format!(
            "no timer and no entry in /etc/cron.d starts backups to {}: run `qdrant-backup schedule systemd --write` or `schedule cron --write`; users' own crontabs are not checked",
            settings.get(&BACKUP_PATH).display()
        ),
    )
}

/// Checks the expiry of the client certificate, if there is one. Invalid files cause an error when they are used.
pub fn client_certificate(settings: &Settings, clock: Clock) -> Option<Check> {
    let what = "client certificate";
    let path = settings.get(&TLS_CERT_FILE)?;
    let certificate = Certificate::read(certificates(&path).ok()?.first()?)?;
    let until = certificate.not_after.format("%Y-%m-%d");
    let left = certificate.not_after - clock.now();
    let text = format!("{}, valid until {until}", certificate.subject);
    Some(if left <= TimeDelta::zero() {
        Check::of(what, Err::<String, _>(format!("{}, expired on {until}: renew it", certificate.subject)))
    } else if left < CERTIFICATE_LEFT {
        Check::doubtful(what, format!("{text}: renew it"))
    } else {
        Check::of(what, Ok::<_, String>(text))
    })
}

/// Checks of the server.
pub struct Server {
    /// The connection and the API key.
    pub checks: Vec<Check>,
    /// The collections that a run backs up. Empty if they could not be listed.
    pub selected: Vec<CollectionName>,
}

/// Checks the connection to the server and the rights of the API key.
pub async fn server(settings: &Settings) -> Server {
    let failed = |text: String| Server { checks: vec![Check::of("Qdrant", Err(text))], selected: Vec::new() };
    let client = match client(settings, CancellationToken::new()) {
        Ok(client) => client,
        Err(Refusal { message, .. }) => return failed(message),
    };
    let version = match client.version().await {
        Ok(version) => version,
        Err(error) => return failed(error.to_string()),
    };
    let found = Check::of("Qdrant", Ok::<_, String>(format!("{version} at {}", client.url())));
    let mut nodes = nodes(settings, &client).await;
    nodes.insert(0, found);
    let found = |access: Check| nodes.into_iter().chain([access]).collect::<Vec<_>>();
    match client.listing().await {
        Ok(Listing { impossible, .. }) if !impossible.is_empty() => {
            let problem = impossible.first().map(ToString::to_string).unwrap_or_default();
            Server { checks: found(Check::of("access", Err(problem))), selected: Vec::new() }
        }
        Ok(Listing { names: collections, .. }) => {
            let count = collections.len();
            let selects = |name: &CollectionName| settings.selection.selects(name.as_str());
            let all = collections;
            let selected: Vec<CollectionName> = all.iter().filter(|name| selects(name)).cloned().collect();
            let text = format!("may list collections; {} of {count} are selected", selected.len());
            let missing = not_on_server(settings, &all);
            let access = match (count, selected.len()) {
                (0, _) => Check::doubtful("access", "may list collections; there are none"),
                (_, 0) => Check::of(
                    "access",
                    Err::<String, _>(format!(
                        "may list collections, but backup.include and backup.exclude select none of the {count}"
                    )),
                ),
                _ => Check::of("access", Ok::<_, String>(text)),
            };
            Server { checks: found(access).into_iter().chain(missing).collect(), selected }
        }
        Err(error) => Server { checks: found(Check::of("access", Err(error))), selected: Vec::new() },
    }
}

/// Checks whether every node of the cluster answers. Nothing outside cluster mode, or if that is unknown.
async fn nodes(settings: &Settings, client: &Client) -> Vec<Check> {
    let Ok(Some(nodes)) = client.nodes(&settings.qdrant.nodes).await else {
        let given = settings.qdrant.nodes.len();
        let text = format!(
            "qdrant.nodes lists {given} nodes, but {} is not in a cluster or does not report one",
            client.url()
        );
        return if given == 0 { Vec::new() } else { vec![Check::doubtful("cluster", text)] };
    };
    let (answering, all) = (nodes.nodes.len(), nodes.peers());
    let text = format!("{answering} of {all} nodes answer");
    let warnings = nodes.warnings();
    if warnings.is_empty() {
        return vec![Check::of("cluster", Ok::<_, String>(text))];
    }
    let lost = warnings.into_iter().map(|warning| Check::doubtful("cluster", warning));
    std::iter::once(Check::doubtful("cluster", text)).chain(lost).collect()
}

/// Warns if this is not the source of the backups. Nothing if it is, or if that is unknown.
pub async fn same_server(settings: &Settings, selected: &[CollectionName]) -> Option<Check> {
    let repository = repository::open(settings).ok()?;
    let client = client(settings, CancellationToken::new()).ok()?;
    let cluster = client.collection_cluster(selected.first()?).await.ok()?;
    repository.is_other_server(&cluster.peer_ids().collect()).then(|| {
        Check::doubtful(
            "same server",
            format!(
                "the backups in {} came from another server, or its storage is new: nothing is pruned until you confirm the server with `qdrant-backup accept-source`",
                settings.get(&BACKUP_PATH).display()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_on_which_no_run_would_begin_is_not_well() {
        assert!(enough(1 << 10).unwrap_err().contains("1.00 KiB free"));
        assert!(enough(store::RESERVE_BYTES).is_ok());
    }
}
