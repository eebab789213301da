//! `verify --level archive` of a backup (uncompressed, gzip and zstd), compared with hashing the plain snapshot, and
//! with decompressing and hashing it with the usual tools. All data comes from the page cache.

use super::{
    lab::{COLLECTION, COMPRESSIONS, Lab, shell},
    turns::{Row, Way, take_turns},
};
use crate::sh::Result;

const ARGS: [&str; 5] = ["verify", "--collection", COLLECTION, "--level", "archive"];

pub(super) fn run(lab: &Lab, rounds: u32) -> Result<Vec<Row>> {
    let backups = COMPRESSIONS.map(|compression| lab.backup(compression));
    let [none, gzip, zstd] = backups;
    let backups = [none?, gzip?, zstd?];
    let plain = lab.export(&backups[0].0)?;
    let archives = [lab.archive(&backups[1].0)?, lab.archive(&backups[2].0)?];
    let mut ways = vec![Way::new("`openssl dgst -sha256` of the plain snapshot", |scratch| {
        Ok((shell(scratch, r#"exec openssl dgst -sha256 "$1""#, &[&plain])?, None))
    })];
    for (decompress, archive) in ["gzip", "zstd"].into_iter().zip(&archives) {
        let script = format!(r#"set -o pipefail; {decompress} -dc "$1" | openssl dgst -sha256"#);
        ways.push(Way::new(format!("`{decompress} -dc \\| openssl dgst -sha256`"), move |scratch| {
            Ok((shell(scratch, &script, &[archive])?, None))
        }));
    }
    for (compression, (backups, bytes)) in COMPRESSIONS.into_iter().zip(&backups) {
        ways.push(Way::new(format!("qdrant-backup, {compression}"), move |scratch| {
            Ok((lab.measure(scratch, backups, compression, &ARGS)?, Some(*bytes)))
        }));
    }
    take_turns("verify", rounds, &ways)
}
