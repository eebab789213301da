//! The backup of configuration files (`backup.include_files`), as one archive.
//!
//! It is kept, verified and pruned like the backup of a collection. It is meant for small files such as Qdrant's configuration,
//! not for its storage.

use std::fs;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::HumanBytes;
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::atomic::AtomicFile;
use qdrant_backup_shared::json_file::SCHEMA_VERSION;
use qdrant_backup_shared::manifest::{
    Archive, Manifest, Origin, Scope, ServerChecksum, SizeAndDigest, Source,
};
use qdrant_backup_shared::operation::{Outcome, Stage};
use qdrant_backup_shared::regular_file::{self, Links};
use qdrant_backup_shared::run_report::CollectionReport;

use super::error::BackupError;
use crate::archive::write::{Compression, Encoder, TallyWriter};
use crate::session::Session;
use crate::store;

/// Size limit for configuration files.
const TOTAL_MAX_BYTES: u64 = 256 << 20;

/// Backs up every file that matches a pattern, and reports the outcome. Never stops the run.
pub fn back_up(session: &mut Session, patterns: &[String], compression: Compression) -> CollectionReport {
    let collection = CollectionName::files();
    let begun = Instant::now();
    let mut report = CollectionReport::new(collection.clone(), session.now());
    session.enter_stage(Stage::Download, &collection);
    let result = attempt(session, patterns, compression, &report);
    report.duration_seconds = begun.elapsed().as_secs_f64();
    match result {
        Ok((manifest, count)) => {
            tracing::info!(
                "Backed up {count} configuration files ({})",
                HumanBytes(manifest.snapshot_size_bytes())
            );
            report.backup_id = Some(manifest.backup_id);
            report.snapshot_size_bytes = Some(manifest.snapshot_size_bytes());
            report.stored_size_bytes = Some(manifest.stored_size_bytes());
        }
        Err(error) => {
            let failure = error.to_failure();
            tracing::error!("Backup of configuration files failed: {}", failure.message);
            report.outcome = Outcome::Failed;
            report.failure = Some(failure);
        }
    }
    session.write_status(|status| {
        let entry = status.collections.entry(collection).or_default();
        entry.enter(&report);
        entry.found();
    });
    report
}

fn attempt(
    session: &Session,
    patterns: &[String],
    compression: Compression,
    report: &CollectionReport,
) -> Result<(Manifest, usize), BackupError> {
    let paths = matching(patterns)?;
    let (layout, collection) = (session.layout(), &report.collection);
    let id = store::prepare(layout, collection, report.started_at)
        .map_err(BackupError::io("creating the directory for configuration files"))?;
    let archive_path = layout.archive(collection, id, &compression.encoding());
    let mut file = store::begin_archive(&archive_path).map_err(BackupError::io("creating the archive"))?;
    let (snapshot, stored) = write_tar(&mut file, &paths, compression)?;
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        requires: Vec::new(),
        backup_id: id,
        collection: collection.clone(),
        origin: Origin::Snapshot,
        run_id: session.run_id().to_owned(),
        started_at: report.started_at,
        completed_at: session.now(),
        depends_on: Vec::new(),
        source: Source::default(),
        points_sample: None,
        archives: vec![Archive {
            file_name: archive_path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            node_url: None,
            peer_id: None,
            shard_ids: Vec::new(),
            scope: Scope::Files,
            snapshot_name: None,
            encoding: compression.encoding(),
            snapshot,
            stored,
            server_checksum: ServerChecksum::NotChecked,
        }],
        runner_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    store::commit(layout, vec![file], &manifest).map_err(BackupError::io("moving the archive into place"))?;
    Ok((manifest, paths.len()))
}

/// Every regular file that matches a pattern, sorted. A pattern without any match is an error.
///
/// # Errors
/// When a pattern matches nothing, or what it matches cannot be read.
pub fn matching(patterns: &[String]) -> Result<Vec<PathBuf>, BackupError> {
    let problem = |problem: String| BackupError::Files { problem };
    let mut paths = Vec::new();
    for pattern in patterns {
        let before = paths.len();
        for entry in glob::glob(pattern).map_err(|error| problem(format!("{pattern}: {error}")))? {
            let path =
                entry.map_err(|error| problem(format!("{}: {}", error.path().display(), error.error())))?;
            if fs::metadata(&path).map_err(|error| problem(format!("{}: {error}", path.display())))?.is_file()
            {
                paths.push(path);
            }
        }
        if paths.len() == before {
            return Err(problem(format!("no file matches {pattern}; correct the pattern or remove it")));
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn write_tar(
    file: &mut AtomicFile,
    paths: &[PathBuf],
    compression: Compression,
) -> Result<(SizeAndDigest, SizeAndDigest), BackupError> {
    let failed = || BackupError::io("writing the archive of configuration files");
    let writer = TallyWriter::new(BufWriter::new(file.file()));
    let mut tar = tar::Builder::new(TallyWriter::new(Encoder::new(compression, writer).map_err(failed())?));
    let mut total = 0;
    for path in paths {
        // Read completely first, so that a growing file cannot damage the archive.
        let unreadable =
            |error: std::io::Error| BackupError::Files { problem: format!("{}: {error}", path.display()) };
        let open = regular_file::open(path, Links::Follow).map_err(unreadable)?;
        let metadata = open.metadata().map_err(unreadable)?;
        let room = TOTAL_MAX_BYTES - total;
        let mut contents = Vec::new();
        // Regardless of the reported size: kernel files report 0.
        open.take(room + 1).read_to_end(&mut contents).map_err(unreadable)?;
        if contents.len() as u64 > room {
            let problem = format!(
                "more than {} in total; this is for configuration files, not for data",
                HumanBytes(TOTAL_MAX_BYTES)
            );
            return Err(BackupError::Files { problem });
        }
        total += contents.len() as u64;
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(metadata.mode() & 0o777);
        header.set_uid(u64::from(metadata.uid()));
        header.set_gid(u64::from(metadata.gid()));
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
        let name = path.strip_prefix("/").unwrap_or(Path::new(path));
        tar.append_data(&mut header, name, contents.as_slice()).map_err(failed())?;
    }
    let (encoder, snapshot) = tar.into_inner().map_err(failed())?.finish();
    let (mut writer, stored) = encoder.finish().map_err(failed())?.finish();
    writer.flush().map_err(failed())?;
    Ok((snapshot, stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_names_no_file_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap();
        qdrant_backup_shared::atomic::write(&directory.path().join("a.yaml"), 0o600, b"x").unwrap();
        assert_eq!(matching(&[format!("{root}/*.yaml"), format!("{root}/a*")]).unwrap().len(), 1);
        let error = matching(&[format!("{root}/*.yaml"), format!("{root}/*.conf")]).unwrap_err();
        assert!(error.to_string().contains("no file matches"), "{error}");
    }
}
