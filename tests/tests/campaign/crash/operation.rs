//! What is recorded: a command and its initial state.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, RangeInclusive};
use std::path::PathBuf;

use e2e::Place;
use e2e::crash::{Recording, Stage, Tree, record, states_after};
use e2e::qdrant_stand_in::{Node, Remembered, StandIn, StandInCluster, State};
use e2e::scene::IMPATIENT;
use qdrant_backup_shared::{Status, json_file};

/// Retention that deletes nothing.
pub const KEEP: &str = "retention: {keep_last: 99}\n";

/// One command of the program.
pub struct Operation {
    /// The name in failure messages.
    pub name: &'static str,
    /// Creates the initial state.
    pub prepare: fn() -> Prepared,
}

/// The state before the command.
pub struct Prepared {
    pub server: Server,
    pub place: Place,
    /// The configuration for the recorded command.
    pub configuration: String,
    /// The configuration for runs after a crash. It deletes nothing.
    pub calm: String,
    pub command: Vec<String>,
    /// Commands that must succeed after a crash, before `run`.
    again: Vec<Vec<String>>,
    /// Snapshots on the server that are not ours.
    foreign: BTreeSet<(usize, String, String)>,
    /// The offsite place.
    pub elsewhere: Option<PathBuf>,
}

/// A recording, with everything that a repair needs.
pub struct Recorded {
    pub name: &'static str,
    pub recording: Recording,
    /// The states of the server, each with its start time.
    pub history: Vec<Remembered>,
    /// Snapshots on the server that are not ours, as node, folder and name.
    pub foreign: BTreeSet<(usize, String, String)>,
    pub server: Server,
    pub place: Place,
    pub again: Vec<Vec<String>>,
    /// The offsite place in its final state.
    pub elsewhere: Option<(PathBuf, Tree)>,
}

/// A single server or a cluster.
pub enum Server {
    One(StandIn),
    Cluster(StandInCluster),
}

impl Server {
    /// Its nodes. The program is configured with the first.
    pub fn nodes(&self) -> &[StandIn] {
        match self {
            Self::One(server) => std::slice::from_ref(server),
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.nodes()[0].url()
    }

    /// Restores a state.
    pub fn set(&self, state: &State) {
        self.nodes()[0].state(|now| *now = state.clone());
    }

    /// The current state.
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
    /// Creates the initial state and records the command.
    pub fn record(&self) -> Recorded {
        (self.prepare)().record(self.name)
    }
}

impl Prepared {
    /// A server without snapshots of ours.
    pub fn new(server: Server, place: Place, configuration: String, command: &[&str]) -> Self {
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

    /// Records the command.
    fn record(self, name: &'static str) -> Recorded {
        let Self { server, place, configuration, calm, command, again, foreign, elsewhere } = self;
        place.configure(&configuration);
        server.remember();
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let (recording, ran) = record(place.path(), &place.beside("trace"), &place.command(&arguments));
        ran.success();
        let history = server.remembered();
        assert!(!recording.steps.is_empty(), "{name} changes nothing");
        place.configure(&calm);
        let elsewhere = elsewhere.map(|path| (path.clone(), Tree::of(&path)));
        Recorded { name, recording, history, foreign, server, place, again, elsewhere }
    }

    /// The state after a crash in the middle of this command, with `command` as the next one. If anything of ours was
    /// ever on the server, the crash is at such a time.
    pub fn crashed(self, command: &[&str]) -> Self {
        let recorded = self.record("the command before the crash");
        let changes = recorded.recording.changes();
        let server = |position: usize| &recorded.history[*recorded.servers(position).end()].1;
        let mut positions: Vec<usize> = (0..=changes.len()).collect();
        if positions.iter().any(|position| !recorded.ours(server(*position)).is_empty()) {
            positions.retain(|position| !recorded.ours(server(*position)).is_empty());
        }
        let position = positions[positions.len() / 2];
        let mut states = Vec::new();
        states_after(&recorded.recording.before, &changes[..position], |made, tree| {
            if made == position {
                states.push(tree.clone());
            }
            ControlFlow::Continue(())
        });
        Stage::on(recorded.place.path()).show(&states[states.len() / 2]);
        recorded.server.set(server(position));
        let Recorded { foreign, server, place, .. } = recorded;
        Self { foreign, ..Self::new(server, place, format!("{IMPATIENT}{KEEP}"), command) }
    }

    /// Adds a command that must succeed after a crash.
    pub fn again(mut self, command: &[&str]) -> Self {
        self.again.push(words(command));
        self
    }

    /// Changes the status.
    pub fn tell(self, change: impl FnOnce(&mut Status, &str)) -> Self {
        let path = self.place.layout().status_file();
        let mut status: Status = json_file::read(&path).expect("a status");
        change(&mut status, &format!("{}/", self.server.url()));
        json_file::write(&path, &status).expect("it can be written");
        self
    }
}

impl Recorded {
    /// The possible states of the server after this many changes, by index in the history.
    pub fn servers(&self, position: usize) -> RangeInclusive<usize> {
        let at = |position: usize| self.recording.steps.get(position).map(|step| step.at);
        let last_before = |at: i64| {
            self.history.partition_point(|(time, _)| time.timestamp_micros() <= at).saturating_sub(1)
        };
        let first = position.checked_sub(1).and_then(at).map_or(0, last_before);
        first..=at(position).map_or(self.history.len() - 1, last_before).max(first)
    }

    /// Snapshots of ours on the server, as node, folder and name.
    pub fn ours(&self, server: &State) -> BTreeSet<(usize, String, String)> {
        &snapshots(server) - &self.foreign
    }
}

/// Every snapshot on the server, as node, folder and name.
pub fn snapshots(server: &State) -> BTreeSet<(usize, String, String)> {
    let of_node = |(node, on_node): (usize, &Node)| {
        let files = on_node.snapshots.iter().flat_map(move |(folder, files)| {
            files.iter().map(move |file| (node, folder.clone(), file.name.clone()))
        });
        files.collect::<Vec<_>>()
    };
    server.nodes.iter().enumerate().flat_map(of_node).collect()
}

/// Splits a command line into words.
pub fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|word| (*word).to_owned()).collect()
}
