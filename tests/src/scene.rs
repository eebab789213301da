//! A server and a place that backs it up, with assertions about both.

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
/// Timeouts short enough for a test; no retries, no waiting for the server, and only short waiting for its shards.
pub const IMPATIENT: &str = "qdrant:\n  retries: 0\n  wait_for_server: 0s\n  cluster_timeout: 1s\n  stall_timeout: 1s\n  request_timeout: 10s\n  create_timeout: 20s\n";

/// A server and a place.
pub struct Scene<S = StandIn> {
    /// The Qdrant that is backed up.
    pub server: S,
    /// The place with its backups.
    pub place: Place,
}

impl Scene<Server> {
    /// A server with collections that belong to this test (a real one if `QDRANT_URL` is set), and a repository.
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
    /// A scene with `server` and a repository.
    pub fn on(server: StandIn) -> Self {
        let place = Place::initialised(&server.url());
        Self { server, place }
    }

    /// The sample collections, all backed up.
    pub fn sample() -> Self {
        Self::on(StandIn::sample()).backed_up()
    }

    /// Makes a backup, then clears the server's log.
    pub fn backed_up(self) -> Self {
        self.backup().success();
        self.server.clear_requests();
        self
    }

    /// A server with `setup`, a repository, and the short timeouts of [`IMPATIENT`].
    pub fn of(setup: Setup) -> Self {
        let scene = Self::on(StandIn::start(setup));
        scene.place.configure(IMPATIENT);
        scene
    }

    /// A server with [`DOCS`] as its only collection.
    pub fn new() -> Self {
        Self::of(Setup::empty().collection(docs()))
    }

    /// The same with these faults.
    pub fn with(faults: impl IntoIterator<Item = Fault>) -> Self {
        let scene = Self::new();
        scene.server.faults(|all| faults.into_iter().for_each(|fault| all.add(fault)));
        scene
    }

    /// Replaces the `qdrant:` section of the configuration by [`IMPATIENT`] with these values changed.
    pub fn configure(&self, changes: &[(&str, &str)]) {
        self.place.configure(&configuration(changes));
    }

    /// `qdrant-backup backup`.
    pub fn backup(&self) -> Ran {
        self.place.run(&["backup"])
    }

    /// The number of requests that faults affected.
    pub fn hits(&self) -> u64 {
        self.server.faults(|faults| faults.hits())
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.server.faults(|faults| faults.clear());
    }

    /// The number of requests to create a snapshot.
    pub fn creations(&self) -> usize {
        let ends = |request: &LoggedRequest| request.path_and_query.ends_with("/snapshots");
        self.server.requests_matching("POST", "/snapshots").iter().filter(|request| ends(request)).count()
    }

    /// The number of download requests.
    pub fn downloads(&self) -> Vec<LoggedRequest> {
        self.server.requests_matching("GET", ".snapshot")
    }

    /// The names of the snapshots of [`DOCS`] on the server.
    pub fn on_server(&self) -> Vec<String> {
        self.server.snapshot_names(DOCS)
    }

    /// The backup history.
    pub fn operation(&self) -> OperationStatus {
        self.place.status().operations[&Operation::Backup].clone()
    }

    /// The status of `collection`.
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

    /// Fails the test unless [`DOCS`] has one good backup, the directory contains nothing else, and the status
    /// agrees.
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

    /// Fails the test unless the only run so far failed on [`DOCS`] with `kind` and left no files.
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

    /// Fails the test unless the server has none of our snapshots and the status records none.
    #[track_caller]
    pub fn assert_server_clean(&self) {
        assert_eq!(self.on_server(), Vec::<String>::new());
        self.assert_nothing_pending();
    }

    /// Fails the test unless the status records no snapshots of ours on the server.
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

/// [`IMPATIENT`] with these values changed.
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

/// A collection like [`DOCS`] with another name.
pub fn generated(name: &str) -> Collection {
    Collection::generated(name, GeneratedSnapshot::new(SIZE).points_count(POINTS))
}

/// The content of another tool's snapshot.
pub fn foreign() -> Content {
    Content::generated(&GeneratedSnapshot::new(SIZE).points_count(POINTS).seed(2))
}
