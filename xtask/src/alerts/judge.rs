//! Runs promtool on rules and their tests, two at a time.

use std::{
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::rules::{self, RULES, Rule, alerts, read, test_file};
use crate::sh::{Cmd, Context, Result};

/// Time limit for the tests of an alert with only that alert.
pub(super) const ALONE: Duration = Duration::from_secs(10);

/// Time limit with all rules, which are then all evaluated.
pub(super) const TOGETHER: Duration = Duration::from_secs(60);

/// promtool's result for rules and a test.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Passed,
    Failed(String),
}

#[expect(clippy::disallowed_methods, reason = "temporary files, and files of the work tree, not backups")]
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).context(path.display())
}

/// Runs the unit tests of `alert` with these rules.
///
/// # Errors
/// When promtool cannot read them or exceeds the time limit.
pub(super) fn judge(rules: &str, alert: &str, bound: Duration) -> Result<Verdict> {
    let directory = tempfile::tempdir().context("a temporary directory")?;
    let tests = directory.path().join("tests");
    std::fs::create_dir(&tests).context("a temporary directory")?;
    write(&directory.path().join("qdrant-backup.rules.yml"), rules)?;
    let file = test_file(alert);
    let test = tests.join("test.yml");
    write(&test, &read(&file.to_string_lossy())?)?;
    let said = directory.path().join("said");
    let output = std::fs::File::create(&said).context(said.display())?;
    let errors = output.try_clone().context(said.display())?;
    let mut child = Cmd::new("promtool")
        // Fewer garbage collections: about a quarter less CPU time.
        .env("GOGC", "400")
        .args(["test", "rules"])
        .arg(&test)
        .into_command()
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .context("cannot run promtool")?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for promtool")? {
            break status;
        }
        if began.elapsed() > bound {
            child.kill().context("ending promtool")?;
            child.wait().context("ending promtool")?;
            return Err(format!("the tests in {} take longer than {bound:?}", file.display()));
        }
        thread::sleep(Duration::from_millis(5));
    };
    let said = std::fs::read_to_string(&said).context(said.display())?;
    if said.contains("could not parse") || said.contains("yaml:") {
        return Err(format!("promtool cannot read the rules or {}: {said}", file.display()));
    }
    Ok(if status.success() { Verdict::Passed } else { Verdict::Failed(said) })
}

/// Runs the tests of all shipped rules in one file, as they are used.
pub(super) fn shipped(rules: &[Rule]) -> Result<()> {
    let alerts: Vec<&Rule> = alerts(rules).collect();
    let all = rules::file_of(rules);
    // Nothing but comments may be lost by parsing.
    if rules::parse(&read(RULES)?)? != rules::parse(&all)? {
        return Err("the rules are not read as they are written".to_owned());
    }
    let verdicts = in_parallel(&alerts, |rule| judge(&all, &rule.name, TOGETHER))?;
    for (rule, verdict) in alerts.iter().zip(verdicts) {
        if let Verdict::Failed(said) = verdict {
            return Err(format!("the tests of {} fail:\n{said}", rule.name));
        }
    }
    println!("{} alerts pass their unit tests", alerts.len());
    Ok(())
}

/// The result for each item, in order. Runs at most two at a time.
pub(super) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some(index) =
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < items.len())
        {
            done.push((index, work(&items[index])));
        }
        done
    };
    let mut done: Vec<(usize, Result<R>)> = thread::scope(|scope| {
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    if done.len() != items.len() {
        return Err("a worker panicked".to_owned());
    }
    done.into_iter().map(|(_, result)| result).collect()
}
