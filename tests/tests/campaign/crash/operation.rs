//! What is recorded: a command, and what is there before it.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use e2e::crash::{Recording, Stage, Tree, record, states_after};
use e2e::directory::name;
use e2e::offsite::Nas;
use e2e::qdrant_stand_in::{
    Collection, Content, GeneratedSnapshot, GenuineSnapshot, Remembered, Setup, StandIn, StandInCluster,
    State,
};
use e2e::scene::IMPATIENT;
use e2e::{Place, Planted};
use qdrant_backup_shared::atomic;
use qdrant_backup_shared::status::ServerSnapshot;
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{Status, json_file};
use serde_json::json;

use super::invariant::snapshots;

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
    /// The same for what follows a crash, which deletes nothing.
    calm: String,
    /// What is called after a crash, before `run`: each succeeds.
    again: Vec<Vec<String>>,
    /// What lies on the server and is not ours.
    foreign: BTreeSet<(usize, String, String)>,
    /// Where copies go.
    elsewhere: Option<PathBuf>,
}

/// A recording with all that a repair needs.
pub struct Recorded {
    pub name: &'static str,
    pub recording: Recording,
    /// What the server knew, from when on.
    pub history: Vec<Remembered>,
    /// What lies on it and is not ours, as node, folder and name.
    pub foreign: BTreeSet<(usize, String, String)>,
    pub server: Server,
    pub place: Place,
    pub again: Vec<Vec<String>>,
    /// Where copies go, as it was in the end.
    pub elsewhere: Option<(PathBuf, Tree)>,
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

    fn remembered(&self) -> Vec<Remembered> {
        let mut history: Vec<Remembered> = self.nodes().iter().flat_map(StandIn::remembered).collect();
        history.sort_by_key(|(at, _)| *at);
        history
    }
}

impl Operation {
    /// Makes what is there before, and records the command.
    pub fn record(&self) -> Recorded {
        self.record_as((self.prepare)())
    }

    fn record_as(&self, prepared: Prepared) -> Recorded {
        let Prepared { server, place, configuration, calm, command, again, foreign, elsewhere } = prepared;
        place.configure(&configuration);
        server.remember();
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let (recording, ran) = record(place.path(), &place.beside("trace"), &place.command(&arguments));
        ran.success();
        let history = server.remembered();
        assert!(!recording.steps.is_empty(), "{} changes nothing", self.name);
        place.configure(&calm);
        let elsewhere = elsewhere.map(|path| (path.clone(), Tree::of(&path)));
        Recorded { name: self.name, recording, history, foreign, server, place, again, elsewhere }
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
    Prepared::new(server, place, configuration, command)
}

impl Prepared {
    fn new(server: Server, place: Place, configuration: String, command: &[&str]) -> Self {
        let calm = format!("{IMPATIENT}{KEEP}");
        let foreign = snapshots(&server.get());
        Self {
            server,
            place,
            configuration,
            calm,
            command: words(command),
            again: Vec::new(),
            foreign,
            elsewhere: None,
        }
    }

    /// As a crash in the middle of the command has left everything, and with this command: the first state after so many parts of a
    /// hundred of its changes of which `chosen` says so.
    fn crashed(self, percent: usize, command: &[&str]) -> Self {
        let operation = Operation { name: "a crash", prepare: || unreachable!("it is prepared") };
        let recorded = operation.record_as(self);
        let changes = recorded.recording.changes();
        let position = changes.len() * percent / 100;
        let mut states = Vec::new();
        states_after(&recorded.recording.before, &changes[..position], |made, tree| {
            if made == position {
                states.push(tree.clone());
            }
            ControlFlow::Continue(())
        });
        Stage::on(recorded.place.path()).show(&states[states.len() / 2]);
        let server = *recorded.servers(position).end();
        recorded.server.set(&recorded.history[server].1);
        let Recorded { foreign, server, place, .. } = recorded;
        Self { foreign, ..Self::new(server, place, format!("{IMPATIENT}{KEEP}"), command) }
    }

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

/// A server with two collections, backed up thrice, and a place for copies, perhaps with copies already.
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

/// What another tool has left.
fn foreign(place: &Place) -> PathBuf {
    let path = place.beside("minilm_general-8372720498335175-2025-07-15-14-30-00.snapshot");
    let bytes =
        GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").expect("genuine").read().expect("bytes");
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
    Operation {
        name: "backup after a crash",
        prepare: || backed_up(1, KEEP, &["backup"]).crashed(50, &["backup"]),
    },
    Operation {
        name: "run after a crash of a prune",
        prepare: || backed_up(4, "retention: {keep_last: 2}\n", &["prune"]).crashed(50, &["run"]),
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
    Operation { name: "prune", prepare: || backed_up(4, "retention: {keep_last: 2}\n", &["prune"]) },
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
    Operation {
        name: "prune of what has copies",
        prepare: || with_copies("retention: {keep_last: 2}\n", &["prune"], true),
    },
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
