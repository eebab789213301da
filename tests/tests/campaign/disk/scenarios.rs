//! The commands that run while the disk fails.

use e2e::offsite::Nas;
use e2e::qdrant_stand_in::{Collection, FillKind, GeneratedSnapshot, GenuineSnapshot, Setup};
use qdrant_backup_shared::atomic;

use super::stage::Stage;

/// A command with its initial state.
pub struct Scenario {
    pub name: &'static str,
    /// The program's arguments. `@/` stands for the directory next to the backups, `%` for the newest backup.
    pub arguments: &'static [&'static str],
    pub is_cluster: bool,
    /// Whether it is a run that the status reports.
    pub is_run: bool,
    /// Whether it succeeds even if the status cannot be written, as a restore must.
    pub status_may_lack: bool,
    configuration: &'static str,
    /// Creates the initial state.
    prepare: fn(&Stage),
    /// Assertions after a success, besides those about the listed backups.
    pub promise: fn(&Stage),
}

const IMPATIENT: &str =
    "qdrant:\n  retries: 0\n  wait_for_server: 0s\n  cluster_timeout: 1s\nretention:\n  keep_last: 9\n";
const KEEPS_THREE: &str =
    "qdrant:\n  retries: 0\n  wait_for_server: 0s\n  cluster_timeout: 1s\nretention:\n  keep_last: 3\n";
const WITH_FILES: &str = "qdrant:\n  retries: 0\n  wait_for_server: 0s\nretention:\n  keep_last: 9\nbackup:\n  include_files: [\"@/app.conf\"]\n";
/// The same format as [`Nas`] writes.
const WITH_A_PLACE: &str = "qdrant:\n  retries: 0\n  wait_for_server: 0s\nretention:\n  keep_last: 9\noffsite:\n  - name: nas\n    repository: \"@/restic-nas\"\n    password_file: \"@/password-nas\"\n";

const COLLECTION: Scenario = Scenario {
    name: "backup",
    arguments: &["backup"],
    is_cluster: false,
    is_run: true,
    status_may_lack: false,
    configuration: IMPATIENT,
    prepare: |stage| backed_up(stage, 1),
    promise: |_| (),
};

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    vec![
        COLLECTION,
        Scenario {
            name: "first backup, with files",
            configuration: WITH_FILES,
            prepare: first,
            ..COLLECTION
        },
        Scenario { name: "backup by shard", is_cluster: true, ..COLLECTION },
        Scenario {
            name: "run with retention",
            arguments: &["run"],
            configuration: KEEPS_THREE,
            prepare: |stage| backed_up(stage, 3),
            ..COLLECTION
        },
        Scenario {
            name: "verify",
            arguments: &["verify", "--backup", "all"],
            prepare: |stage| backed_up(stage, 2),
            promise: |stage| {
                let unverified =
                    |name: &&str| stage.place.backups(name).iter().any(|one| one.verification.is_none());
                assert_eq!(
                    ["docs", "notes"].iter().find(|name| unverified(name)),
                    None,
                    "not all are verified"
                );
            },
            ..COLLECTION
        },
        Scenario {
            name: "prune",
            arguments: &["prune", "--yes"],
            configuration: KEEPS_THREE,
            prepare: |stage| {
                backed_up(stage, 4);
                let newest = stage.place.ids("docs").remove(0);
                stage.place.run(&["verify", "--backup", &newest]).success();
            },
            ..COLLECTION
        },
        Scenario {
            name: "import",
            arguments: &["import", "--collection", "other", "@/other.snapshot"],
            is_run: false,
            prepare: |stage| {
                backed_up(stage, 1);
                let bytes =
                    GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").unwrap().read().unwrap();
                atomic::write(&stage.place.beside("other.snapshot"), 0o644, &bytes).unwrap();
            },
            ..COLLECTION
        },
        Scenario {
            name: "restore",
            arguments: &["restore", "--collection", "docs", "--force"],
            status_may_lack: true,
            ..COLLECTION
        },
        Scenario {
            name: "restore by shard",
            arguments: &["restore", "--collection", "docs", "--as", "docs2"],
            is_cluster: true,
            status_may_lack: true,
            ..COLLECTION
        },
        Scenario { name: "drill", arguments: &["drill", "--on-source"], ..COLLECTION },
        Scenario {
            name: "export",
            arguments: &["export", "--collection", "docs", "--output", "@/exported"],
            is_run: false,
            promise: |stage| {
                let exported = std::fs::metadata(stage.place.beside("exported")).unwrap().len();
                assert_eq!(exported, stage.place.newest("docs").manifest.archives[0].snapshot.size_bytes);
            },
            ..COLLECTION
        },
        Scenario {
            name: "hold",
            arguments: &["hold", "%", "--collection", "docs"],
            is_run: false,
            promise: |stage| {
                let held = stage.place.files().iter().any(|name| name.ends_with(".hold.json"));
                assert!(held, "no backup is on hold");
            },
            ..COLLECTION
        },
        Scenario {
            name: "copy to another place",
            arguments: &["offsite", "copy"],
            configuration: WITH_A_PLACE,
            prepare: |stage| {
                Nas::directory(&stage.place, "nas");
                backed_up(stage, 1);
                stage.place.run(&["offsite", "init", "nas"]).success();
            },
            promise: |stage| {
                let uncopied = |name: &&str| stage.place.newest(name).copies.is_empty();
                assert_eq!(["docs", "notes"].iter().find(|name| uncopied(name)), None, "not all are copied");
            },
            ..COLLECTION
        },
        Scenario {
            name: "init",
            arguments: &["init"],
            is_run: false,
            prepare: |_| (),
            promise: |stage| assert!(stage.place.path().join("repository.json").exists()),
            ..COLLECTION
        },
    ]
}

impl Scenario {
    /// A server and a place without backups.
    fn bare(&self) -> Stage {
        let snapshot =
            |seed| GeneratedSnapshot::new(100 << 10).points_count(10).seed(seed).kind(FillKind::Random);
        let setup = if self.is_cluster {
            let snapshot = snapshot(1).shards(3);
            Setup::cluster(2).spread(Collection::generated("docs", snapshot), 1)
        } else {
            Setup::empty()
                .collection(Collection::generated("docs", snapshot(1)))
                .collection(Collection::generated("notes", snapshot(2)))
        };
        Stage::empty(setup, self.is_cluster)
    }

    /// A stage in the initial state of the scenario.
    pub fn prepared(&self) -> Stage {
        let stage = self.bare();
        self.configure(&stage);
        (self.prepare)(&stage);
        stage
    }

    /// A copy of `prepared`.
    pub fn again(&self, prepared: &Stage) -> Stage {
        let stage = self.bare();
        stage.copy(prepared);
        self.configure(&stage);
        stage
    }

    /// The command's arguments.
    pub fn arguments(&self, stage: &Stage) -> Vec<String> {
        let beside = stage.place.beside("").display().to_string();
        let newest = || stage.place.ids("docs").pop().expect("a backup");
        let filled = |text: &&str| if *text == "%" { newest() } else { text.replace("@/", &beside) };
        self.arguments.iter().map(filled).collect()
    }

    fn configure(&self, stage: &Stage) {
        let beside = stage.place.beside("").display().to_string();
        stage.place.configure(&self.configuration.replace("@/", &beside));
    }
}

fn first(stage: &Stage) {
    stage.place.run(&["init"]).success();
    atomic::write(&stage.place.beside("app.conf"), 0o644, b"setting: 1\n").unwrap();
}

fn backed_up(stage: &Stage, times: usize) {
    stage.place.run(&["init"]).success();
    for _ in 0..times {
        stage.place.run(&["backup"]).success();
    }
}
