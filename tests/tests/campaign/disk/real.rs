//! Real disks that become full or read-only at some call, and calls that do less than requested.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use e2e::campaign::{Extent, Tally};
use e2e::disks::Disk;
use e2e::place::prove;
use e2e::qdrant_stand_in::{Collection, FillKind, GeneratedSnapshot, Setup, StandIn};
use e2e::supervised::{Action, Call, Watched, watched_on};
use e2e::{Place, Ran};
use qdrant_backup_shared::{FailureKind, Layout, status_journal};
use rustix::io::Errno;

use super::scenarios;
use super::stage::Stage;

const DISK_BYTES: u64 = 24 << 20;
const ONE_IN: usize = 6;
const CONFIGURATION: &str = "qdrant:\n  retries: 0\n  wait_for_server: 0s\nretention:\n  keep_last: 2\n";

/// The fault of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Fills,
    TurnsReadOnly,
}

/// A server, and a disk with two good backups.
struct OnDisk {
    server: StandIn,
    place: Place,
    disk: Disk,
}

impl OnDisk {
    fn new() -> Self {
        let snapshot = GeneratedSnapshot::new(100 << 10).points_count(10).kind(FillKind::Random);
        let server = StandIn::start(Setup::empty().collection(Collection::generated("docs", snapshot)));
        let place = Place::new(&server.url());
        place.configure(CONFIGURATION);
        let disk = Disk::initialised(&place, DISK_BYTES);
        let stage = Self { server, place, disk };
        stage.run(&["backup"]).success();
        stage.run(&["backup"]).success();
        stage
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.disk.inside(&self.place.command(arguments)))
    }

    fn watched(&self, at: Option<(&Call, &Action)>) -> Watched {
        watched_on(&self.disk, self.place.path(), &self.place.command(&["run"]), at)
    }

    fn layout(&self) -> Layout {
        Layout::new(self.disk.path(), self.disk.path())
    }

    /// The command to run at the call.
    fn action(&self, event: Event) -> Action {
        let path = self.place.path().display();
        Action::Meanwhile(match event {
            Event::Fills => {
                format!("dd if=/dev/zero of={path}/filler bs=4k 2>/dev/null; test -s {path}/filler")
            }
            Event::TurnsReadOnly => format!("mount -o remount,ro {path} 2>/dev/null"),
        })
    }

    fn undo(&self, event: Event) {
        match event {
            Event::Fills => self.disk.free(),
            Event::TurnsReadOnly => {
                let mut mount = Command::new("mount");
                mount.args(["-o", "remount,rw"]).arg(self.place.path());
                assert!(self.disk.inside(&mount).status().unwrap().success());
            }
        }
    }

    fn judge(&self, event: Event, ran: &Ran) {
        assert!(ran.code.is_some_and(|code| [0, 1, 3].contains(&code)), "exit code {:?}", ran.code);
        assert!(!ran.stderr.contains("panicked"));
        let good = prove(&self.layout());
        let text = match event {
            Event::Fills => "No space left on device",
            Event::TurnsReadOnly => "Read-only file system",
        };
        if ran.code == Some(0) {
            assert_eq!(good, 2, "it reported success");
        } else {
            assert!((2..=3).contains(&good), "{good} backups");
            assert!(ran.stderr.contains("] ERROR: "));
            assert!(ran.stderr.contains(text) || ran.stderr.contains("are free"), "{text:?} was not printed");
        }
        let status = status_journal::read(&self.layout()).expect("a status").status;
        let last = status.last_run.filter(|run| run.command == "run");
        assert!(ran.code != Some(0) || last.is_some(), "it succeeded, but the status does not report that");
        let failure = last.as_ref().and_then(|run| run.failure());
        if let (Event::Fills, Some(failure)) = (event, failure) {
            assert_eq!(failure.kind, FailureKind::NoSpace, "{}", failure.message);
        }
        self.undo(event);
        self.run(&["run"]).success();
        prove(&self.layout());
        assert_eq!(self.server.all_snapshots(), Vec::<String>::new());
        let names = Command::new("find").arg(self.disk.path()).args(["-name", "*.tmp"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&names.stdout), "");
    }
}

#[test]
fn a_disk_that_fills_or_turns_read_only_before_any_call_costs_no_backup() {
    let extent = Extent::asked_for();
    let watched = OnDisk::new().watched(None);
    assert_eq!(watched.ran.code, Some(0), "{}", watched.ran.stderr);
    let changes = ["create", "write", "mkdirat", "renameat2", "unlinkat", "fsync", "fdatasync", "ftruncate"];
    let mut calls: Vec<Call> =
        watched.calls.into_iter().filter(|call| changes.contains(&call.name.as_str())).collect();
    calls.sort();
    let all = calls.iter().flat_map(|call| [Event::Fills, Event::TurnsReadOnly].map(|event| (call, event)));
    let chosen: Vec<_> = (0..)
        .zip(all)
        .filter(|(number, _)| extent.tries(*number / 2, ONE_IN))
        .map(|(_, case)| case)
        .collect();
    let (next, happened, problems) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((call, event)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let stage = OnDisk::new();
                    let watched = stage.watched(Some((call, &stage.action(*event))));
                    // A disk cannot become read-only by itself while a file is open for writing.
                    if watched.answered.is_empty() {
                        continue;
                    }
                    happened.fetch_add(1, Ordering::Relaxed);
                    let judged = catch_unwind(AssertUnwindSafe(|| stage.judge(*event, &watched.ran)));
                    if let Err(panic) = judged {
                        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                        let code = watched.ran.code;
                        let problem =
                            format!("{event:?} before {call:?}: {code:?} {text}\n{}", watched.ran.stderr);
                        problems.lock().expect("a list").push(problem);
                    }
                }
            });
        }
    });
    let (problems, happened) = (problems.into_inner().expect("a list"), happened.into_inner());
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), chosen.len(), problems.join("\n\n"));
    assert!(happened * 2 > chosen.len(), "it happened in {happened} of {} cases", chosen.len());
    let mut tally = Tally::of("real disks");
    tally.add("full or read-only before a call", happened as u64);
    tally.done();
}

#[test]
fn a_disk_of_any_size_holds_good_backups_or_says_that_it_is_too_small() {
    let mut tally = Tally::of("small disks");
    let (mut failed, mut succeeded) = (0, 0);
    let step = if Extent::asked_for() == Extent::Full { 1 } else { 12 };
    // Sizes that are too small for anything, and sizes around the free space that a backup of this size requires.
    for pages in (2..60).step_by(step).chain((4090..4190).step_by(step)) {
        let snapshot = GeneratedSnapshot::new(100 << 10).points_count(10).kind(FillKind::Random);
        let server = StandIn::start(Setup::empty().collection(Collection::generated("docs", snapshot)));
        let place = Place::new(&server.url());
        place.configure(CONFIGURATION);
        let disk = Disk::mount(&place, pages * 4096);
        let run = |arguments: &[&str]| Ran::of(&mut disk.inside(&place.command(arguments)));
        let mut codes = Vec::new();
        for command in ["init", "backup", "backup", "verify"] {
            let ran = run(&[command]);
            assert!(
                ran.code.is_some_and(|code| [0, 1, 3, 78].contains(&code)),
                "{pages} pages: {}",
                ran.stderr
            );
            assert!(ran.code == Some(0) || ran.stderr.contains("ERROR: "), "{pages} pages: {}", ran.stderr);
            assert!(!ran.stderr.contains("panicked"), "{pages} pages: {}", ran.stderr);
            codes.push(ran.code);
        }
        let good = prove(&Layout::new(disk.path(), disk.path()));
        let told = codes[1..3].iter().filter(|code| **code == Some(0)).count();
        assert!(good >= told, "{pages} pages: {told} backups were reported, but {good} exist");
        assert_eq!(server.all_snapshots(), Vec::<String>::new(), "{pages} pages");
        failed += 2 - told;
        succeeded += told;
        tally.count("sizes");
    }
    assert!(failed > 3 && succeeded > 3, "{failed} failed, {succeeded} succeeded");
    tally.done();
}

#[test]
fn calls_that_do_less_than_asked_or_are_interrupted_cost_nothing() {
    let mut tally = Tally::of("short writes and interruptions");
    let interrupted = || Action::Fails(Errno::INTR.raw_os_error());
    let cases = [
        ("write", 0, Action::WritesAtMost(1000)),
        ("write", -2, Action::WritesAtMost(1)),
        ("write", -2, interrupted()),
        ("read", -2, interrupted()),
        ("create", -2, interrupted()),
        ("flock", 1, interrupted()),
    ];
    for scenario in scenarios::all().into_iter().filter(|scenario| scenario.name != "init") {
        let prepared = scenario.prepared();
        for (name, which, action) in &cases {
            let stage: Stage = scenario.again(&prepared);
            let call = Call { name: (*name).to_owned(), pattern: "*".to_owned(), which: *which };
            let watched = super::run_with(&scenario, &stage, Some((&call, action)));
            let what = format!("{}: {name} {which} {action:?}\n{}", scenario.name, watched.ran.stderr);
            assert_eq!(watched.ran.code, Some(0), "{what}");
            assert!(!watched.ran.stderr.contains("] WARN: ") || scenario.name == "import", "{what}");
            stage.backups();
            (scenario.promise)(&stage);
            stage.place.run(&["verify", "--backup", "all"]).success();
            tally.add("calls cut short or interrupted", watched.answered.len() as u64);
            tally.count("runs");
        }
    }
    tally.done();
}
