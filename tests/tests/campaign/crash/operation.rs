//! What is recorded: a command, and what is there before it.

use std::fs;
use std::path::PathBuf;

use e2e::crash::record;
use e2e::directory::name;
use e2e::qdrant_stand_in::{Collection, Content, GeneratedSnapshot, GenuineSnapshot, Setup, StandIn, StandInCluster, State};
use e2e::scene::IMPATIENT;
use e2e::{Place, Planted};
use qdrant_backup_shared::atomic;
use qdrant_backup_shared::status::ServerSnapshot;
use qdrant_backup_shared::{Status, json_file};
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use serde_json::json;

use super::{History, Record};

/// The size of the snapshots.
const SIZE: u64 = 24 << 10;
const POINTS: u64 = 10;
/// Retention that deletes nothing.
const KEEP: &str = "retention: {keep_last: 99}\n";

/// One command of the program.
pub struct Operation {
    /// As the tally and failures call it.
    pub name: &'static str,
    prepare: fn() -> Prepared,
}

/// What there is before the command.
struct Prepared {
    server: Server,
    place: Place,
    /// Its configuration while it is recorded.
    configuration: String,
    command: Vec<String>,
    /// What is called after a crash, before `run`: each succeeds.
    again: Vec<Vec<String>>,
}

/// A recording with all that a repair needs.
pub struct Recorded {
    pub name: &'static str,
    pub recording: Record,
    /// What the server knew, from when on.
    pub history: History,
    pub server: Server,
    pub place: Place,
    pub again: Vec<Vec<String>>,
}

/// The Qdrant, one server or a cluster.
pub enum Server {
    One(StandIn),
    Cluster(StandInCluster),
}

impl Server {
    fn nodes(&self) -> &[StandIn] {
        match self {
            Self::One(server) => std::slice::from_ref(server),
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }

    fn url(&self) -> String {
        self.nodes()[0].url()
    }

    /// Lets it be as it was.
    pub fn set(&self, state: &State) {
        self.nodes()[0].state(|now| *now = state.clone());
    }

    /// What it knows now.
    pub fn get(&self) -> State {
        self.nodes()[0].state(|now| now.clone())
    }

    fn remember(&self) {
        self.nodes().iter().for_each(StandIn::remember);
    }

    fn remembered(&self) -> History {
        let mut history: History = self.nodes().iter().flat_map(StandIn::remembered).collect();
        history.sort_by_key(|(at, _)| *at);
        history
    }
}

impl Operation {
    /// Makes what is there before, and records the command.
    pub fn record(&self) -> Recorded {
        let Prepared { server, place, configuration, command, again } = (self.prepare)();
        place.configure(&configuration);
        server.remember();
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let (recording, ran) = record(place.path(), &place.beside("trace"), &place.command(&arguments));
        ran.success();
        let history = server.remembered();
        assert!(!recording.steps.is_empty(), "{} changes nothing", self.name);
        place.configure(&format!("{IMPATIENT}{KEEP}"));
        Recorded { name: self.name, recording, history, server, place, again }
    }
}

fn collection(name: &str, seed: u64) -> Collection {
    Collection::generated(name, GeneratedSnapshot::new(SIZE).points_count(POINTS).seed(seed))
}

fn two() -> Setup {
    Setup::empty().collection(collection("docs", 1)).collection(collection("images", 2))
}

fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|word| (*word).to_owned()).collect()
}

/// A server with two collections, each backed up so often.
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
    Prepared { server, place, configuration, command: words(command), again: Vec::new() }
}

impl Prepared {
    fn again(mut self, command: &[&str]) -> Self {
        self.again.push(words(command));
        self
    }

    /// With what was said of the status changed.
    fn tell(self, change: impl FnOnce(&mut Status, &str)) -> Self {
        let path = self.place.layout().status_file();
        let mut status: Status = json_file::read(&path).expect("a status");
        change(&mut status, &format!("{}/", self.server.url()));
        json_file::write(&path, &status).expect("it can be written");
        self
    }
}

fn cluster(times: usize, command: &[&str]) -> Prepared {
    let keys = [(json!("eu"), vec![1]), (json!("us"), vec![3, 4])];
    let keyed = GeneratedSnapshot::new(SIZE).points_count(30).shard_keys(&keys);
    let setup = Setup::cluster(2)
        .spread(Collection::generated("docs", GeneratedSnapshot::new(SIZE).points_count(30).shards(2)), 1)
        .spread(Collection::generated("tenants", keyed), 1);
    on(Server::Cluster(StandInCluster::start_with(setup)), times, KEEP, command)
}

/// What another tool has left.
fn foreign(place: &Place) -> PathBuf {
    let path = place.beside("minilm_general-8372720498335175-2025-07-15-14-30-00.snapshot");
    let bytes = GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").expect("genuine").read().expect("bytes");
    atomic::write(&path, 0o644, &bytes).expect("a file");
    path
}

/// An archive that has lost its manifest.
fn orphan(place: &Place) -> PathBuf {
    let backup = place.newest("docs");
    fs::remove_file(place.layout().manifest(&backup.collection, backup.backup_id)).expect("a manifest");
    backup.archive.clone()
}

/// Every operation that is recorded.
pub const ALL: &[Operation] = &[
    Operation { name: "backup", prepare: || backed_up(1, KEEP, &["backup"]) },
    Operation {
        name: "backup without compression",
        prepare: || backed_up(1, &format!("{KEEP}backup: {{compression: none}}\n"), &["backup"]),
    },
    Operation { name: "first backup", prepare: || backed_up(0, KEEP, &["backup"]) },
    Operation { name: "two backups at a time", prepare: || backed_up(1, KEEP, &["backup", "--jobs", "2"]) },
    Operation { name: "run that prunes", prepare: || backed_up(2, "retention: {keep_last: 2}\n", &["run"]) },
    Operation { name: "backup by shards", prepare: || cluster(1, &["backup"]) },
    Operation {
        name: "verify",
        prepare: || {
            let prepared = backed_up(2, KEEP, &["verify", "--backup", "all"]);
            prepared.place.run(&["verify"]).success();
            prepared
        },
    },
    Operation { name: "prune", prepare: || backed_up(4, "retention: {keep_last: 2}\n", &["prune"]) },
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
            backed_up(1, KEEP, &command)
        },
    },
    Operation {
        name: "restore by shards",
        prepare: || {
            let command = ["restore", "-c", "docs", "--as", "copy"];
            cluster(1, &command)
        },
    },
    Operation {
        name: "drill",
        prepare: || backed_up(1, KEEP, &["drill", "--on-source"]),
    },
    Operation {
        name: "init",
        prepare: || {
            let server = Server::One(StandIn::start(two()));
            let place = Place::new(&server.url());
            atomic::create_directory(place.path()).expect("a directory");
            let configuration = IMPATIENT.to_owned();
            Prepared { server, place, configuration, command: words(&["init"]), again: Vec::new() }.again(&["init"])
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
