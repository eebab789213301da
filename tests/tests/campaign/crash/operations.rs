//! The recorded commands.

use std::fs;
use std::path::PathBuf;

use e2e::directory::name;
use e2e::offsite::Nas;
use e2e::qdrant_stand_in::{
    Collection, Content, GeneratedSnapshot, GenuineSnapshot, Setup, StandIn, StandInCluster,
};
use e2e::scene::IMPATIENT;
use e2e::{Place, Planted};
use qdrant_backup_shared::atomic;
use qdrant_backup_shared::status::ServerSnapshot;
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use serde_json::json;

use super::operation::{KEEP, Operation, Prepared, Server, words};

/// The size of the snapshots.
const SIZE: u64 = 24 << 10;
const POINTS: u64 = 10;
/// Retention that deletes all but the last two backups.
const TWO: &str = "retention: {keep_last: 2}\n";

fn collection(name: &str, seed: u64) -> Collection {
    Collection::generated(name, GeneratedSnapshot::new(SIZE).points_count(POINTS).seed(seed))
}

fn two() -> Setup {
    Setup::empty().collection(collection("docs", 1)).collection(collection("images", 2))
}

/// A server with two collections, each backed up this many times.
fn backed_up(times: usize, configuration: &str, command: &[&str]) -> Prepared {
    on(Server::One(StandIn::start(two())), times, configuration, command)
}

fn on(server: Server, times: usize, configuration: &str, command: &[&str]) -> Prepared {
    let place = Place::initialised(&server.url());
    let configuration = format!("{IMPATIENT}{configuration}");
    place.configure(&configuration);
    for _ in 0..times {
        place.run(&["backup"]).success();
    }
    Prepared::new(server, place, configuration, command)
}

/// A server with two collections, backed up three times, and an offsite place, optionally with copies.
fn with_copies(configuration: &str, command: &[&str], copied: bool) -> Prepared {
    let mut prepared = backed_up(3, KEEP, command);
    let nas = Nas::directory(&prepared.place, "nas");
    let places = |retention: &str| format!("{IMPATIENT}{retention}offsite:\n{}", nas.entry());
    prepared.place.configure(&places(KEEP));
    prepared.place.run(&["offsite", "init", "nas"]).success();
    if copied {
        prepared.place.run(&["offsite", "copy"]).success();
    }
    prepared.configuration = places(configuration);
    prepared.calm = places(KEEP);
    prepared.elsewhere = Some(nas.repository().into());
    prepared
}

fn cluster(times: usize, command: &[&str]) -> Prepared {
    let keys = [(json!("eu"), vec![1]), (json!("us"), vec![3, 4])];
    let keyed = GeneratedSnapshot::new(SIZE).points_count(30).shard_keys(&keys);
    let setup = Setup::cluster(2)
        .spread(Collection::generated("docs", GeneratedSnapshot::new(SIZE).points_count(30).shards(2)), 1)
        .spread(Collection::generated("tenants", keyed), 1);
    on(Server::Cluster(StandInCluster::start_with(setup)), times, KEEP, command)
}

/// A snapshot of another tool.
fn foreign(place: &Place) -> PathBuf {
    let path = place.beside("minilm_general-8372720498335175-2025-07-15-14-30-00.snapshot");
    let bytes =
        GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").expect("genuine").read().expect("bytes");
    atomic::write(&path, 0o644, &bytes).expect("a file");
    path
}

/// An archive without a manifest.
fn orphan(place: &Place) -> PathBuf {
    let backup = place.newest("docs");
    fs::remove_file(place.layout().manifest(&backup.collection, backup.backup_id)).expect("a manifest");
    backup.archive.clone()
}

/// Every recorded operation.
pub const ALL: &[Operation] = &[
    Operation { name: "backup", prepare: || backed_up(1, KEEP, &["backup"]) },
    Operation {
        name: "backup without compression",
        prepare: || backed_up(1, &format!("{KEEP}backup: {{compression: none}}\n"), &["backup"]),
    },
    Operation { name: "first backup", prepare: || backed_up(0, KEEP, &["backup"]) },
    Operation { name: "two backups at a time", prepare: || backed_up(1, KEEP, &["backup", "--jobs", "2"]) },
    Operation { name: "run that prunes", prepare: || backed_up(2, TWO, &["run"]) },
    Operation {
        name: "backup after a crash",
        prepare: || backed_up(1, KEEP, &["backup"]).crashed(&["backup"]),
    },
    Operation {
        name: "run after a crash of a prune",
        prepare: || backed_up(4, TWO, &["prune"]).crashed(&["run"]),
    },
    Operation { name: "backup by shards", prepare: || cluster(1, &["backup"]) },
    Operation {
        name: "verify",
        prepare: || {
            let prepared = backed_up(2, KEEP, &["verify", "--backup", "all"]);
            prepared.place.run(&["verify"]).success();
            prepared
        },
    },
    Operation { name: "prune", prepare: || backed_up(4, TWO, &["prune"]) },
    Operation {
        name: "backup of configuration files",
        prepare: || {
            let mut prepared = backed_up(1, KEEP, &["backup"]);
            let file = foreign(&prepared.place);
            prepared.configuration.push_str(&format!("backup: {{include_files: [{}]}}\n", file.display()));
            prepared.place.configure(&prepared.configuration);
            prepared.place.run(&["backup"]).success();
            prepared
        },
    },
    Operation { name: "copy to another place", prepare: || with_copies(KEEP, &["offsite", "copy"], false) },
    Operation { name: "prune of what has copies", prepare: || with_copies(TWO, &["prune"], true) },
    Operation {
        name: "prune of bad backups",
        prepare: || {
            let prepared = backed_up(1, KEEP, &["prune", "--bad", "--yes"]);
            prepared.place.plant("docs", "2025-07-02T00:00:00Z", Planted::Failed);
            prepared.place.plant("docs", "2025-07-03T00:00:00Z", Planted::Incomplete);
            prepared
        },
    },
    Operation {
        name: "prune of orphans",
        prepare: || {
            let prepared = backed_up(2, KEEP, &["prune", "--orphans", "--yes"]);
            orphan(&prepared.place);
            prepared
        },
    },
    Operation {
        name: "hold",
        prepare: || {
            let mut prepared = backed_up(1, KEEP, &[]);
            let id = prepared.place.ids("docs").remove(0);
            prepared.command = words(&["hold", &id, "-c", "docs"]);
            prepared
        },
    },
    Operation {
        name: "unhold",
        prepare: || {
            let mut prepared = backed_up(1, KEEP, &[]);
            let id = prepared.place.ids("docs").remove(0);
            prepared.place.run(&["hold", &id, "-c", "docs"]).success();
            prepared.command = words(&["unhold", &id, "-c", "docs"]);
            prepared
        },
    },
    Operation {
        name: "import",
        prepare: || {
            let mut prepared = backed_up(2, KEEP, &[]);
            let files = [foreign(&prepared.place), orphan(&prepared.place)];
            let [foreign, orphan] = files.map(|path| path.to_string_lossy().into_owned());
            prepared.command = words(&["import", &foreign, &orphan]);
            prepared
        },
    },
    Operation {
        name: "restore",
        prepare: || {
            let command = ["restore", "-c", "docs", "--as", "copy"];
            backed_up(1, KEEP, &command).again(&[&command[..], &["--force", "--no-safety-backup"]].concat())
        },
    },
    Operation {
        name: "restore by shards",
        prepare: || {
            let command = ["restore", "-c", "docs", "--as", "copy"];
            cluster(1, &command).again(&command)
        },
    },
    Operation {
        name: "drill",
        prepare: || {
            let drill = ["drill", "--on-source"];
            backed_up(1, KEEP, &drill).again(&drill)
        },
    },
    Operation {
        name: "init",
        prepare: || {
            let server = Server::One(StandIn::start(two()));
            let place = Place::new(&server.url());
            atomic::create_directory(place.path()).expect("a directory");
            Prepared::new(server, place, IMPATIENT.to_owned(), &["init"]).again(&["init"])
        },
    },
    Operation {
        name: "retire",
        prepare: || {
            let prepared = backed_up(2, KEEP, &["prune", "--retire", "images", "--yes"]);
            prepared.server.nodes()[0].state(|state| drop(state.collections.remove("images")));
            prepared
        },
    },
    Operation {
        name: "accept-source",
        prepare: || {
            let prepared = backed_up(1, KEEP, &["accept-source"]);
            prepared.server.nodes()[0].set_peer_id(42);
            prepared.place.run(&["backup"]).success();
            prepared.again(&["accept-source"])
        },
    },
    Operation {
        name: "prune of leftovers",
        prepare: || {
            let prepared = backed_up(1, KEEP, &["prune", "--server-leftovers", "--yes"]);
            let file = "docs-1-2025-07-15-14-30-00.snapshot";
            let content = Content::bytes(file.as_bytes().to_vec());
            let checksum = content.sha256().parse().expect("a digest");
            prepared.server.nodes()[0].add_snapshot("docs", file, content);
            prepared.tell(|status, url| {
                status.suspected_leftovers.push(ServerSnapshot {
                    collection: name("docs"),
                    shard_id: None,
                    node_url: url.to_owned(),
                    name: file.to_owned(),
                    checksum: Some(checksum),
                });
            })
        },
    },
    Operation {
        name: "verify that finds damage",
        prepare: || {
            let prepared = backed_up(2, KEEP, &["verify", "--backup", "all"]);
            let id = prepared.place.newest("docs").backup_id;
            prepared.place.verify("docs", id, &[(Level::Archive, CheckOutcome::Failed)]);
            prepared
        },
    },
];
