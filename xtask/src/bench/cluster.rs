//! A backup of six shards on three nodes, compared with six sequential calls of curl: create, download, sync and
//! delete, shard after shard.

use super::{
    lab::{COLLECTION, Lab, NODES, SHARDS, shell, stored_bytes},
    turns::{Row, Way, take_turns},
};
use crate::sh::Result;

/// `$1` is the first node's URL, `$2` the collection, `$3` the prefix of each file name, `$4` the number of nodes and
/// `$5` the number of shards. The script asks each node which shards it has, as a user without other information
/// would.
const IN_A_ROW: &str = r#"
set -euo pipefail
port=${1##*:}
ask() { curl -sSf --noproxy '*' "$@"; }
for shard in $(seq 0 $(($5 - 1))); do
  for host in $(seq 1 "$4"); do
    node="http://127.0.0.$host:${port%/}/collections/$2"
    ask "$node/cluster" | sed 's/"remote_shards".*//' | grep -q "\"shard_id\":$shard," && break
  done
  snapshots="$node/shards/$shard/snapshots"
  name=$(ask -X POST "$snapshots?wait=true" | sed -n 's/.*"name" *: *"\([^"]*\)".*/\1/p')
  ask "$snapshots/$name" | PIPELINE
  sync "$3.$shard"
  ask -X DELETE -o /dev/null "$snapshots/$name?wait=true"
done
"#;

const PIPELINES: [(&str, &str); 2] = [
    ("six times `curl -o`, `sync`", r#"cat > "$3.$shard""#),
    (
        "six times `curl \\| tee >(sha256sum) \\| gzip -1`, `sync`",
        r#"tee >(sha256sum > "$3.$shard.sha256") | gzip -1 > "$3.$shard""#,
    ),
];

const WAYS: [(&str, &str); 5] = [("none", "1"), ("none", "3"), ("gzip", "1"), ("gzip", "3"), ("zstd", "3")];

pub(super) fn run(lab: &Lab, rounds: u32) -> Result<Vec<Row>> {
    let mut ways = Vec::new();
    for (name, pipeline) in PIPELINES {
        let script = IN_A_ROW.replace("PIPELINE", pipeline);
        ways.push(Way::new(name, move |scratch| {
            let file = scratch.join("shard");
            let (nodes, shards) = (NODES.to_string(), SHARDS.to_string());
            let sample = shell(scratch, &script, &[&lab.url(), &COLLECTION, &file, &nodes, &shards])?;
            Ok((sample, None))
        }));
    }
    for (compression, jobs) in WAYS {
        ways.push(Way::new(format!("qdrant-backup, {compression}, `--jobs {jobs}`"), move |scratch| {
            let backups = scratch.join("backups");
            lab.init(&backups)?;
            let sample = lab.measure(scratch, &backups, compression, &["backup", "--jobs", jobs])?;
            Ok((sample, Some(stored_bytes(&backups)?)))
        }));
    }
    take_turns("cluster", rounds, &ways)
}
