//! The catalog of every directory in the table.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod directories;

use std::collections::BTreeMap;

use directories::{CASES, Is};
use qdrant_backup_shared::catalog::{Backup, Catalog, Condition};

fn facts(backup: &Backup) -> (Condition, bool, bool) {
    (backup.condition(), backup.verification_failed, backup.is_verified())
}

#[test]
fn every_directory_is_judged_as_the_table_says() {
    for case in CASES {
        let directory = (case.build)();
        let catalog = Catalog::read(&directory.layout()).unwrap();
        let found: BTreeMap<&str, Vec<_>> = catalog
            .collections
            .iter()
            .map(|(name, backups)| (name.as_str(), backups.iter().map(facts).collect()))
            .collect();
        let expected: BTreeMap<&str, Vec<_>> = case
            .found
            .collections
            .iter()
            .map(|(name, all)| {
                let facts = |is: &Is| (is.condition, is.verification_failed, is.verified);
                (*name, all.iter().map(facts).collect())
            })
            .collect();
        assert_eq!(found, expected, "{}", case.name);
        let orphans: Vec<u64> = catalog.orphans.iter().map(|orphan| orphan.size_bytes).collect();
        assert_eq!(orphans, case.found.orphans, "{}", case.name);
        assert_eq!(catalog.temporary.len() as u64, case.found.temporary, "{}", case.name);
        let (holds, others): (Vec<&str>, Vec<&str>) = catalog
            .unreadable
            .iter()
            .map(|entry| entry.problem.as_str())
            .partition(|problem| problem.contains(".hold.json"));
        assert_eq!(holds.len(), case.found.unreadable_holds, "{}", case.name);
        assert_eq!(others.len(), case.found.unreadable.len(), "{}: {others:?}", case.name);
        for (said, expected) in others.iter().zip(case.found.unreadable) {
            assert!(said.contains(expected), "{}: {said}", case.name);
        }
        for backup in catalog.collections.values().flatten() {
            let whole = backup.whole(&directory.layout()).unwrap();
            assert_eq!(whole.backup, *backup, "{}", case.name);
        }
    }
}
