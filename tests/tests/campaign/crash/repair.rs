//! The next run after a crash: it succeeds, leaves nothing half done, and has everything on the server on record.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::Ran;
use e2e::crash::{Stage, Tree};
use qdrant_backup_shared::atomic::is_temporary;
use qdrant_backup_shared::catalog::Condition;
use serde_json::Value;

use super::invariant::names;
use super::known::Known;
use super::operation::Recorded;

/// A state that a crash can leave.
pub struct Case {
    /// The directory.
    pub tree: Tree,
    /// The number of changes before the crash.
    pub position: usize,
    /// The possible states of the server, by index in the history.
    pub server: usize,
}

/// What is wrong after the next run. `end` is the result of the command without a crash.
pub fn repair(recorded: &Recorded, case: &Case, end: &Known) -> Vec<String> {
    let place = &recorded.place;
    let at = format!("the repair after {} changes, server {}", case.position, case.server);
    Stage::on(place.path()).show(&case.tree);
    if let Some((path, tree)) = &recorded.elsewhere {
        Stage::on(path).show(tree);
    }
    recorded.server.set(&recorded.history[case.server].1);
    let crashed = match Known::of(place.path()) {
        Ok(known) => known,
        Err(error) => return vec![format!("{at}: {error}")],
    };
    let commands = recorded.again.iter().map(|command| command.iter().map(String::as_str).collect());
    let commands: Vec<Vec<&str>> = commands.chain([vec!["run"], vec!["list", "--json"]]).collect();
    let mut listed = String::new();
    for command in commands {
        let ran: Ran = place.run(&command);
        if ran.code != Some(0) {
            return vec![format!("{at}: {command:?} ended with {:?}:\n{}", ran.code, ran.stderr)];
        }
        listed = ran.stdout;
    }
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    wrong(recorded, &crashed, end, &listed).into_iter().map(|what| format!("{at}: {what}")).collect()
}

fn wrong(recorded: &Recorded, crashed: &Known, end: &Known, listed: &Value) -> Vec<String> {
    let place = &recorded.place;
    let mut wrong = Vec::new();
    let temporary: Vec<String> =
        Tree::of(place.path()).0.into_keys().filter(|path| path.split('/').any(is_temporary)).collect();
    if !temporary.is_empty() {
        wrong.push(format!("temporary files are left: {temporary:?}"));
    }
    let known = match Known::of(place.path()) {
        Ok(known) => known,
        Err(error) => return vec![error],
    };
    if let Some((path, problem)) = known.unreadable.iter().next() {
        wrong.push(format!("{path} cannot be read: {problem}"));
    }
    for (which, backup) in &crashed.backups {
        if backup.is_good() && !known.backups.contains_key(which) {
            wrong.push(format!("{which:?} was good and is gone"));
        }
    }
    for (which, backup) in &known.backups {
        let condition = backup.condition();
        // The next run may finish what the command had started.
        let fits = [crashed.condition(which), end.condition(which)].contains(&Some(condition));
        let is_new = !crashed.backups.contains_key(which) && condition == Condition::Good;
        if !fits && !is_new {
            wrong.push(format!("{which:?} is {condition:?}"));
        }
    }
    let told: BTreeSet<String> = orphans(listed, place.path());
    if told != known.orphans {
        wrong.push(format!("{:?} are orphans, and `list` says {told:?}", known.orphans));
    }
    wrong.extend(status(recorded, &known));
    wrong
}

fn status(recorded: &Recorded, known: &Known) -> Vec<String> {
    let status = match &known.status {
        Ok(Some(kept)) if kept.problem.is_none() => &kept.status,
        Ok(_) => return vec!["the status is not whole".to_owned()],
        Err(error) => return vec![error.clone()],
    };
    let mut wrong = Vec::new();
    if status.current_run.is_some() || !status.pruning.is_empty() {
        wrong.push(format!("something is still going on: {:?}, {:?}", status.current_run, status.pruning));
    }
    let server = recorded.server.get();
    for (node, folder, name) in &recorded.ours(&server) {
        if !names(status, folder, name) {
            wrong.push(format!("nothing says of {name} in {folder} on node {node}"));
        }
    }
    for collection in server.collections.keys().filter(|name| name.contains("__drill_")) {
        wrong.push(format!("the scratch collection {collection} is left"));
    }
    wrong
}

/// The paths of the orphans that `list` reports.
fn orphans(listed: &Value, directory: &Path) -> BTreeSet<String> {
    let paths = listed["orphans"].as_array().into_iter().flatten().filter_map(Value::as_str);
    paths
        .map(|path| path.strip_prefix(&format!("{}/", directory.display())).unwrap_or(path).to_owned())
        .collect()
}
