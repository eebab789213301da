//! Two users on one machine: while root's command is stopped before a file system call, a user with write permission
//! in the directory replaces the call's target by a link.
//!
//! The command may fail, but nothing of root's outside the directory may be created, changed, emptied, given away or
//! removed. docs/security.md says which directories this promise covers.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use e2e::Place;
use e2e::campaign::{Extent, Tally};
use e2e::programs::program;
use e2e::qdrant_stand_in::{Collection, FillKind, GeneratedSnapshot, GenuineSnapshot, Setup, StandIn};
use e2e::supervised::{Action, Call, Watched, watched};
use e2e::users::{NOBODY, need_root};
use qdrant_backup_shared::atomic;

const AT_ONCE: usize = 3;
const ONE_IN: usize = 60;

/// Root's command, and the files of the other user.
struct Race {
    name: &'static str,
    /// `@/` stands for the test's directory.
    arguments: &'static [&'static str],
    /// The backup directory, relative to it.
    backups: &'static str,
    prepare: fn(&Stage),
    /// The directory of the other user, relative to it.
    theirs: &'static str,
}

struct Stage {
    server: StandIn,
    place: Place,
}

/// The replacement.
#[derive(Debug, Clone, Copy)]
enum Swap {
    /// A link to a file of root.
    File,
    /// A link to a directory of root.
    Directory,
    /// A link to a directory of root in place of the parent directory.
    Parent,
}

const SWAPS: [Swap; 3] = [Swap::File, Swap::Directory, Swap::Parent];

/// Calls with path arguments.
const NAMING: [&str; 8] =
    ["openat", "create", "statx", "renameat2", "linkat", "unlinkat", "mkdirat", "fchmodat"];

const CONFIGURATION: &str = "qdrant:\n  retries: 0\n  wait_for_server: 0s\nretention:\n  keep_last: 2\nbackup:\n  include_files: [\"@/app.conf\"]\n";

fn races() -> Vec<Race> {
    let in_theirs = |name, arguments| Race {
        name,
        arguments,
        backups: "backups",
        prepare: |stage| {
            backed_up(stage);
            give(stage.place.path());
        },
        theirs: "backups",
    };
    let into_theirs =
        |name, arguments| Race { theirs: "home", prepare: backed_up, ..in_theirs(name, arguments) };
    let below_theirs = |name, arguments| Race {
        theirs: "home",
        backups: "home/backups",
        prepare: |_| (),
        ..in_theirs(name, arguments)
    };
    vec![
        in_theirs("backup", &["backup"]),
        in_theirs("run", &["run"]),
        in_theirs("verify", &["verify", "--backup", "all"]),
        in_theirs("prune", &["prune", "--yes"]),
        in_theirs("restore", &["restore", "--collection", "docs", "--force"]),
        in_theirs("import", &["import", "--collection", "other", "@/other.snapshot"]),
        in_theirs("accept-source", &["accept-source"]),
        in_theirs("export", &["export", "--collection", "docs", "--output", "@/out"]),
        in_theirs("init again", &["init"]),
        into_theirs(
            "export to a directory of theirs",
            &["export", "--collection", "docs", "--output", "@/home/out"],
        ),
        into_theirs(
            "export over a file of theirs",
            &["export", "--collection", "docs", "--force", "--output", "@/home/old"],
        ),
        into_theirs(
            "export by shard to a directory of theirs",
            &["export", "--collection", "auto", "--output", "@/home/out"],
        ),
        into_theirs(
            "restore of files into a directory of theirs",
            &["restore", "--files", "--into", "@/home/out"],
        ),
        below_theirs("init below a directory of theirs", &["init"]),
        below_theirs(
            "setup below a directory of theirs",
            &[
                "setup",
                "--yes",
                "--no-trial",
                "--force",
                "--user",
                "nobody",
                "--backup-path",
                "@/home/backups",
            ],
        ),
    ]
}

#[test]
fn whoever_swaps_links_while_root_works_leads_root_to_nothing_of_its_own() {
    need_root();
    let extent = Extent::asked_for();
    let mut tally = Tally::of("races");
    let prepared: Vec<(Race, Stage)> =
        races().into_iter().map(|race| Stage::prepared(&race).pipe(|stage| (race, stage))).collect();
    let mut cases: Vec<(usize, Call, Swap)> = Vec::new();
    for (race, (what, stage)) in prepared.iter().enumerate() {
        let own = stage.again(what);
        let watched = own.run(what, None);
        assert_eq!(watched.ran.code, Some(0), "{}: {}", what.name, watched.ran.stderr);
        // Open files do not change. Only a call with a path can be redirected.
        let theirs = |call: &Call| {
            NAMING.contains(&call.name.as_str())
                && call.pattern.starts_with(what.theirs)
                && call.pattern != what.theirs
        };
        let mut calls: Vec<Call> = watched.calls.into_iter().filter(theirs).collect();
        calls.sort();
        cases.extend(calls.iter().flat_map(|call| SWAPS.map(|swap| (race, call.clone(), swap))));
    }
    tally.add("cases", cases.len() as u64);
    let only = std::env::var("QDRANT_BACKUP_CAMPAIGN_CASE").ok();
    let shown = |(race, call, swap): &(usize, Call, Swap)| {
        format!("{}: {} #{} of {:?}: {swap:?}", prepared[*race].0.name, call.name, call.which, call.pattern)
    };
    let chosen: Vec<_> = (0..)
        .zip(cases)
        .filter(|(number, case)| match &only {
            Some(only) => shown(case).contains(only),
            // The first case of each kind is the first such call at its path in each race.
            None => extent.tries(*number, ONE_IN),
        })
        .map(|(_, case)| case)
        .collect();
    let (next, swapped, problems) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (what, stage) = &prepared[case.0];
                    match stage.again(what).race(what, &case.1, case.2) {
                        Ok(done) => drop(swapped.fetch_add(usize::from(done), Ordering::Relaxed)),
                        Err(problem) => {
                            let text = format!("{}\n  {problem}", shown(case));
                            problems.lock().expect("a list").push(text);
                        }
                    }
                }
            });
        }
    });
    let problems = problems.into_inner().expect("a list");
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), chosen.len(), problems.join("\n\n"));
    let swapped = swapped.into_inner();
    assert!(swapped * 4 > chosen.len(), "only {swapped} of {} swaps could be made", chosen.len());
    tally.add("tried", chosen.len() as u64);
    tally.add("swaps made", swapped as u64);
    tally.done();
}

/// Passes a value to a function.
trait Pipe: Sized {
    fn pipe<T>(self, next: impl FnOnce(Self) -> T) -> T {
        next(self)
    }
}

impl<T> Pipe for T {}

impl Stage {
    fn bare() -> Self {
        let snapshot = GeneratedSnapshot::new(60 << 10).points_count(10).kind(FillKind::Random);
        let server = StandIn::start(Setup::empty().collection(Collection::generated("docs", snapshot)));
        let place = Place::new(&server.url());
        fs::set_permissions(place.beside("."), Permissions::from_mode(0o755)).unwrap();
        Self { server, place }
    }

    fn prepared(race: &Race) -> Self {
        let stage = Self::bare();
        let beside = |name: &str| stage.place.beside(name);
        let put = |name: &str, text: &[u8]| atomic::write(&beside(name), 0o644, text).unwrap();
        put("app.conf", b"setting: 1\n");
        fs::create_dir(beside("home")).unwrap();
        put("home/old", b"theirs");
        give(&beside("home"));
        let bytes = GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").unwrap().read().unwrap();
        put("other.snapshot", &bytes);
        // The files that must not change: a file, and a directory with entries of all names in use.
        put("victim", b"root's own");
        fs::set_permissions(beside("victim"), Permissions::from_mode(0o600)).unwrap();
        fs::create_dir_all(beside("victims/collections/docs")).unwrap();
        for name in
            ["README.md", "manifest.json", "status.json", "repository.json", "out", ".lock", "SHA256SUMS"]
        {
            put(&format!("victims/{name}"), b"root's own");
        }
        stage.configure();
        (race.prepare)(&stage);
        stage
    }

    fn again(&self, race: &Race) -> Self {
        let stage = Self::bare();
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(self.place.beside(".")).arg(stage.place.beside("."));
        assert!(copy.status().unwrap().success(), "{} cannot be copied", race.name);
        stage.configure();
        stage
    }

    fn configure(&self) {
        self.place.configure(&CONFIGURATION.replace("@/", &self.beside()));
    }

    fn beside(&self) -> String {
        self.place.beside("").display().to_string()
    }

    fn run(&self, race: &Race, at: Option<(&Call, &Action)>) -> Watched {
        let beside = self.beside();
        let mut arguments: Vec<String> =
            race.arguments.iter().map(|text| text.replace("@/", &beside)).collect();
        if race.arguments[0] == "setup" {
            arguments.extend(["--url".to_owned(), self.server.url()]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.place.command(&arguments);
        if race.arguments[0] == "setup" {
            command = Command::new(program("qdrant-backup"));
            command.args(&arguments).args(["--config", &format!("{beside}new.yaml")]).env("TZ", "UTC");
        } else {
            command.env("QDRANT_BACKUP_PATH", self.place.beside(race.backups));
        }
        watched(Path::new(beside.trim_end_matches('/')), &command, at)
    }

    /// Whether the swap was possible. An error if root followed the link.
    fn race(&self, race: &Race, call: &Call, swap: Swap) -> Result<bool, String> {
        let before = self.roots(race);
        let beside = self.beside();
        let swap = match swap {
            Swap::File => format!("mv -T \"$AT\" \"$AT.away\"; ln -sT {beside}victim \"$AT\""),
            Swap::Directory => format!("mv -T \"$AT\" \"$AT.away\"; ln -sT {beside}victims \"$AT\""),
            Swap::Parent => {
                format!("d=$(dirname \"$AT\"); mv -T \"$d\" \"$d.away\" && ln -sT {beside}victims \"$d\"")
            }
        };
        let swap =
            format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups sh -c '{swap}' 2>/dev/null");
        let watched = self.run(race, Some((call, &Action::Meanwhile(swap))));
        let ran = &watched.ran;
        let mut problems = Vec::new();
        let after = self.roots(race);
        for (path, was) in &before {
            if after.get(path) != Some(was) {
                problems.push(format!("{path} was {was}, and is {:?}", after.get(path)));
            }
        }
        problems.extend(
            after.keys().filter(|path| !before.contains_key(*path)).map(|path| format!("{path} is new")),
        );
        if ran.code.is_none_or(|code| code == 101) || ran.stderr.contains("panicked") {
            problems.push(format!("it ends with {:?}", ran.code));
        }
        if ran.code != Some(0) && !ran.stderr.contains("ERROR: ") {
            problems.push(format!("exit code {:?} without an error", ran.code));
        }
        if problems.is_empty() {
            return Ok(!watched.answered.is_empty());
        }
        Err(format!("{}\n{}", problems.join("\n  "), ran.stderr))
    }

    /// The state of everything in the place that is neither the other user's nor the command's output.
    fn roots(&self, race: &Race) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut left = vec![self.place.beside("").components().collect::<std::path::PathBuf>()];
        let root = left[0].clone();
        while let Some(path) = left.pop() {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            let made = ["out", "new.yaml", "home", "backups"];
            if !name.is_empty() && (made.contains(&name.as_str()) || name == race.theirs) {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mut seen = format!("{:o} of {}:{}", metadata.mode(), metadata.uid(), metadata.gid());
            if metadata.is_dir() {
                left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                seen += &format!(" with {} bytes", fs::read(&path).unwrap().len());
                seen += &format!(" since {}.{}", metadata.mtime(), metadata.mtime_nsec());
            }
            found.insert(name, seen);
        }
        found
    }
}

fn backed_up(stage: &Stage) {
    stage.place.run(&["init"]).success();
    for _ in 0..3 {
        stage.place.run(&["backup"]).success();
    }
    stage.place.plant_shards("auto", "2025-07-15T14:30:00Z");
}

/// Gives everything at `path` to the other user.
fn give(path: &Path) {
    lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
    }
}
