//! The performance goals, and whether the figures reach them.

use super::lab::Kind;
use super::turns::Row;

/// Maximum duration of a backup relative to curl and a sync.
const BACKUP: f64 = 1.5;
/// Maximum duration relative to the pipeline with gzip: six times as fast.
const BACKUP_GZIP: f64 = 1.0 / 6.0;
/// Maximum duration relative to the pipeline with zstd: twice as fast.
const BACKUP_ZSTD: f64 = 1.0 / 2.0;

/// Maximum duration of a verification relative to hashing the plain snapshot, without decompression.
const VERIFY_STORED: f64 = 1.5;
/// The same with decompression.
const VERIFY_COMPRESSED: f64 = 3.0;
/// Maximum duration of a restore relative to curl.
const RESTORE: f64 = 1.2;

/// With at least this size relative to the snapshot, an archive counts as uncompressed.
const STORED_FROM: f64 = 0.98;

/// The result for one goal.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    what: String,
    at_most: f64,
    found: f64,
}

/// The goals for backups. All but the first apply only to the default compression.
pub(super) fn backup(kind: Kind, rows: &[Row]) -> Vec<Verdict> {
    let title = kind.title();
    let mut verdicts = verdicts(&format!("backup, {title}"), rows, |_| BACKUP);
    let named = |part: &str| rows.iter().find(|row| row.name.contains(part));
    let Some(ours) = named("qdrant-backup, gzip") else { return verdicts };
    for (pipeline, at_most) in [("gzip -1", BACKUP_GZIP), ("zstd -1", BACKUP_ZSTD)] {
        let what = format!("backup, {title}, gzip, beside the pipeline with {pipeline}");
        verdicts.extend(named(pipeline).map(|row| Verdict { what, at_most, found: ours.ratio(row) }));
    }
    let at_most = match kind {
        Kind::Unit => 1.15,
        Kind::Embeddings => 1.05,
        Kind::Sparse => return verdicts,
    };
    let size = |row: &Row| row.stored_bytes.map(|bytes| bytes as f64);
    if let (Some(found), Some(theirs)) = (size(ours), named("gzip -1").and_then(size)) {
        let what = format!("size, {title}, gzip, beside gzip -1's");
        verdicts.push(Verdict { what, at_most, found: found / theirs });
    }
    verdicts
}

/// The goals for verification, for snapshots of `plain_bytes`.
pub(super) fn verify(kind: &str, plain_bytes: u64, rows: &[Row]) -> Vec<Verdict> {
    verdicts(&format!("verify, {kind}"), rows, |row| {
        let stored = row.stored_bytes.unwrap_or(0) as f64 >= plain_bytes as f64 * STORED_FROM;
        if stored { VERIFY_STORED } else { VERIFY_COMPRESSED }
    })
}

/// The goals for restores.
pub(super) fn restore(kind: &str, rows: &[Row]) -> Vec<Verdict> {
    verdicts(&format!("restore, {kind}"), rows, |_| RESTORE)
}

fn verdicts(what: &str, rows: &[Row], at_most: impl Fn(&Row) -> f64) -> Vec<Verdict> {
    let Some(first) = rows.first() else { return Vec::new() };
    let ours = rows.iter().filter_map(|row| Some((row, row.name.strip_prefix("qdrant-backup, ")?)));
    ours.map(|(row, compression)| Verdict {
        what: format!("{what}, {compression}"),
        at_most: at_most(row),
        found: row.ratio(first),
    })
    .collect()
}

/// The goals as a Markdown table.
pub(super) fn table(verdicts: &[Verdict]) -> String {
    let mut table = "| | at most | found | |\n|---|---:|---:|---|\n".to_owned();
    for Verdict { what, at_most, found } in verdicts {
        let word = if found <= at_most { "reached" } else { "**missed**" };
        table.push_str(&format!("| {what} | {at_most:.2} × | {found:.2} × | {word} |\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample::Sample;

    fn row(name: &str, seconds: f64, stored_bytes: u64) -> Row {
        let samples = vec![Sample { seconds, peak_bytes: 1 }];
        Row { name: name.to_owned(), samples, stored_bytes: Some(stored_bytes) }
    }

    #[test]
    fn what_must_be_decompressed_may_take_longer_than_what_is_stored() {
        let rows = [
            row("openssl", 1.0, 0),
            row("gzip | openssl", 9.0, 900),
            row("qdrant-backup, none", 1.6, 1000),
            row("qdrant-backup, gzip", 1.6, 900),
        ];
        let verdicts = verify("units", 1000, &rows);
        assert_eq!(
            table(&verdicts),
            "| | at most | found | |\n|---|---:|---:|---|\n\
             | verify, units, none | 1.50 × | 1.60 × | **missed** |\n\
             | verify, units, gzip | 3.00 × | 1.60 × | reached |\n"
        );
        assert_eq!(restore("units", &rows)[1].at_most, 1.2);
    }

    #[test]
    fn a_backup_is_held_against_curl_both_pipelines_and_their_size() {
        let rows = [
            row("`curl -o`, `sync`", 1.0, 1000),
            row("`curl | gzip -1`, `sync`", 12.0, 800),
            row("`curl | zstd -1`, `sync`", 3.0, 700),
            row("qdrant-backup, none", 0.9, 1000),
            row("qdrant-backup, gzip", 1.6, 850),
        ];
        assert_eq!(
            table(&backup(Kind::Embeddings, &rows)),
            "| | at most | found | |\n|---|---:|---:|---|\n\
             | backup, embeddings with payload, none | 1.50 × | 0.90 × | reached |\n\
             | backup, embeddings with payload, gzip | 1.50 × | 1.60 × | **missed** |\n\
             | backup, embeddings with payload, gzip, beside the pipeline with gzip -1 | 0.17 × | 0.13 × | reached |\n\
             | backup, embeddings with payload, gzip, beside the pipeline with zstd -1 | 0.50 × | 0.53 × | **missed** |\n\
             | size, embeddings with payload, gzip, beside gzip -1's | 1.05 × | 1.06 × | **missed** |\n"
        );
        assert_eq!(backup(Kind::Sparse, &rows).len(), 4);
    }
}
