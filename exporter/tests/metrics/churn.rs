//! Observations while backups come and go. A listing is not atomic and must not be treated as such.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use qdrant_backup_shared::BackupId;
use qdrant_backup_shared::verification::{CheckOutcome, Level};

use crate::watched::{Watched, at, name, now, wall_clock};

/// Adds as a run does (archive, manifest, record) and removes as a prune does (manifest, record, archive).
fn add_and_prune(place: &Watched, rounds: i64) {
    let layout = place.layout();
    let docs = name("docs");
    for round in 0..rounds {
        let id = BackupId::at(at("01T00:00:00") + TimeDelta::seconds(round));
        place.backup("docs", id.time(), 10);
        place.verify("docs", id, &[(Level::Archive, CheckOutcome::Passed)]);
        let oldest = BackupId::at(id.time() - TimeDelta::seconds(20));
        if round >= 20 {
            fs::remove_file(layout.manifest(&docs, oldest)).unwrap();
            fs::remove_file(layout.verification(&docs, oldest)).unwrap();
            fs::remove_file(place.archive("docs", oldest)).unwrap();
        }
    }
}

#[test]
fn no_look_during_backups_and_prunes_claims_damage() {
    let place = Watched::new();
    place.backup("docs", at("01T00:00:00"), 10);
    let layout = place.layout();
    // So many files that a listing needs several system calls.
    for number in 0..3000 {
        fs::File::create(layout.collection(&name("docs")).join(format!("foreign-{number}"))).unwrap();
    }
    let observer = place.observer();
    let done = AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut looks = 0_u32;
            while !done.load(Ordering::SeqCst) {
                // Alternating between files that seem fresh and files that seem long unchanged.
                let time = if looks.is_multiple_of(2) { now() } else { wall_clock() };
                let seen = crate::watched::observe(observer, time);
                assert_eq!(seen.problems, []);
                let view = seen.directory.value.clone().unwrap();
                for backup in &view.collections[&name("docs")].backups {
                    assert!(backup.is_good(), "look {looks}: {backup:?}");
                }
                assert!(
                    view.orphan_files <= 2,
                    "one being added and one being removed: {}",
                    view.orphan_files
                );
                looks += 1;
            }
            looks
        });
        add_and_prune(&place, 150);
        done.store(true, Ordering::SeqCst);
        looking.join().unwrap()
    });
    assert!(looks > 10, "{looks} looks at {}", layout.root().display());
}
