//! `restore` of a backup (uncompressed, gzip and zstd) into a new collection, compared with uploading the plain
//! snapshot to the same server with curl, and with decompressing it first.

use super::{
    lab::{COLLECTION, COMPRESSIONS, Lab, shell},
    turns::{Row, Way, take_turns},
};
use crate::sh::{Cmd, Result};

const TARGET: &str = "restored";
const ARGS: [&str; 5] = ["restore", "--collection", COLLECTION, "--as", TARGET];

const UPLOAD: &str = r#"
set -euo pipefail
curl -sSf --noproxy '*' -o /dev/null -F snapshot=@"$2" "$1/collections/restored/snapshots/upload?priority=snapshot"
"#;

pub(super) fn run(lab: &Lab, rounds: u32) -> Result<Vec<Row>> {
    let backups = COMPRESSIONS.map(|compression| lab.backup(compression));
    let [none, gzip, zstd] = backups;
    let backups = [none?, gzip?, zstd?];
    let plain = lab.export(&backups[0].0)?;
    let gzipped = lab.archive(&backups[1].0)?;
    let mut ways = vec![
        Way::new("`curl -F` of the plain snapshot", |scratch| {
            let sample = shell(scratch, UPLOAD, &[&lab.url(), &plain])?;
            forget(lab)?;
            Ok((sample, None))
        }),
        Way::new("`gzip -dc` into a file, `curl -F`", |scratch| {
            let script = format!(r#"set -e; gzip -dc "$3" > "$2"; {UPLOAD}"#);
            let sample = shell(scratch, &script, &[&lab.url(), &scratch.join("snapshot"), &gzipped])?;
            forget(lab)?;
            Ok((sample, None))
        }),
    ];
    for (compression, (backups, bytes)) in COMPRESSIONS.into_iter().zip(&backups) {
        ways.push(Way::new(format!("qdrant-backup, {compression}"), move |scratch| {
            let sample = lab.measure(scratch, backups, compression, &ARGS)?;
            forget(lab)?;
            Ok((sample, Some(*bytes)))
        }));
    }
    take_turns("restore", rounds, &ways)
}

/// Deletes the restored collection, and the file that curl leaves in its snapshot folder, so that the next run starts
/// in the same state.
fn forget(lab: &Lab) -> Result<()> {
    let collection = format!("{}/collections/{TARGET}", lab.url());
    let delete = |fail: &str, url: String| {
        let curl = Cmd::new("curl").args(["--noproxy", "*", "-X", "DELETE", "-o", "/dev/null", fail]);
        curl.arg(url).read().map(drop)
    };
    // The runner's uploads leave no file, so the first request may fail.
    delete("-s", format!("{collection}/snapshots/snapshot?wait=true"))?;
    delete("-sSf", collection)
}
