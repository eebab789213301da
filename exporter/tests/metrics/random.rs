//! Random directories: the exporter with its caches must see the same as [`Catalog::read`].

#![expect(clippy::disallowed_methods, reason = "what a test plants need not survive a power cut")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;
use qdrant_backup_exporter::observe::{DirectoryView, Observation};
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{BackupId, CollectionName};

use crate::watched::{Watched, at, name, wall_clock};

const COLLECTIONS: &[&str] = &["docs", "a b/ü", "docs-2025-07-01-00-00-00"];

/// One change of a directory.
#[derive(Debug, Clone)]
enum Change {
    Backup {
        points: u64,
    },
    Check {
        level: usize,
        outcome: usize,
    },
    RemoveArchive,
    RemoveManifest,
    CutArchive,
    TearManifest,
    TearRecord,
    SwapManifest {
        with: i64,
    },
    Temporary,
    Foreign,
    RemoveCollection,
    /// Moves it to another disk and replaces it by a link.
    Move,
    /// Replaces it by a dangling link.
    Dangle,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (1_u64..100).prop_map(|points| Change::Backup { points }),
        3 => (0_usize..3, 0_usize..4).prop_map(|(level, outcome)| Change::Check { level, outcome }),
        1 => Just(Change::RemoveArchive),
        1 => Just(Change::RemoveManifest),
        1 => Just(Change::CutArchive),
        1 => Just(Change::TearManifest),
        1 => Just(Change::TearRecord),
        1 => (0_i64..6).prop_map(|with| Change::SwapManifest { with }),
        1 => Just(Change::Temporary),
        1 => Just(Change::Foreign),
        1 => Just(Change::RemoveCollection),
        1 => Just(Change::Move),
        1 => Just(Change::Dangle),
    ]
}

fn id(number: i64) -> BackupId {
    BackupId::at(at("01T00:00:00") + TimeDelta::hours(number))
}

fn apply(place: &Watched, collection: &str, number: i64, change: &Change) {
    let layout = place.layout();
    let collection_name = name(collection);
    let directory = layout.collection(&collection_name);
    if fs::metadata(&directory).is_err() && directory.is_symlink() {
        fs::remove_file(&directory).unwrap();
    }
    fs::create_dir_all(&directory).unwrap();
    let id_of = id;
    let id = id(number);
    let manifest = layout.manifest(&collection_name, id);
    match change {
        Change::Backup { points } => drop(place.backup(collection, id.time(), *points)),
        Change::Check { level, outcome } => {
            let outcome = CheckOutcome::KNOWN[*outcome].clone();
            place.verify(collection, id, &[(Level::KNOWN[*level].clone(), outcome)]);
        }
        Change::RemoveArchive => drop(fs::remove_file(place.archive(collection, id))),
        Change::RemoveManifest => drop(fs::remove_file(manifest)),
        Change::CutArchive => place.put_archive(&place.archive(collection, id), 3),
        Change::TearManifest => place.put_bytes(&manifest, b"{\"schema_version\":1,"),
        Change::TearRecord => place.put_bytes(&layout.verification(&collection_name, id), b"]"),
        Change::SwapManifest { with } => {
            if let Ok(bytes) = fs::read(layout.manifest(&collection_name, id_of(*with))) {
                place.put_bytes(&manifest, &bytes);
            }
        }
        Change::Temporary => {
            place.put_archive(&directory.join(format!(".{number}.tmp")), 1);
            let becoming = manifest.file_name().unwrap().to_str().unwrap().to_owned();
            place.put_archive(&directory.join(format!(".{becoming}.aBcDeF.tmp")), 1);
        }
        Change::Foreign => place.put_archive(&directory.join(format!("{number}.txt")), 1),
        Change::RemoveCollection => fs::remove_dir_all(directory).unwrap(),
        Change::Move if directory.is_symlink() => {}
        Change::Move => {
            let name = directory.file_name().unwrap();
            let elsewhere = (0..).map(|number| place.path().join(format!("disk-{number}")).join(name));
            let elsewhere = elsewhere.into_iter().find(|path| !path.exists()).unwrap();
            fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
            fs::rename(&directory, &elsewhere).unwrap();
            symlink(&elsewhere, &directory).unwrap();
        }
        Change::Dangle => {
            fs::remove_dir_all(&directory).unwrap();
            symlink("/nowhere/at/all", &directory).unwrap();
        }
    }
}

/// The result in a form that both can be converted to.
fn facts<'a>(
    collections: impl Iterator<Item = (&'a CollectionName, &'a [Backup])>,
    numbers: [u64; 3],
    problems: Vec<&str>,
) -> String {
    let facts: BTreeMap<&str, Vec<String>> = collections
        .map(|(name, backups)| {
            let lines = backups.iter().map(|backup| {
                format!(
                    "{} {} {:?} {} {} {:?} {} {:?}",
                    backup.backup_id,
                    backup.started_at,
                    backup.points_count(),
                    backup.stored_size_bytes(),
                    backup.snapshot_size_bytes,
                    backup.condition(),
                    backup.verification_failed,
                    backup.checks.iter().map(|check| &check.level).collect::<Vec<_>>(),
                )
            });
            (name.as_str(), lines.collect())
        })
        .collect();
    format!("{facts:#?} {numbers:?} {problems:#?}")
}

fn facts_of_catalog(catalog: &Catalog) -> String {
    let bytes: u64 = catalog.orphans.iter().map(|orphan| orphan.size_bytes).sum();
    facts(
        catalog.collections.iter().map(|(name, backups)| (name, backups.as_slice())),
        [catalog.orphans.len() as u64, bytes, catalog.temporary.len() as u64],
        catalog.unreadable.iter().map(|unreadable| unreadable.problem.as_str()).collect(),
    )
}

fn facts_of_observation(observation: &Observation) -> String {
    let nothing = DirectoryView::default();
    let view = observation.directory.value.as_deref().unwrap_or(&nothing);
    facts(
        view.collections.iter().map(|(name, found)| (name, found.backups.as_slice())),
        [view.orphan_files, view.orphan_bytes, view.temporary_files],
        observation.problems.iter().map(|problem| problem.problem.as_str()).collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn an_observer_always_sees_what_the_catalog_sees(
        rounds in proptest::collection::vec(
            proptest::collection::vec((0..COLLECTIONS.len(), 0_i64..6, change()), 1..12),
            1..5,
        ),
        // Whether files seem long unchanged, so that the caches are used, or just changed, so that they are not.
        settled in any::<bool>(),
    ) {
        let place = Watched::new();
        let now = wall_clock() + if settled { TimeDelta::hours(1) } else { TimeDelta::zero() };
        for (round, changes) in (0_i32..).zip(&rounds) {
            for (collection, number, change) in changes {
                apply(&place, COLLECTIONS[*collection], *number, change);
            }
            // Every other observation trusts unchanged directories.
            let observation = place.look_at(now + TimeDelta::seconds(i64::from(round) * 40));
            let catalog = Catalog::read(&place.layout()).unwrap();
            prop_assert_eq!(facts_of_observation(&observation), facts_of_catalog(&catalog));
            if settled {
                // Simulates the 2 s that the exporter waits, so that the next change gets another time.
                std::thread::sleep(Duration::from_millis(25));
            }
        }
    }
}
