//! What one turn of a soak does.

use qdrant_backup_shared::scratch_name::is_scratch;

use reqwest::Method;

use super::{SKEW, Soak};

/// Longer than a real server needs for a small collection.
const AT_WORK: std::time::Duration = std::time::Duration::from_secs(3);

impl Soak {
    /// Does one random action.
    pub(super) fn act(&mut self) {
        match self.random.below(24) {
            0..=3 => self.collections.write(&self.nodes, &mut self.random),
            4 => self.collections.make(&self.nodes, &mut self.random),
            5 => self.collections.drop_one(&self.nodes, &mut self.random),
            6..=9 => drop(self.somehow(&["backup"], &[0])),
            10..=12 => drop(self.somehow(&["run"], &[0])),
            13 => drop(self.somehow(&["backup", "--jobs", "3"], &[0])),
            14 => drop(self.somehow(&["prune", "--yes"], &[0])),
            15 => drop(self.somehow(&["verify", "--backup", "all"], &[0])),
            16 => self.drill(),
            17..=18 => self.restore_beside(),
            19 => self.restore_over(),
            20 => self.bring_points_back(),
            21 => self.import(),
            22 => drop(self.somehow(&["prune", "--server-leftovers", "--yes"], &[0])),
            _ => self.retire(),
        }
    }

    /// Runs a drill if there is a backup.
    fn drill(&mut self) {
        if !self.ledger.known().is_empty() {
            self.somehow(&["drill", "--on-source", SKEW], &[0]);
        }
    }

    /// Restores a backup with known points into a new collection.
    fn restore_beside(&mut self) {
        let known = self.ledger.known();
        if known.is_empty() {
            return;
        }
        let (collection, id) = self.random.pick(&known).clone();
        let beside = self.collections.beside();
        let arguments = ["restore", "-c", &collection, "--backup", &id, "--as", &beside, SKEW];
        if self.somehow(&arguments, &[0]).is_some() {
            let points = self.nodes.points(0, &beside);
            assert_eq!(
                Some(&points),
                self.ledger.points(&collection, &id),
                "backup {id} of {collection} restored"
            );
            self.tally.count("restores with every point right");
        } else {
            self.let_it_end();
        }
        self.drop_beside();
    }

    /// Waits for a real server to finish an upload whose client is gone.
    fn let_it_end(&self) {
        if self.stand_in.is_none() {
            std::thread::sleep(AT_WORK);
        }
    }

    /// Drops the scratch collection.
    pub(super) fn drop_beside(&self) {
        let beside = self.collections.beside();
        if self.nodes.collections().contains(&beside) {
            self.nodes.ask(0, Method::DELETE, &format!("/collections/{beside}"), None);
        }
    }

    /// Restores the newest backup over its collection, after backing the collection up.
    fn restore_over(&mut self) {
        let collection = self.random.pick(&self.collections.names()).clone();
        let Some(newest) = self.place.ids(&collection).pop() else { return };
        let arguments = ["restore", "-c", &collection, "--backup", &newest, "--force", SKEW];
        let expected = self.ledger.points(&collection, &newest).cloned();
        match (self.somehow(&arguments, &[0]), expected) {
            (Some(_), Some(expected)) => {
                let points = self.nodes.points(0, &collection);
                assert_eq!(points, expected, "backup {newest} of {collection} restored");
                self.tally.count("restores with every point right");
            }
            (Some(_), None) => {}
            (None, _) => self.let_it_end(),
        }
        self.mend(&collection, &newest);
    }

    /// Repeats the restore if an interrupted one left the collection incomplete.
    fn mend(&mut self, collection: &str, backup: &str) {
        let there = self.nodes.collections().iter().any(|name| name == collection);
        let whole = there && !self.nodes.points(0, collection).is_empty();
        if !whole {
            // An upload whose answer was lost may still be running.
            self.plainly(&["restore", "-c", collection, "--backup", backup, "--force", SKEW], 0);
        }
    }

    /// Compares the newest backup with its collection and restores missing points.
    fn bring_points_back(&mut self) {
        let collection = self.random.pick(&self.collections.names()).clone();
        let Some(id) = self.place.ids(&collection).pop() else { return };
        let Some(expected) = self.ledger.points(&collection, &id).cloned() else { return };
        let equal = self.nodes.points(0, &collection) == expected;
        let compare = ["compare", "-c", &collection, "--on-source"];
        if let Some(ran) = self.somehow(&compare, &[0, 3]) {
            assert_eq!(ran.code, Some(if equal { 0 } else { 3 }), "{}\n{}", ran.stdout, ran.stderr);
            self.tally.count("comparisons that were right");
        }
        let restore = ["restore", "--points", "-c", &collection, "--on-source", "--missing", "--changed"];
        if self.somehow(&restore, &[0]).is_some() {
            let now = self.nodes.points(0, &collection);
            assert!(
                expected.iter().all(|point| now.contains(point)),
                "a point of {collection} was not restored"
            );
            self.tally.count("restores of points that were right");
        }
    }

    /// Imports archives without a manifest, or a backup that was exported before.
    fn import(&mut self) {
        let orphans = self.place.catalog().orphans;
        if let Some(orphan) = orphans.first() {
            let folder = orphan.path.parent().and_then(|folder| folder.file_name()).expect("a folder");
            let (path, collection) =
                (orphan.path.to_string_lossy().into_owned(), folder.to_string_lossy().into_owned());
            if self.somehow(&["import", &path, "-c", &collection], &[0]).is_some() {
                self.ledger.take_down_imported(&self.place, &collection);
                self.tally.count("orphans imported");
            }
            return;
        }
        let known = self.ledger.known();
        if known.is_empty() {
            return;
        }
        let (collection, id) = self.random.pick(&known).clone();
        let file = self.place.beside(&format!("exported-{}.snapshot", self.turn));
        let path = file.to_string_lossy().into_owned();
        if self.somehow(&["export", "-c", &collection, "--backup", &id, "-o", &path], &[0]).is_some()
            && self.somehow(&["import", &path, "-c", &collection], &[0]).is_some()
        {
            self.ledger.take_down_imported(&self.place, &collection);
        }
        // The collection may not exist.
        drop(std::fs::remove_file(&file));
    }

    /// Deletes all backups of a deleted collection.
    fn retire(&mut self) {
        let there = self.collections.names();
        let gone = |name: &String| !there.contains(name) && !is_scratch(name);
        let backed_up: Vec<String> =
            self.place.catalog().collections.keys().map(ToString::to_string).collect();
        let Some(name) = backed_up.into_iter().find(gone) else { return };
        // If the run is killed, only half of them may be deleted. They all count as deleted.
        self.ledger.forget(&name);
        if self.somehow(&["prune", "--retire", &name, "--yes"], &[0]).is_some() {
            self.tally.count("collections retired");
        }
    }
}
