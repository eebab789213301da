//! The defenses, and the source change that removes each.

use crate::sh::Result;

/// A property of the program that prevents the loss of backups.
pub(crate) struct Defense {
    pub name: &'static str,
    /// What the program does without it.
    pub claim: &'static str,
    pub file: &'static str,
    /// Occurs exactly once in that file.
    there: &'static str,
    instead: &'static str,
    /// The test program and the tests that must fail.
    pub program: &'static str,
    pub tests: &'static [&'static str],
}

impl Defense {
    /// The source without the defense.
    pub(super) fn remove(&self, source: &str) -> Result<String> {
        match source.matches(self.there).count() {
            1 => Ok(source.replacen(self.there, self.instead, 1)),
            count => Err(format!("{}: {} has the text of {} {count} times", self.name, self.file, self.name)),
        }
    }
}

const CRASH: &[&str] = &["crash"];
const DISK: &[&str] = &["disk"];
const NETWORK: &[&str] = &["network"];
/// Where one of these defenses fails, another one still keeps the damaged download from becoming a backup. So the campaign does not
/// notice, but the reported reason changes.
const DOWNLOADS: &[&str] = &["download::", "resume::"];

pub(crate) const DEFENSES: &[Defense] = &[
    Defense {
        name: "directory-fsync",
        claim: "names are not made durable",
        file: "shared/src/file_system.rs",
        there: "syncs(File::open(directory)?.sync_all())",
        instead: "syncs(File::open(directory).map(drop))",
        program: "campaign",
        tests: CRASH,
    },
    Defense {
        name: "file-fsync",
        claim: "archives, manifests and records are renamed before their data is durable",
        file: "shared/src/atomic.rs",
        there: ".and_then(|()| file.sync_all())?;",
        instead: "?;",
        program: "campaign",
        tests: CRASH,
    },
    Defense {
        name: "journal-fsync",
        claim: "the lines of the journal are not made durable",
        file: "runner/src/session/status_store.rs",
        there: "if durable {",
        instead: "if durable && self.bytes == 0 {",
        program: "campaign",
        tests: CRASH,
    },
    Defense {
        name: "prune-manifest-first",
        claim: "a prune deletes archives before the manifest",
        file: "runner/src/prune/deletion.rs",
        there: "Step::Remove(layout.offsite(collection, id, place))));
        steps.extend(Self::archives(layout, backup));",
        instead: "Step::Remove(layout.offsite(collection, id, place))));
        drop(steps.splice(0..0, Self::archives(layout, backup)));",
        program: "campaign",
        tests: CRASH,
    },
    Defense {
        name: "prune-note",
        claim: "a prune does not note what it is about to delete",
        file: "runner/src/prune/run.rs",
        there: "session.write_status(|status| status.pruning.extend(noted));",
        instead: "session.write_status(|_| drop(noted));",
        program: "campaign",
        tests: CRASH,
    },
    Defense {
        name: "snapshot-noted",
        claim: "a snapshot is downloaded before the status names it",
        file: "runner/src/backup/creation.rs",
        there: "status.undeleted_snapshots.push(entry(&snapshot));",
        instead: "drop(entry(&snapshot));",
        program: "campaign",
        tests: CRASH,
    },
    Defense {
        name: "archive-first",
        claim: "the manifest is put in its place before the archives",
        file: "runner/src/store/backups.rs",
        there: "    let mut in_place = Vec::new();
    let mut failed = None;
    for archive in archives {",
        instead: "    if json_file::write_new(&layout.manifest(&manifest.collection, manifest.backup_id), manifest).is_ok() {
        return archives.into_iter().try_for_each(|archive| archive.commit_new().map_err(|error| error.source));
    }
    let mut in_place = Vec::new();
    let mut failed = None;
    for archive in archives {",
        program: "campaign",
        tests: CRASH,
    },
    Defense {
        name: "write-errors",
        claim: "an archive that could not be written whole is taken for one that was",
        file: "runner/src/archive/write/disk.rs",
        there: "self.file.write(buffer)?;",
        instead: "self.file.write(buffer).unwrap_or(buffer.len());",
        program: "campaign",
        tests: DISK,
    },
    Defense {
        name: "sync-errors",
        claim: "a disk that fails to sync a directory goes unnoticed",
        file: "shared/src/file_system.rs",
        there: "        Err(error) if is_unknown(&error) => Ok(false),
        other => other.map(|()| true),",
        instead: "        Err(_) => Ok(false),
        Ok(()) => Ok(true),",
        program: "campaign",
        tests: DISK,
    },
    Defense {
        name: "prune-errors",
        claim: "a manifest that cannot be deleted does not keep its archives from being deleted",
        file: "runner/src/prune/deletion.rs",
        there: "self.steps.iter().try_for_each(Step::perform)",
        instead: "self.steps.iter().for_each(|step| drop(step.perform()));\n        Ok(())",
        program: "campaign",
        tests: DISK,
    },
    Defense {
        name: "length",
        claim: "the length of a download is not compared with what the server said",
        file: "runner/src/backup/part.rs",
        there: "    if got != expected {",
        instead: "    if false {",
        program: "e2e",
        tests: DOWNLOADS,
    },
    Defense {
        name: "checksum",
        claim: "the digest of a download is not compared with what the server said",
        file: "runner/src/backup/part.rs",
        there: "Some(expected) if expected != received.snapshot.sha256 => {",
        instead: "Some(expected) if expected.as_bytes().is_empty() => {",
        program: "e2e",
        tests: DOWNLOADS,
    },
    Defense {
        name: "no-redirects",
        claim: "redirects are followed, with the key",
        file: "runner/src/qdrant/transport.rs",
        there: "redirect::Policy::none()",
        instead: "redirect::Policy::limited(3)",
        program: "campaign",
        tests: NETWORK,
    },
    Defense {
        name: "only-ours",
        claim: "a snapshot on the server is deleted by its name alone",
        file: "runner/src/session/leftovers/deletion.rs",
        there: "Some(listed) if listed.checksum == snapshot.checksum =>",
        instead: "Some(listed) =>",
        program: "e2e",
        tests: &["leftover"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn each_defense_stands_once_in_the_source_and_has_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for defense in DEFENSES {
            let source = std::fs::read_to_string(workspace::root().join(defense.file)).unwrap();
            assert_ne!(defense.remove(&source).unwrap(), source);
            assert!(names.insert(defense.name), "{}", defense.name);
        }
    }
}
