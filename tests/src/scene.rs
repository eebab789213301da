//! A server and a place that backs it up, and what a test asks about both afterwards.

use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::status::{CollectionStatus, OperationStatus};

use crate::directory::name;
use crate::place::{Place, Ran};
use crate::qdrant_stand_in::{Collection, Content, Fault, GeneratedSnapshot, LoggedRequest, Setup, StandIn};
use crate::server::Server;

/// The collection of most scenes.
pub const DOCS: &str = "docs";
/// The points in it.
pub const POINTS: u64 = 10;
/// The size of its snapshots.
pub const SIZE: u64 = 204_800;
/// Time-outs short enough for a test; no retries, and no waiting for the server or, for long, for its shards.
pub const IMPATIENT: &str = "qdrant:\n  retries: 0\n  wait_for_server: 0s\n  cluster_timeout: 1s\n  stall_timeout: 1s\n  request_timeout: 10s\n  create_timeout: 20s\n";

/// A server and a place.
pub struct Scene<S = StandIn> {
    /// The Qdrant that is backed up.
    pub server: S,
    /// Where its backups are.
    pub place: Place,
}

impl Scene<Server> {
    /// A server with collections of the test's own, a real one where `QDRANT_URL` is set, and a repository.
    pub fn with_samples() -> Self {
        let server = Server::with_samples();
        let place = Place::initialised(&server.url());
        Self { server, place }
    }

    /// `qdrant-backup backup` of the test's own collections.
    pub fn backup(&self) -> Ran {
        self.place.run(&[&["backup"], &self.server.selection()[..]].concat())
    }
}

impl Scene {
    /// `server` and a repository.
    pub fn on(server: StandIn) -> Self {
        let place = Place::initialised(&server.url());
        Self { server, place }
    }

    /// The genuine collections, all backed up.
    pub fn sample() -> Self {
        Self::on(StandIn::sample()).backed_up()
    }

    /// The same after a backup, with nothing in the server's log.
    pub fn backed_up(self) -> Self {
        self.backup().success();
        self.server.clear_requests();
        self
    }

    /// A server as `setup` says, a repository, and no patience: [`IMPATIENT`].
    pub fn of(setup: Setup) -> Self {
        let scene = Self::on(StandIn::start(setup));
        scene.place.configure(IMPATIENT);
        scene
    }

    /// A server whose one collection is [`DOCS`].
    pub fn new() -> Self {
        Self::of(Setup::empty().collection(docs()))
    }

    /// The same with these faults.
    pub fn with(faults: impl IntoIterator<Item = Fault>) -> Self {
        let scene = Self::new();
        scene.server.faults(|all| faults.into_iter().for_each(|fault| all.add(fault)));
        scene
    }

    /// Replaces the `qdrant:` section of the configuration by [`IMPATIENT`] with these lines instead of its own.
    pub fn configure(&self, changes: &[(&str, &str)]) {
        self.place.configure(&configuration(changes));
    }

    /// `qdrant-backup backup`.
    pub fn backup(&self) -> Ran {
        self.place.run(&["backup"])
    }

    /// On how many requests the faults had their effect.
    pub fn hits(&self) -> u64 {
        self.server.faults(|faults| faults.hits())
    }

    /// Everything is normal again.
    pub fn heal(&self) {
        self.server.faults(|faults| faults.clear());
    }

    /// How often a snapshot was asked for.
    pub fn creations(&self) -> usize {
        let ends = |request: &LoggedRequest| request.path_and_query.ends_with("/snapshots");
        self.server.requests_matching("POST", "/snapshots").iter().filter(|request| ends(request)).count()
    }

    /// The downloads that were begun.
    pub fn downloads(&self) -> Vec<LoggedRequest> {
        self.server.requests_matching("GET", ".snapshot")
    }

    /// The names of the snapshots of [`DOCS`] on the server.
    pub fn on_server(&self) -> Vec<String> {
        self.server.snapshot_names(DOCS)
    }

    /// The history of backups.
    pub fn operation(&self) -> OperationStatus {
        self.place.status().operations[&Operation::Backup].clone()
    }

    /// What the status says of `collection`.
    pub fn collection(&self, collection: &str) -> CollectionStatus {
        self.place.status().collections[&name(collection)].clone()
    }

    /// The manifest of the only backup of [`DOCS`].
    #[track_caller]
    pub fn manifest(&self) -> Manifest {
        let mut backups = self.place.backups(DOCS);
        assert_eq!(backups.len(), 1);
        backups.remove(0).manifest
    }

    /// Fails the test unless [`DOCS`] is well backed up once, nothing else lies in the directory, and the status says so.
    #[track_caller]
    pub fn assert_backed_up(&self) {
        assert_eq!(self.place.prove(), 1);
        assert_eq!(self.place.stored().len(), 2, "{:?}", self.place.stored());
        assert_eq!(self.place.temporary(), Vec::<String>::new());
        let status = self.place.status();
        assert_eq!(status.current_run, None);
        let collection = self.collection(DOCS);
        assert_eq!((collection.last_outcome, collection.failure), (Some(Outcome::Success), None));
        assert_eq!(collection.last_backup_id, Some(self.manifest().backup_id));
        let operation = self.operation();
        assert_eq!(operation.last_outcome, Some(Outcome::Success));
        assert!(operation.failures.is_empty());
    }

    /// Fails the test unless the only run so far failed on [`DOCS`] with `kind` and left nothing in the directory.
    #[track_caller]
    pub fn assert_failed(&self, kind: FailureKind) {
        assert_eq!(self.place.stored(), Vec::<String>::new());
        assert_eq!(self.place.temporary(), Vec::<String>::new());
        let status = self.place.status();
        assert_eq!(status.current_run, None);
        let collection = self.collection(DOCS);
        assert_eq!(collection.last_outcome, Some(Outcome::Failed));
        assert_eq!(collection.last_success_at, None);
        assert_eq!(collection.failure.map(|failure| failure.kind), Some(kind.clone()));
        let operation = self.operation();
        assert_eq!(operation.last_outcome, Some(Outcome::Failed));
        assert_eq!((operation.failures_total, operation.consecutive_failures), (1, 1));
        assert_eq!(operation.failures.into_iter().collect::<Vec<_>>(), [(kind, 1)]);
    }

    /// Fails the test unless nothing of ours is on the server, and the status knows of nothing.
    #[track_caller]
    pub fn assert_server_clean(&self) {
        assert_eq!(self.on_server(), Vec::<String>::new());
        self.assert_nothing_pending();
    }

    /// Fails the test unless the status knows of nothing of ours on the server.
    #[track_caller]
    pub fn assert_nothing_pending(&self) {
        let status = self.place.status();
        assert_eq!(status.undeleted_snapshots, []);
        assert_eq!(status.suspected_leftovers, []);
        assert_eq!(status.unanswered_creations, []);
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

/// [`IMPATIENT`] with these lines instead of its own.
pub fn configuration(changes: &[(&str, &str)]) -> String {
    let mut lines: Vec<String> = IMPATIENT.lines().map(str::to_owned).collect();
    for (key, value) in changes {
        lines.retain(|line| !line.trim_start().starts_with(&format!("{key}:")));
        lines.push(format!("  {key}: {value}"));
    }
    lines.join("\n") + "\n"
}

/// The collection [`DOCS`].
pub fn docs() -> Collection {
    generated(DOCS)
}

/// A collection like [`DOCS`] by another name.
pub fn generated(name: &str) -> Collection {
    Collection::generated(name, GeneratedSnapshot::new(SIZE).points_count(POINTS))
}

/// What another tool's snapshot holds.
pub fn foreign() -> Content {
    Content::generated(&GeneratedSnapshot::new(SIZE).points_count(POINTS).seed(2))
}
