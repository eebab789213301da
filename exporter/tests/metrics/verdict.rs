//! The verdict of the status page: three good collections, and one defect in each test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use qdrant_backup_exporter::observe::{CollectionView, DirectoryView, Observation, Part, Storage};
use qdrant_backup_exporter::page::{self, Finding, Kind, Report, Severity, Verdict};
use qdrant_backup_shared::catalog::{Backup, LevelCheck, Unreadable};
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::last_refused::LastRefused;
use qdrant_backup_shared::last_skipped::LastSkipped;
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::status::{CollectionStatus, CurrentRun, OperationStatus, Status};
use qdrant_backup_shared::verification::Level;
use qdrant_backup_shared::{BackupId, CollectionName, Failure, FailureKind, Manifest};

use crate::watched::{name, now};

const DAY: f64 = 86_400.0;

fn part<T>(value: Option<T>, problem: Option<&str>) -> Part<T> {
    Part { value: value.map(Arc::new), problem: problem.map(str::to_owned), duration: Duration::ZERO }
}

fn backup(age: TimeDelta) -> Backup {
    let text = include_str!("../../../shared/testdata/manifest-v1.json");
    let mut manifest: Manifest = json_file::parse(Path::new("m"), text.as_bytes()).unwrap();
    manifest.started_at = now() - age;
    manifest.backup_id = BackupId::at(manifest.started_at);
    manifest.archives[0].stored.size_bytes = 46_182;
    let mut backup = Backup::of(&manifest, Arc::new(manifest.collection.clone()));
    let at = manifest.started_at;
    backup.checks = [LevelCheck { level: Level::Archive, last_at: at, last_passed_at: Some(at) }].into();
    backup
}

/// Three good collections. Each test breaks something.
struct Scene {
    status: Status,
    views: BTreeMap<CollectionName, Vec<Backup>>,
    observation: Observation,
}

impl Scene {
    fn healthy() -> Self {
        let mut status = Status::new("0.1.0".to_owned(), "backup-host".to_owned());
        let age = TimeDelta::hours(2);
        status.operations.insert(
            Operation::Backup,
            OperationStatus {
                last_attempt_at: Some(now() - age),
                last_success_at: Some(now() - age),
                last_outcome: Some(Outcome::Success),
                runs_total: 1,
                schedule_interval_seconds: Some(DAY),
                ..OperationStatus::default()
            },
        );
        let mut views = BTreeMap::new();
        for collection in ["a", "b", "c"] {
            let claimed = CollectionStatus {
                on_server: Some(true),
                last_success_at: Some(now() - age),
                last_outcome: Some(Outcome::Success),
                ..CollectionStatus::default()
            };
            status.collections.insert(name(collection), claimed);
            views.insert(name(collection), vec![backup(age + TimeDelta::days(1)), backup(age)]);
        }
        let observation = Observation {
            taken_at: now(),
            status: part(None, None),
            last_skipped: None,
            last_refused: None,
            directory: part(None, None),
            storage: part(Some(Storage { avail_bytes: 1 << 30, size_bytes: 1 << 31 }), None),
            problems: Vec::new(),
        };
        Self { status, views, observation }
    }

    fn newest(&mut self, collection: &str) -> &mut Backup {
        self.views.get_mut(&name(collection)).unwrap().last_mut().unwrap()
    }

    fn backup(&mut self) -> &mut OperationStatus {
        self.status.operations.get_mut(&Operation::Backup).unwrap()
    }

    fn directory(&self) -> DirectoryView {
        let collections = self
            .views
            .iter()
            .map(|(name, backups)| (name.clone(), Arc::new(CollectionView::of(backups.clone()))))
            .collect();
        DirectoryView { collections, ..DirectoryView::default() }
    }

    fn report(mut self) -> Report {
        self.observation.status = part(Some(self.status.clone()), None);
        self.observation.directory = part(Some(self.directory()), None);
        Report::new(&self.observation, now())
    }

    fn verdict(self) -> Verdict {
        self.report().verdict
    }
}

fn kinds(verdict: &Verdict) -> Vec<Kind> {
    verdict.findings.iter().map(|finding| finding.kind).collect()
}

/// Asserts the verdict's severity, its headline, and that there are only these findings.
#[track_caller]
fn assert_verdict(verdict: &Verdict, severity: Severity, headline: &str, reasons: &[Kind]) {
    assert_eq!(verdict.headline, headline);
    assert_eq!((verdict.severity, kinds(verdict).as_slice()), (severity, reasons), "{verdict:#?}");
}

#[test]
fn healthy() {
    assert_verdict(
        &Scene::healthy().verdict(),
        Severity::Fine,
        "All 3 collections backed up 2 h ago, verified",
        &[],
    );
}

#[test]
fn one_collection_is_called_by_its_name() {
    let mut scene = Scene::healthy();
    for gone in ["b", "c"] {
        scene.views.remove(&name(gone));
        scene.status.collections.remove(&name(gone));
    }
    assert_eq!(scene.verdict().headline, "a backed up 2 h ago, verified");
}

#[test]
fn never_ran() {
    let mut scene = Scene::healthy();
    scene.observation.directory = part(Some(DirectoryView::default()), None);
    let verdict = Report::new(&scene.observation, now()).verdict;
    assert_verdict(
        &verdict,
        Severity::Critical,
        "There is no trace of any backup run",
        &[Kind::NeverRan, Kind::NoCollection],
    );
}

#[test]
fn not_verified() {
    let mut scene = Scene::healthy();
    scene.newest("b").checks = Arc::default();
    assert_verdict(
        &scene.verdict(),
        Severity::Warning,
        "The newest backup is not verified: b",
        &[Kind::NotVerified],
    );
    let mut scene = Scene::healthy();
    for collection in ["a", "b", "c"] {
        scene.newest(collection).checks = Arc::default();
    }
    assert_eq!(scene.verdict().headline, "All 3 collections backed up 2 h ago, not verified");
}

#[test]
fn partial_failure() {
    let mut scene = Scene::healthy();
    scene.backup().last_outcome = Some(Outcome::Partial);
    scene.backup().last_attempt_at = Some(now());
    scene.status.collections.get_mut(&name("b")).unwrap().failure =
        Some(Failure { kind: FailureKind::Unreachable, message: "no answer".to_owned() });
    assert_verdict(
        &scene.verdict(),
        Severity::Warning,
        "The last run (backup) ended as partial: 1 of 3 collections failed, the first: b: no answer",
        &[Kind::RunFailed],
    );
}

#[test]
fn never_succeeded() {
    let mut scene = Scene::healthy();
    scene.backup().last_outcome = Some(Outcome::Failed);
    scene.backup().last_success_at = None;
    scene.backup().failures = BTreeMap::from([(FailureKind::Unauthorized, 1)]);
    scene.views.clear();
    let verdict = scene.verdict();
    assert_eq!(verdict.severity, Severity::Critical);
    assert_eq!(kinds(&verdict), [Kind::NoBackup, Kind::RunFailed]);
    assert_eq!(verdict.findings[1].text, "The last run (backup) ended as failed (unauthorized)");
}

#[test]
fn a_run_that_failed_as_a_whole_is_told_with_its_message_and_not_with_what_failed_before() {
    let mut scene = Scene::healthy();
    scene.backup().last_outcome = Some(Outcome::Failed);
    scene.backup().last_attempt_at = Some(now() - TimeDelta::hours(1));
    let failure = Failure {
        kind: FailureKind::Unreachable,
        message: "cannot reach Qdrant at http://q:6333".to_owned(),
    };
    scene.backup().failures = BTreeMap::from([(failure.kind.clone(), 1)]);
    scene.backup().failure = Some(failure);
    let b = scene.status.collections.get_mut(&name("b")).unwrap();
    b.last_attempt_at = Some(now() - TimeDelta::days(1));
    b.failure = Some(Failure { kind: FailureKind::Stalled, message: "last night's".to_owned() });
    assert_verdict(
        &scene.verdict(),
        Severity::Warning,
        "The last run (backup) ended as failed: cannot reach Qdrant at http://q:6333",
        &[Kind::RunFailed],
    );
}

#[test]
fn too_old_by_the_schedule() {
    let mut scene = Scene::healthy();
    scene.backup().schedule_interval_seconds = Some(3600.0);
    // Two hours are just within two intervals.
    assert_eq!(scene.verdict().severity, Severity::Fine);
    let mut scene = Scene::healthy();
    scene.backup().schedule_interval_seconds = Some(3599.0);
    assert_verdict(
        &scene.verdict(),
        Severity::Critical,
        "No collection has a backup younger than 2 h, but one is due every 59 min",
        &[Kind::TooOld],
    );
    let mut scene = Scene::healthy();
    scene.views.insert(name("c"), vec![backup(TimeDelta::days(3))]);
    scene.status.collections.get_mut(&name("c")).unwrap().last_success_at = Some(now() - TimeDelta::days(3));
    assert_eq!(scene.verdict().headline, "No backup for 3 days, but one is due every 24 h: c");
}

#[test]
fn without_a_schedule_nobody_knows_whether_it_is_too_old() {
    let mut scene = Scene::healthy();
    scene.backup().schedule_interval_seconds = None;
    assert_verdict(
        &scene.verdict(),
        Severity::Unknown,
        "No schedule is known, so it is unknown whether a backup is late; the oldest of the newest backups was made 2 h ago",
        &[Kind::NoSchedule],
    );
}

fn run(heartbeat: TimeDelta) -> CurrentRun {
    CurrentRun {
        run_id: "r".to_owned(),
        command: "backup".to_owned(),
        pid: 1,
        operation: Operation::Backup,
        stage: Stage::Download,
        collection: Some(name("b")),
        creating: None,
        also_creating: Vec::new(),
        started_at: now() - TimeDelta::minutes(30),
        heartbeat_at: now() - heartbeat,
    }
}

#[test]
fn running() {
    let mut scene = Scene::healthy();
    scene.status.current_run = Some(run(TimeDelta::seconds(20)));
    let verdict = scene.verdict();
    assert_verdict(
        &verdict,
        Severity::Notice,
        "All 3 collections backed up 2 h ago, verified",
        &[Kind::Running],
    );
    assert_eq!(verdict.findings[0].text, "A run (backup) started 30 min ago and is at: download of b");
}

#[test]
fn stalled_or_died() {
    let mut scene = Scene::healthy();
    scene.status.current_run = Some(run(TimeDelta::minutes(11)));
    assert_verdict(
        &scene.verdict(),
        Severity::Critical,
        "A run (backup) started 30 min ago and has made no progress for 11 min: it hangs or died",
        &[Kind::RunStalled],
    );
}

#[test]
fn skipped() {
    let mut scene = Scene::healthy();
    let at = now() - TimeDelta::hours(1);
    scene.observation.last_skipped = Some(Arc::new(LastSkipped::new(at, "backup", None)));
    assert_eq!(kinds(&scene.verdict()), [Kind::RunSkipped]);
    let mut scene = Scene::healthy();
    let at = now() - TimeDelta::hours(3);
    scene.observation.last_skipped = Some(Arc::new(LastSkipped::new(at, "backup", None)));
    assert_eq!(scene.verdict().severity, Severity::Fine, "a success has followed");
}

#[test]
fn a_refused_start_is_told_with_its_reason_until_a_backup_succeeds() {
    let refused = |ago| Some(Arc::new(LastRefused::new(now() - ago, "run", "cannot use the API key file")));
    let mut scene = Scene::healthy();
    scene.observation.last_refused = refused(TimeDelta::hours(1));
    assert_verdict(
        &scene.verdict(),
        Severity::Warning,
        "A start (run) was refused 60 min ago, and no backup has started since: cannot use the API key file",
        &[Kind::StartRefused],
    );
    let mut scene = Scene::healthy();
    scene.observation.last_refused = refused(TimeDelta::hours(3));
    assert_eq!(scene.verdict().severity, Severity::Fine, "a success has followed");
    let mut scene = Scene::healthy();
    scene.observation.last_refused = refused(TimeDelta::hours(3));
    scene.status.operations.clear();
    assert!(kinds(&scene.verdict()).contains(&Kind::StartRefused), "nothing ever ran");
}

#[test]
fn source_changed() {
    let mut scene = Scene::healthy();
    scene.status.source_changed = true;
    assert_verdict(
        &scene.verdict(),
        Severity::Critical,
        "The server is not the one that these backups came from; nothing is pruned",
        &[Kind::SourceChanged],
    );
}

#[test]
fn failed_verification_and_missing_archives() {
    let mut scene = Scene::healthy();
    let newest = scene.newest("b");
    newest.verification_failed = true;
    let verdict = scene.verdict();
    assert_verdict(
        &verdict,
        Severity::Critical,
        "1 backup failed verification: b",
        &[Kind::VerificationFailed],
    );
    let mut scene = Scene::healthy();
    let lack = |backup: &mut Backup| backup.remark(|remarks| remarks.missing = Some("an archive".to_owned()));
    lack(&mut scene.views.get_mut(&name("b")).unwrap()[0]);
    // A newer one is good.
    assert_verdict(&scene.verdict(), Severity::Warning, "1 backup incomplete: b", &[Kind::Incomplete]);
    let mut scene = Scene::healthy();
    lack(scene.newest("b"));
    let verdict = scene.verdict();
    assert_eq!((verdict.severity, kinds(&verdict)), (Severity::Critical, vec![Kind::Incomplete]));
}

#[test]
fn backups_that_the_runner_claims_and_the_disk_lacks() {
    let mut scene = Scene::healthy();
    scene.views.get_mut(&name("a")).unwrap().pop();
    assert_eq!(kinds(&scene.verdict()), [Kind::BackupMissing]);
    let mut scene = Scene::healthy();
    scene.views.remove(&name("a"));
    assert_verdict(
        &scene.verdict(),
        Severity::Critical,
        "1 collection without a good backup: a",
        &[Kind::NoBackup],
    );
}

#[test]
fn status_unreadable() {
    let mut scene = Scene::healthy();
    let message = "/b/status.json:3: not a valid status file: EOF";
    scene.observation.status = part(None, Some(message));
    scene.observation.directory = part(Some(scene.directory()), None);
    scene.observation.problems =
        vec![Unreadable { path: PathBuf::from("/b/status.json"), problem: message.to_owned() }];
    let verdict = Report::new(&scene.observation, now()).verdict;
    assert_verdict(
        &verdict,
        Severity::Unknown,
        "The runner's status has a problem: /b/status.json:3: not a valid status file: EOF",
        &[Kind::StatusUnreadable],
    );
}

#[test]
fn directory_missing() {
    let mut scene = Scene::healthy();
    scene.observation.status = part(Some(scene.status), None);
    scene.observation.directory = part(None, Some("/b: no such directory; is the disk mounted?"));
    scene.observation.storage = part(None, Some("/b: No such file or directory"));
    let verdict = Report::new(&scene.observation, now()).verdict;
    assert_eq!(verdict.severity, Severity::Critical);
    assert_eq!(
        verdict.headline,
        "The backup directory has a problem: /b: no such directory; is the disk mounted?"
    );
    assert_eq!(kinds(&verdict), [Kind::DirectoryUnreadable, Kind::StorageUnknown]);
}

#[test]
fn a_hung_disk_is_never_fine_though_everything_is_known_from_before() {
    let mut scene = Scene::healthy();
    let late = Some("no answer in time; does the disk or its network mount hang?");
    scene.observation.status = part(Some(scene.status.clone()), late);
    scene.observation.directory = part(Some(scene.directory()), late);
    scene.observation.storage = part(Some(Storage { avail_bytes: 1 << 30, size_bytes: 1 << 31 }), late);
    let verdict = Report::new(&scene.observation, now()).verdict;
    assert_eq!(verdict.severity, Severity::Unknown);
    assert_eq!(kinds(&verdict), [Kind::DirectoryUnreadable, Kind::StatusUnreadable, Kind::StorageUnknown]);
}

#[test]
fn a_file_system_that_does_not_say_how_large_it_is_is_only_mentioned() {
    let mut scene = Scene::healthy();
    scene.observation.storage = part(None, None);
    let verdict = scene.verdict();
    assert_eq!(kinds(&verdict), [Kind::StorageUnknown]);
    assert_eq!(verdict.severity, Severity::Notice);
}

#[test]
fn no_room_for_the_next_backup() {
    let mut scene = Scene::healthy();
    scene.observation.storage = part(Some(Storage { avail_bytes: 100_000, size_bytes: 1 << 31 }), None);
    assert_verdict(
        &scene.verdict(),
        Severity::Critical,
        "The next backups will not fit: 97.7 KiB are free, and the last ones took 135.3 KiB",
        &[Kind::StorageTooSmall],
    );
}

#[test]
fn a_collection_that_left_the_server_and_a_clock_that_is_wrong() {
    let mut scene = Scene::healthy();
    scene.status.collections.get_mut(&name("c")).unwrap().on_server = Some(false);
    let verdict = scene.verdict();
    assert_eq!(kinds(&verdict), [Kind::CollectionGone]);
    let mut scene = Scene::healthy();
    *scene.newest("c") = backup(TimeDelta::hours(-1));
    assert_verdict(
        &scene.verdict(),
        Severity::Unknown,
        "The newest backup is from the future, so its age is unknown: c",
        &[Kind::FutureTimestamp],
    );
}

#[test]
fn a_backup_from_the_future_does_not_hide_one_that_was_made_since() {
    let mut scene = Scene::healthy();
    let last = scene.newest("c").backup_id;
    scene.status.collections.get_mut(&name("c")).unwrap().last_backup_id = Some(last);
    scene.views.get_mut(&name("c")).unwrap().push(backup(TimeDelta::days(-3)));
    assert_verdict(
        &scene.verdict(),
        Severity::Warning,
        "A backup is from the future, because a clock was wrong, and is not counted as the newest: c",
        &[Kind::FutureTimestamp],
    );
}

#[test]
fn the_worst_comes_first() {
    let mut scene = Scene::healthy();
    scene.newest("b").checks = Arc::default();
    scene.status.source_changed = true;
    scene.status.current_run = Some(run(TimeDelta::zero()));
    assert_eq!(kinds(&scene.verdict()), [Kind::SourceChanged, Kind::NotVerified, Kind::Running]);
}

#[test]
fn names_are_escaped_wherever_they_appear() {
    let mut scene = Scene::healthy();
    let evil = "<script>alert('1')</script>\u{202e}\n\"&";
    scene.views.insert(name(evil), vec![backup(TimeDelta::days(9))]);
    let html = page::html(&scene.report(), "/metrics");
    assert!(!html.contains("<script") && !html.contains('\u{202e}'), "{html}");
    assert!(html.contains("&lt;script&gt;alert('1')"));
}

#[test]
fn every_link_of_a_finding_leads_to_its_explanation_on_the_page_itself() {
    let mut scene = Scene::healthy();
    scene.views.insert(name("docs"), vec![backup(TimeDelta::days(9))]);
    let report = scene.report();
    let html = page::html(&report, "/metrics");
    assert!(!report.verdict.findings.is_empty());
    for finding in &report.verdict.findings {
        let kind = finding.kind.name();
        assert!(html.contains(&format!("<a href=\"#{kind}\">")), "{kind}: {html}");
        assert_eq!(html.matches(&format!("<h3 id=\"{kind}\">{kind}</h3><p>")).count(), 1, "{kind}: {html}");
    }
    assert!(!page::html(&Scene::healthy().report(), "/metrics").contains("<h3"));
}

#[test]
fn every_kind_of_finding_is_explained() {
    let document = include_str!("../../../docs/exporter.md");
    for kind in Kind::ALL {
        let heading = format!("\n### {}\n", kind.name());
        assert!(document.contains(&heading), "docs/exporter.md has no section {}", kind.name());
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
    // The whole text consists of characters that a browser can show.
    let mut report = Scene::healthy().report();
    let find = |kind: &Kind| Finding {
        kind: *kind,
        severity: Severity::Notice,
        text: String::new(),
        document: String::new(),
    };
    report.verdict.findings = Kind::ALL.iter().map(find).collect();
    let html = page::html(&report, "/metrics");
    let explained: Vec<&str> = html.split("<h3 id=").skip(1).collect();
    assert_eq!(explained.len(), Kind::ALL.len());
    for text in explained {
        assert!(text.len() > 60 && !text.contains("](") && !text.contains('`'), "{text}");
    }
}

#[test]
fn a_collection_that_was_retired_is_neither_missing_nor_gone_nor_old() {
    let mut scene = Scene::healthy();
    // The state after `prune --retire`: there is no entry any more, and its backups remain.
    scene.status.collections.remove(&name("c"));
    scene.status.retired_collections = [name("c")].into();
    scene.views.insert(name("c"), vec![backup(TimeDelta::days(40))]);
    let report = scene.report();
    assert_verdict(&report.verdict, Severity::Fine, "All 2 collections backed up 2 h ago, verified", &[]);
    let retired: Vec<_> = report.collections.iter().map(|one| (one.retired, one.on_server)).collect();
    assert_eq!(retired, [(false, Some(true)), (false, Some(true)), (true, Some(false))]);
}

#[test]
fn a_refused_start_is_over_once_a_backup_has_begun_whatever_became_of_it() {
    let mut scene = Scene::healthy();
    let refused = LastRefused::new(now() - TimeDelta::hours(1), "run", "is the disk mounted?");
    scene.observation.last_refused = Some(Arc::new(refused));
    let history = scene.backup();
    history.last_attempt_at = Some(now() - TimeDelta::minutes(5));
    history.last_outcome = Some(Outcome::Failed);
    assert_eq!(kinds(&scene.verdict()), [Kind::RunFailed]);
}

#[test]
fn a_server_that_has_lost_its_collections_comes_before_what_is_merely_gone() {
    let mut scene = Scene::healthy();
    scene.status.collections.get_mut(&name("c")).unwrap().on_server = Some(false);
    let message = "Qdrant at http://q:6333/ has no collections at all".to_owned();
    let history = scene.backup();
    history.last_outcome = Some(Outcome::Failed);
    history.failure = Some(Failure { kind: FailureKind::SourceChanged, message });
    assert_verdict(
        &scene.verdict(),
        Severity::Critical,
        "The last run (backup) ended as failed: Qdrant at http://q:6333/ has no collections at all",
        &[Kind::RunFailed, Kind::CollectionGone],
    );
}

#[test]
fn times_sizes_and_counts_are_written_as_people_say_them() {
    let shown = |change: &dyn Fn(&mut Scene), text: &str| {
        let mut scene = Scene::healthy();
        change(&mut scene);
        let html = page::html(&scene.report(), "/metrics");
        assert!(html.contains(text), "no {text:?} in {html}");
    };
    for (seconds, text) in [
        (3.25, "3.2 s"),
        (59.0, "59 s"),
        (600.0, "10 min"),
        (7200.0, "2 h"),
        (50.0 * 3600.0, "2 days"),
        (400.0 * DAY, "400 days"),
    ] {
        let expected = format!("<td data-label=\"Expected\">every {text}</td>");
        shown(&|scene| scene.backup().schedule_interval_seconds = Some(seconds), &expected);
    }
    for (age, text) in [
        (TimeDelta::hours(2), "2 h ago"),
        (TimeDelta::zero(), "just now"),
        (-TimeDelta::hours(2), "in 2 h (in the future)"),
    ] {
        let expected = format!("<td data-label=\"Last attempt\">{text}</td>");
        shown(&|scene| scene.backup().last_attempt_at = Some(now() - age), &expected);
    }
    for (size, text) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (46_182, "45.1 KiB"),
        (1_048_575, "1.00 MiB"),
        (1 << 30, "1.00 GiB"),
        (u64::MAX, "16.0 EiB"),
    ] {
        let storage = Storage { avail_bytes: size, size_bytes: u64::MAX };
        shown(
            &|scene| scene.observation.storage = part(Some(storage), None),
            &format!("<dd>{text} of 16.0 EiB ("),
        );
    }
    for (number, text) in [(0, "0"), (999, "999"), (1000, "1\u{a0}000"), (1_234_567, "1\u{a0}234\u{a0}567")] {
        let expected = format!("<td data-label=\"Runs\" class=\"number\">{text}</td>");
        shown(&|scene| scene.backup().runs_total = number, &expected);
    }
}
