//! Selects the backups to drill. Pure functions.

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::{Backup, Catalog};

use crate::choice::{Accept, ChoiceError, Present, Selection, Which, choose_one, drill_turn};

/// The backups to drill, of the given collections or of all. The least recently drilled one is chosen among all collections.
pub fn choose<'a>(
    catalog: &'a Catalog,
    selection: &Selection,
    which: Which,
    present: Present<'_>,
) -> Vec<(CollectionName, Result<&'a Backup, ChoiceError>)> {
    let names: Vec<CollectionName> = if selection.is_named() {
        selection.names().to_vec()
    } else {
        catalog.collection_names().cloned().collect()
    };
    let of_each = names.into_iter().map(|name| {
        let backups = catalog.collections.get(&name).map(Vec::as_slice).unwrap_or_default();
        // A backup that failed a drill can be drilled again, to clear the failure.
        let backup = choose_one(backups, which, Accept::NamedThoughFailed, present);
        (name, backup)
    });
    let of_each: Vec<_> = of_each.collect();
    let good = of_each.iter().filter_map(|(_, backup)| backup.as_ref().ok().copied());
    match good.min_by_key(|backup| drill_turn(backup)) {
        Some(first) if which == Which::LeastRecent => vec![((*first.collection).clone(), Ok(first))],
        Some(_) | None => of_each,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use qdrant_backup_shared::ShardKey;
    use qdrant_backup_shared::backup_id::BackupId;
    use qdrant_backup_shared::json_file;
    use qdrant_backup_shared::manifest::Manifest;
    use qdrant_backup_shared::verification::{CheckOutcome, Level, VerificationRecord};

    use super::*;

    const MANIFEST: &str = include_str!("../../../../shared/testdata/manifest-v1.json");

    fn present() -> Present<'static> {
        Present { status: None, now: "2025-08-15T14:30:00Z".parse().unwrap() }
    }

    fn backup(collection: &str, day: u32, drilled: Option<&str>) -> Backup {
        keyed_backup(collection, day, drilled, None)
    }

    fn keyed_backup(
        collection: &str,
        day: u32,
        drilled: Option<&str>,
        shard_keys: Option<Vec<ShardKey>>,
    ) -> Backup {
        let mut manifest: Manifest = json_file::parse(Path::new("m"), MANIFEST.as_bytes()).unwrap();
        manifest.source.shard_keys = shard_keys;
        manifest.collection = CollectionName::new(collection).unwrap();
        manifest.started_at = format!("2025-07-{day:02}T14:30:00Z").parse().unwrap();
        manifest.backup_id = BackupId::at(manifest.started_at);
        let verification = drilled.map(|at| {
            let mut record = VerificationRecord::new(manifest.backup_id);
            record.enter(Level::Restore, at.parse().unwrap(), CheckOutcome::Passed, 1.0, Vec::new());
            record
        });
        let mut backup = Backup::of(&manifest, Arc::new(manifest.collection.clone()));
        backup.take_record(verification.as_ref());
        backup
    }

    #[test]
    fn the_least_recently_drilled_is_one_of_all_and_never_drilled_comes_first() {
        let mut catalog = Catalog::default();
        let mut add = |backup: Backup| {
            catalog.collections.entry((*backup.collection).clone()).or_default().push(backup);
        };
        add(backup("a", 1, Some("2025-08-02T00:00:00Z")));
        add(backup("a", 2, Some("2025-08-01T00:00:00Z")));
        add(backup("b", 3, Some("2025-08-03T00:00:00Z")));
        let chosen = |catalog: &Catalog, choice| {
            let all = choose(catalog, &Selection::default(), choice, present()).into_iter();
            all.map(|(name, backup)| format!("{name} {}", backup.unwrap().started_at.format("%d")))
                .collect::<Vec<_>>()
        };
        assert_eq!(chosen(&catalog, Which::LeastRecent), ["a 02"]);
        assert_eq!(chosen(&catalog, Which::Latest), ["a 02", "b 03"]);
        for day in [4, 5] {
            let fresh = backup("b", day, None);
            catalog.collections.get_mut(&*fresh.collection).unwrap().push(fresh);
        }
        assert_eq!(chosen(&catalog, Which::LeastRecent), ["b 05"]);
    }

    #[test]
    fn a_backup_that_cannot_be_drilled_takes_no_others_turn() {
        let mut catalog = Catalog::default();
        let keys = vec![ShardKey::new("eu".into(), vec![1])];
        let keyed = keyed_backup("keyed", 2, None, Some(keys));
        let plain = backup("plain", 1, Some("2025-08-02T00:00:00Z"));
        for backup in [keyed, plain] {
            catalog.collections.insert((*backup.collection).clone(), vec![backup]);
        }
        let least = |catalog: &Catalog| {
            choose(catalog, &Selection::default(), Which::LeastRecent, present()).remove(0).0
        };
        assert_eq!(least(&catalog).as_str(), "plain");
        catalog.collections.remove(&CollectionName::new("plain").unwrap());
        assert_eq!(least(&catalog).as_str(), "keyed");
    }
}
