//! A complete backup (uncompressed, gzip and zstd), compared with backups without the runner: create a snapshot,
//! download it with curl into a pipeline, sync, delete it.

use super::{
    lab::{COLLECTION, COMPRESSIONS, Lab, shell, stored_bytes},
    turns::{Row, Way, take_turns},
};
use crate::sh::{Context, Result};

/// The commands before and after each pipeline. `$3` is the file to write.
const BEFORE: &str = r#"
set -euo pipefail
snapshots="$1/collections/$2/snapshots"
name=$(curl -sSf --noproxy '*' -X POST "$snapshots?wait=true" | sed -n 's/.*"name" *: *"\([^"]*\)".*/\1/p')
fetch() { curl -sSf --noproxy '*' "$@" "$snapshots/$name"; }
"#;
const AFTER: &str = r#"
curl -sSf --noproxy '*' -X DELETE -o /dev/null "$snapshots/$name?wait=true"
"#;

const PIPELINES: [(&str, &str); 5] = [
    ("`curl -o`, `sync`", r#"fetch -o "$3"; sync "$3""#),
    ("`curl \\| openssl dgst`, nothing kept", r#"fetch | openssl dgst -sha256 > /dev/null"#),
    (
        "`curl \\| tee >(sha256sum) \\| gzip -1`, `sync`",
        r#"fetch | tee >(sha256sum > "$3.sha256") | gzip -1 > "$3"; sync "$3""#,
    ),
    (
        "`curl \\| tee >(sha256sum) \\| pigz -1`, `sync`",
        r#"fetch | tee >(sha256sum > "$3.sha256") | pigz -1 > "$3"; sync "$3""#,
    ),
    (
        "`curl \\| tee >(sha256sum) \\| zstd -1`, `sync`",
        r#"fetch | tee >(sha256sum > "$3.sha256") | zstd -q -1 > "$3"; sync "$3""#,
    ),
];

pub(super) fn run(lab: &Lab, rounds: u32) -> Result<Vec<Row>> {
    let mut ways = Vec::new();
    for (name, pipeline) in PIPELINES {
        ways.push(Way::new(name, move |scratch| {
            let file = scratch.join("snapshot");
            let script = format!("{BEFORE}{pipeline}{AFTER}");
            let sample = shell(scratch, &script, &[&lab.url(), &COLLECTION, &file])?;
            let bytes = match file.metadata() {
                Ok(metadata) => Some(metadata.len()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(error).context(file.display()),
            };
            Ok((sample, bytes))
        }));
    }
    for compression in COMPRESSIONS {
        ways.push(Way::new(format!("qdrant-backup, {compression}"), move |scratch| {
            let backups = scratch.join("backups");
            lab.init(&backups)?;
            let sample = lab.measure(scratch, &backups, compression, &["backup"])?;
            Ok((sample, Some(stored_bytes(&backups)?)))
        }));
    }
    take_turns("backup", rounds, &ways)
}
