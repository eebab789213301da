//! The main job, on a stand-in or on a real server.

use e2e::{Place, Server};
use qdrant_backup_shared::manifest::ServerChecksum;
use qdrant_backup_shared::operation::{Operation, Outcome};

#[test]
fn a_backup_is_whole_recorded_and_leaves_nothing_on_the_server() {
    let server = Server::with_samples();
    let place = Place::initialised(&server.url());
    let mut arguments = vec!["backup"];
    arguments.extend(server.selection());

    place.run(&arguments).success().says(&["Backup succeeded: 3 of 3 collections"]);

    assert_eq!(place.prove(), 3);
    let status = place.status();
    assert_eq!(status.operations[&Operation::Backup].last_outcome, Some(Outcome::Success));
    assert_eq!(status.current_run, None);
    assert!(status.undeleted_snapshots.is_empty());
    for (collection, points) in server.collections().iter().zip([0, 100, 250]) {
        let backups = place.backups(collection);
        let manifest = &backups[0].manifest;
        assert_eq!(manifest.points_count(), Some(points));
        assert_eq!(manifest.archives[0].server_checksum, ServerChecksum::Matched);
        assert_eq!(server.snapshot_names(collection), Vec::<String>::new());
    }
    let temporary: Vec<String> = place.files().into_iter().filter(|name| name.contains(".tmp")).collect();
    assert_eq!(temporary, Vec::<String>::new());
}
