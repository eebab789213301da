//! Fuzz targets for this crate's parsers. Each function parses any bytes and asserts the properties of the result.
//! `fuzz/` calls them, and so does the test `fuzzing` with the stored inputs.

#![expect(clippy::unwrap_used, reason = "a broken promise ends the run")]

use std::borrow::Cow;
use std::fmt::Debug;
use std::path::Path;

use crate::backup_id::BackupId;
use crate::catalog::Backup;
use crate::collection_name::{COMPONENT_MAX_BYTES, CollectionName};
use crate::encoding::Encoding;
use crate::hold::Hold;
use crate::json_file::{self, JsonFile};
use crate::last_refused::LastRefused;
use crate::last_skipped::LastSkipped;
use crate::layout::{self, FileRole, Layout};
use crate::manifest::Manifest;
use crate::offsite::OffsiteRecord;
use crate::repository::Repository;
use crate::scratch_name::{is_scratch_of, scratch_name};
use crate::shard_key;
use crate::status::Status;
use crate::status_journal::{self, StatusChange};
use crate::text::{is_unseen, one_line, shortened, visible};
use crate::verification::VerificationRecord;

/// The name of a fuzz target, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this crate.
pub const TARGETS: &[Target] =
    &[("manifest", manifest), ("name", name), ("record", record), ("status", status)];

/// Maximum length of a message.
const MESSAGE_MAX_BYTES: usize = 4000;

/// Parses a manifest.
pub fn manifest(data: &[u8]) {
    let Some(manifest) = same_again::<Manifest>(data) else { return };
    let layout = Layout::new("/b", "/b");
    let directory = layout.collection(&manifest.collection);
    for archive in &manifest.archives {
        let path = directory.join(&archive.file_name);
        assert_eq!(path.parent(), Some(directory.as_path()), "{:?} leaves its directory", archive.file_name);
    }
    assert_line(&shard_key::list(manifest.source.shard_keys.as_deref().unwrap_or_default()));
    let mut backup = Backup::of(&manifest, manifest.collection.clone().into());
    backup.take_record(Some(&VerificationRecord::new(manifest.backup_id)));
    assert_eq!(backup.stored_size_bytes(), manifest.stored_size_bytes());
    assert_eq!(backup.snapshot_size_bytes, manifest.snapshot_size_bytes());
}

/// Parses any other JSON file, mainly a verification record.
pub fn record(data: &[u8]) {
    if let Some(record) = same_again::<VerificationRecord>(data) {
        record.failed();
    }
    same_again::<OffsiteRecord>(data);
    same_again::<Hold>(data);
    same_again::<Repository>(data);
    same_again::<LastRefused>(data);
    same_again::<LastSkipped>(data);
}

/// Parses a status file and, after a zero byte, its journal: unchanged, and with a first line that matches the status
/// file.
pub fn status(data: &[u8]) {
    let (written, journal) = halves(data);
    let Some(before) = same_again::<Status>(written) else { return };
    let layout = Layout::new("/b", "/b");
    let fitting = [status_journal::head(written).unwrap().as_slice(), journal].concat();
    for journal in [journal, &fitting] {
        let mut after = before.clone();
        match status_journal::replay(&layout, written, journal, &mut after) {
            Ok(is_its) => assert!(is_its || after == before, "a journal of another status changes nothing"),
            Err(error) => assert_line(&error.to_string()),
        }
        let bytes = json_file::to_bytes(&after).unwrap();
        assert_eq!(same_again::<Status>(&bytes), Some(after.clone()));
        if let Some(change) = StatusChange::between(&before, &after) {
            let line = change.to_line().unwrap();
            let change: StatusChange = serde_json::from_slice(&line).unwrap();
            let mut changed = before.clone();
            change.make(&mut changed).unwrap();
            assert_eq!(changed, after);
        }
    }
}

/// Checks a collection's name from a server and, after a zero byte, the name of a file in its directory.
pub fn name(data: &[u8]) {
    let (name, file_name) = halves(data);
    let (name, file_name) = (String::from_utf8_lossy(name), String::from_utf8_lossy(file_name));
    texts(&name, &file_name);
    let Ok(collection) = CollectionName::new(name.as_ref()) else { return };
    let component = collection.component();
    assert!(is_safe(&component), "{component:?} is no safe part of a path");
    assert_line(&collection.to_string());
    match CollectionName::listed(name.to_string()) {
        Ok(listed) => assert!(listed == collection && !listed.is_files()),
        Err(impossible) => assert_line(&impossible.to_string()),
    }
    if let Ok(other) = CollectionName::new(file_name.as_ref()) {
        assert_eq!(other.component() == component, other == collection, "{name:?} and {file_name:?}");
    }
    let repository = "0f3a9c21-1111-4222-8333-444455556666";
    let scratch = scratch_name(&collection, repository, "abcdef01-1111-4222-8333-444455556666");
    assert!(is_scratch_of(scratch.as_str(), repository) && scratch.as_str().len() <= 255);
    roles(&collection, &file_name);
}

/// Checks the functions that make text displayable.
fn texts(one: &str, other: &str) {
    assert_eq!(visible(one) == visible(other), one == other, "{one:?} and {other:?} look the same");
    for text in [one, other] {
        assert!(!one_line(text).contains(is_unseen));
        assert!(shortened(text, 40).chars().count() <= 40);
    }
}

/// Checks that every generated file name is recognized, and that every recognized name can be generated.
fn roles(collection: &CollectionName, file_name: &str) {
    let layout = Layout::new("/b", "/b");
    let component = layout::component(collection);
    let of = |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let id: BackupId = "2025-07-15-14-30-00".parse().unwrap();
    for encoding in [&[][..], &[Encoding::Gzip], &[Encoding::Zstd]] {
        let made = of(layout.archive(collection, id, encoding));
        assert_eq!(layout::role(&component, &made), FileRole::Archive { id });
    }
    let made = match layout::role(&component, file_name) {
        FileRole::Archive { id } => {
            assert!(file_name.starts_with(&layout::stem(&component, id)) && !file_name.contains('/'));
            return;
        }
        FileRole::Manifest { id } => layout.manifest(collection, id),
        FileRole::Verification { id } => layout.verification(collection, id),
        FileRole::Hold { id } => layout.hold(collection, id),
        FileRole::Offsite { id } => {
            let place = file_name.rsplit_once(".offsite-").unwrap().1.strip_suffix(".json").unwrap();
            layout.offsite(collection, id, place)
        }
        FileRole::Temporary | FileRole::Foreign => return,
    };
    assert_eq!(of(made), file_name);
}

/// Whether it is safe in a path, a URL and a shell command without escaping.
fn is_safe(component: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-%~".contains(&byte);
    (1..=COMPONENT_MAX_BYTES).contains(&component.len())
        && component.bytes().all(plain)
        && !component.starts_with('.')
}

/// Parses a file, writes it and parses it again, which must give the same value.
fn same_again<T: JsonFile + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let path = Path::new("file.json");
    let value = json_file::parse::<T>(path, data).map_err(|error| assert_line(&error.to_string())).ok()?;
    let bytes = json_file::to_bytes(&value).unwrap();
    assert_eq!(json_file::parse::<T>(path, &bytes).unwrap(), value);
    Some(value)
}

/// Asserts the properties of every message: one line, not too long, no invisible characters.
pub fn assert_line(text: &str) {
    assert!(!text.contains(is_unseen), "{text:?}");
    assert!(text.len() <= MESSAGE_MAX_BYTES, "{} bytes: {text}", text.len());
}

/// The parts before and after the first zero byte.
pub fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = data.splitn(2, |byte| *byte == 0);
    (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
}

/// Any bytes as text.
pub fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}
