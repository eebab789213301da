//! The initial state of a job, created once and copied for each case.

use std::fs;
use std::path::Path;

use e2e::proxy::Seen;
use e2e::qdrant_stand_in::{Setup, State};
use qdrant_backup_shared::atomic;

use super::jobs::Job;
use super::world::{Before, DOCS, KEY, OTHER, POINTS, World};

/// A server's state and a backup directory.
pub struct Template {
    state: State,
    directory: tempfile::TempDir,
    configuration: String,
    /// The URL of each node, as the program saw it.
    urls: Vec<String>,
    /// The requests of the job without a fault.
    pub requests: Vec<Seen>,
    /// The state when the job begins.
    pub before: Before,
}

impl Template {
    /// Creates the initial state of a job, and runs the job once.
    pub fn of(job: &Job) -> Self {
        let setup = if job.is_of_cluster { Setup::cluster(2) } else { Setup::empty() };
        let world = World::on(setup.api_key(KEY), job.configuration);
        for name in [DOCS, OTHER] {
            world.make(name, if job.is_of_cluster { 2 } else { 1 });
        }
        world.run(&["init"]).success();
        let points = world.nodes.points(0, DOCS);
        assert_eq!(points.len() as u64, POINTS);
        (job.prepare)(&world);
        let ours = world.known();
        let foreign = world.snapshots().into_iter().filter(|snapshot| !ours.explains(snapshot)).collect();
        let directory = tempfile::tempdir().expect("a directory");
        copy(world.place.path(), directory.path(), &[]);
        let mut template = Self {
            state: world.state(),
            directory,
            configuration: world.configuration.clone(),
            urls: world.proxy.urls(),
            requests: Vec::new(),
            before: Before { foreign, now: world.points(DOCS), points },
        };
        let world = template.world();
        let ran = world.run(&(job.command)()).code(job.code);
        (job.done)(&world, &template.before, &ran);
        template.requests = world.proxy.seen();
        println!("{}: {} requests", job.name, template.requests.len());
        template
    }

    /// A copy of the initial state with a new server.
    pub fn world(&self) -> World {
        let setup = Setup { state: self.state.clone(), ..Setup::empty() };
        let world = World::on(setup, &self.configuration);
        let moved: Vec<_> = self.urls.iter().cloned().zip(world.proxy.urls()).collect();
        fs::create_dir_all(world.place.path()).expect("a directory");
        copy(self.directory.path(), world.place.path(), &moved);
        world
    }
}

/// Copies a directory. Replaces the server's URL in its files by the new one.
fn copy(from: &Path, to: &Path, moved: &[(String, String)]) {
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        let permissions = entry.metadata().expect("metadata").permissions();
        if entry.file_type().expect("a type").is_dir() {
            fs::create_dir_all(&target).expect("a directory");
            copy(&entry.path(), &target, moved);
        } else {
            let mut bytes = fs::read(entry.path()).expect("a file");
            if let Ok(mut text) = String::from_utf8(bytes.clone()) {
                moved.iter().for_each(|(old, new)| text = text.replace(old, new));
                bytes = text.into_bytes();
            }
            atomic::write(&target, 0o600, &bytes).expect("a copy");
        }
        fs::set_permissions(&target, permissions).expect("permissions");
    }
}
