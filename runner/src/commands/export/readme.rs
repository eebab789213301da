//! The README of an exported directory: how to restore the collection with only a shell and curl. Pure functions.
//!
//! The reader may have no other tools, so each block of commands can be pasted unchanged. They run in any POSIX shell.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qdrant_backup_shared::manifest::{Archive, Manifest};
use qdrant_backup_shared::text::one_line;
use serde_json::{Value, json};

use super::by_hand::{ByHand, Key};
use crate::store::import::shard_file_name;

/// Characters that are not encoded in URLs and not special for a shell.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The shard of an archive, in a backup by shards.
pub fn shard_id(archive: &Archive) -> u32 {
    archive.shard_ids.first().copied().unwrap_or_default()
}

/// The whole text.
pub fn readme(manifest: &Manifest, by_hand: &ByHand) -> String {
    let shards = manifest.archives.len();
    let placeholders: u32 =
        by_hand.shard_keys.iter().filter(|key| key.placeholder).map(|key| key.shards_number).sum();
    let all = shards + placeholders as usize;
    let mut text = head(manifest, by_hand);
    text += CHECK;
    text += &settings(manifest);
    text += "\n## 3. Create the collection\n\n";
    text += &send("PUT", "/$COLLECTION", &by_hand.create);
    if let Some(update) = &by_hand.update {
        text += "\nSettings that can only be changed afterwards:\n\n";
        text += &send("PATCH", "/$COLLECTION", update);
    }
    if !by_hand.payload_indexes.is_empty() {
        text += "\nIts payload indexes, which are not part of the shards:\n\n";
        let bodies = by_hand.payload_indexes.iter();
        text += &joined(bodies.map(|body| send("PUT", "/$COLLECTION/index?wait=true", body)));
    }
    if !by_hand.shard_keys.is_empty() {
        text += KEYS;
        if placeholders > 0 {
            text += PLACEHOLDERS;
        }
        text.push('\n');
        let keys = by_hand.shard_keys.iter().map(Key::body);
        text += &joined(keys.map(|body| send("PUT", "/$COLLECTION/shards", &body)));
    }
    text += &uploads(manifest, all);
    if placeholders > 0 {
        text += "\nDelete the placeholder shard keys:\n\n";
        let drop =
            |key: &Key| send("POST", "/$COLLECTION/shards/delete", &json!({ "shard_key": key.shard_key }));
        let dropped = by_hand.shard_keys.iter().filter(|key| key.placeholder).map(drop);
        text += &joined(dropped.chain([sh(&format!("settle {shards}\n"))]));
    }
    text += &count(manifest, by_hand);
    text += &aliases(manifest, by_hand);
    text
}

fn head(manifest: &Manifest, by_hand: &ByHand) -> String {
    let collection = one_line(manifest.collection.as_str());
    let version = manifest.source.qdrant_version.as_deref().map_or_else(
        || "a server of unknown version".to_owned(),
        |version| format!("Qdrant {}", one_line(version)),
    );
    let points = manifest
        .points_told()
        .map_or_else(|| "an unknown number of points".to_owned(), |count| format!("{count} points"));
    let mut text = format!(
        "# Collection \"{collection}\", backup {}\n\
         \n\
         Exported by qdrant-backup {}. The backup was started at {}, from {version}: {points}, in {} shards. \
         Each file is the snapshot of one\n\
         shard, in Qdrant's format. Its digest was checked while it was written.\n\
         \n",
        manifest.backup_id,
        env!("CARGO_PKG_VERSION"),
        manifest.started_at.format("%Y-%m-%d %H:%M:%S UTC"),
        manifest.archives.len(),
    );
    for archive in &manifest.archives {
        let id = shard_id(archive);
        let keys = manifest.source.shard_keys.iter().flatten();
        let key =
            keys.filter(|key| key.shard_ids.contains(&id)).map(|key| one_line(&key.key.to_string())).next();
        let key = key.map_or_else(String::new, |key| format!(" of key {key}"));
        let from = archive.node_url.as_deref().map(one_line);
        let from = from.map_or_else(String::new, |from| format!(", from {from}"));
        let _infallible = writeln!(
            text,
            "- `{}`: shard {id}{key}, {} bytes{from}",
            shard_file_name(id),
            archive.snapshot.size_bytes
        );
    }
    text += "- `collection.json`: the requests below, for programs\n\
        - `manifest.json`: the manifest of the backup. `qdrant-backup import` makes a backup of this \
        directory again\n\
        - `SHA256SUMS`: the digests of these files\n\
        \n\
        Create a new collection with the same shards. Then upload the snapshot of each shard once, to a node \
        that has this shard. The other\n\
        replicas of the shard recover automatically. The cluster may have a different size";
    text += if manifest.source.shard_keys.is_some() {
        ", but it must be a cluster, because\nshard keys need cluster mode (one node in cluster mode is enough).\n"
    } else {
        ", and a server outside cluster mode\nworks too.\n"
    };
    if !by_hand.lacking.is_empty() {
        text += "\nThe steps below do not restore:\n\n";
        for line in &by_hand.lacking {
            let _infallible = writeln!(text, "- {}", one_line(line));
        }
    }
    text
}

const CHECK: &str = "\n## 1. Check the files\n\n```sh\nsha256sum -c SHA256SUMS\n```\n";

const KEYS: &str = "\n\
    Its shard keys, in exactly this order. Qdrant numbers the shards in the order in which they are created, \
    and points are only found if the\n\
    numbers are the same.\n";

const PLACEHOLDERS: &str = "Keys named `qdrant-backup-gap-…` are placeholders for the numbers of deleted shards. They are deleted at the end.\n";

const SETTINGS: &str = "\n\
    ## 2. Set the target\n\
    \n\
    Run the commands below in `sh` or `bash`, in this directory. First set these variables:\n\
    \n\
    - `QDRANT`: the URL of the server, or of one node of the cluster\n\
    - `NODES`: the URLs of all nodes, separated by spaces; not needed for a single server\n\
    - `KEY`: if the server needs an API key, a file with the line `api-key: …` that only you can read\n\
    - `COLLECTION`: another name, if a collection with this name exists; percent-encoded for a URL\n\
    \n\
    ```sh\n\
    QDRANT=${QDRANT:-http://localhost:6333}\n\
    NODES=${NODES:-$QDRANT}\n\
    KEY=${KEY:-}\n";

const FUNCTIONS: &str = r#"
ask() { curl -sS --fail ${KEY:+-H "@$KEY"} "$@"; }

# Sends standard input to a path.
send() { ask -X "$1" "$QDRANT/collections$2" -H 'content-type: application/json' --data-binary @- && echo; }

# Waits until every node shows this number of shards, all replicas active, and no transfers.
settle() {
  for node in $NODES; do
    until shown=$(ask "$node/collections/$COLLECTION/cluster") &&
      printf '%s\n' "$shown" | grep -q "\"shard_count\":$1[,}]" &&
      printf '%s\n' "$shown" | grep -q '"shard_transfers":\[\]' &&
      ! printf '%s\n' "$shown" | sed 's/"state":"Active"//g' | grep -q '"state":'
    do
      echo "waiting for $node"
      sleep 2
    done
  done
}

# The first node that has a shard: its cluster page lists it as local.
holder() {
  for node in $NODES; do
    if ask "$node/collections/$COLLECTION/cluster" |
      sed 's/.*"local_shards":\[//; s/\],"remote_shards":.*//' | grep -q "\"shard_id\":$1[,}]"
    then
      echo "$node"
      return
    fi
  done
  echo "no node of NODES has shard $1" >&2
  return 1
}

# Uploads the file of a shard to a node that has the shard.
upload() {
  node=$(holder "$1") &&
    ask -X POST -F "snapshot=@shard-$1.snapshot" \
      "$node/collections/$COLLECTION/shards/$1/snapshots/upload?priority=snapshot&checksum=$2" && echo
}
"#;

fn settings(manifest: &Manifest) -> String {
    let name = utf8_percent_encode(manifest.collection.as_str(), ENCODED);
    format!("{SETTINGS}COLLECTION=${{COLLECTION:-{name}}}\n{FUNCTIONS}```\n")
}

fn uploads(manifest: &Manifest, shards: usize) -> String {
    let mut commands = format!("settle {shards}\n");
    for archive in &manifest.archives {
        let _infallible = writeln!(commands, "upload {} {}", shard_id(archive), archive.snapshot.sha256);
    }
    // The effect of an upload on other replicas is not visible at once.
    let _infallible = writeln!(commands, "sleep 3\nsettle {shards}");
    format!(
        "\n\
         ## 4. Upload the shards\n\
         \n\
         Upload each shard only once: after a second upload, its replicas mark each other as dead. If an \
         upload fails, delete the collection\n\
         (`curl -X DELETE $QDRANT/collections/$COLLECTION`) and start again at step 3.\n\
         \n\
         {}",
        sh(&commands)
    )
}

fn count(manifest: &Manifest, by_hand: &ByHand) -> String {
    let source = &manifest.source;
    let expected = match (source.points_count_before, source.points_count_after) {
        (Some(before), Some(after)) if before == after => format!("Expected: {before} points."),
        (Some(before), Some(after)) => format!(
            "There were {before} points before the snapshots and {after} after them. The collection was \
             being written to, so a number close to these is\n\
             correct."
        ),
        _ => manifest.points_told().map_or_else(
            || "The number of points is unknown.".to_owned(),
            |count| format!("Expected: {count} points."),
        ),
    };
    let body = json!({ "exact": !by_hand.forbids_exact_counts() });
    format!("\n## 5. Count\n\n{expected}\n\n{}", send("POST", "/$COLLECTION/points/count", &body))
}

fn aliases(manifest: &Manifest, by_hand: &ByHand) -> String {
    let name = manifest.collection.as_str();
    // If nothing is encoded, the name in the URL equals the name.
    let is_plain = utf8_percent_encode(name, ENCODED).to_string() == name;
    let named = if is_plain { "@COLLECTION@" } else { name };
    let Some(actions) = by_hand.alias_actions(named) else { return String::new() };
    let mut text = "\n\
        ## 6. Aliases\n\
        \n\
        Do this last, after you have checked the collection: from then on, these names refer to it, whatever \
        they referred to before.\n"
        .to_owned();
    if is_plain {
        text.push('\n');
        text += &sh(&format!(
            "sed \"s/@COLLECTION@/$COLLECTION/\" <<'JSON' | send POST /aliases\n{actions}\nJSON\n"
        ));
    } else {
        text += "The request contains the collection's name: change it there if COLLECTION is a different one.\n\n";
        text += &send("POST", "/aliases", &actions);
    }
    text
}

fn joined(blocks: impl Iterator<Item = String>) -> String {
    blocks.collect::<String>().replace("```\n```sh\n", "")
}

/// A block that sends `body`, on one line.
fn send(method: &str, path: &str, body: &Value) -> String {
    sh(&format!("send {method} \"{path}\" <<'JSON'\n{body}\nJSON\n"))
}

fn sh(commands: &str) -> String {
    format!("```sh\n{commands}```\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use qdrant_backup_shared::json_file;

    use super::*;

    /// The text for a backup by shards of `collection` with this source.
    fn of(collection: &str, shard_ids: &[u32], source: &Value) -> String {
        let digest = json!({ "size_bytes": 9, "sha256": "ab".repeat(32) });
        let archive = |id: &u32| {
            json!({
                "file_name": format!("a.shard-{id}.snapshot"), "node_url": "http://qdrant-1:6333/", "shard_ids": [id], "scope": "shard",
                "snapshot": digest, "stored": digest, "server_checksum": "matched"
            })
        };
        let manifest = json!({
            "schema_version": 1, "requires": ["shard_archives"], "backup_id": "2025-07-15-14-30-00", "collection": collection,
            "origin": "snapshot", "run_id": "x", "started_at": "2025-07-15T14:30:00Z", "completed_at": "2025-07-15T14:30:09Z",
            "source": source, "archives": shard_ids.iter().map(archive).collect::<Vec<_>>(), "runner_version": "0.1.0"
        });
        let manifest: Manifest = json_file::parse(Path::new("m"), manifest.to_string().as_bytes()).unwrap();
        readme(&manifest, &ByHand::of(&manifest))
    }

    #[test]
    fn gaps_in_the_ids_are_filled_before_the_uploads_and_dropped_after_them() {
        let text = of(
            "docs",
            &[1, 2, 4],
            &json!({
                "config": { "params": { "sharding_method": "custom", "shard_number": 1 } },
                "shard_keys": [{ "key": "eu", "shard_ids": [1, 2], "replicas": 2 }, { "key": 7, "shard_ids": [4] }], "shard_count": 3
            }),
        );
        let order = [
            "{\"replication_factor\":2,\"shard_key\":\"eu\",\"shards_number\":2}",
            "{\"shard_key\":\"qdrant-backup-gap-3\",\"shards_number\":1}",
            "{\"shard_key\":7,\"shards_number\":1}",
            "settle 4\nupload 1 abab",
            "upload 4 abab",
            "send POST \"/$COLLECTION/shards/delete\" <<'JSON'\n{\"shard_key\":\"qdrant-backup-gap-3\"}",
            "settle 3\n",
        ];
        let places: Vec<usize> = order.iter().map(|part| text.find(part).expect(part)).collect();
        assert!(places.is_sorted(), "{places:?}\n{text}");
        assert!(text.contains("it must be a cluster"), "{text}");
        assert!(text.contains("- `shard-4.snapshot`: shard 4 of key 7, 9 bytes, from http://qdrant-1:6333/"));
    }

    #[test]
    fn what_the_backup_does_not_know_or_no_request_takes_is_told() {
        let text = of("docs", &[0], &json!({ "config": { "params": { "colour": "red" }, "galaxy": 1 } }));
        for told in [
            "- no request can set galaxy of the configuration",
            "- no request can set params.colour of the configuration",
            "- the backup does not contain the list of payload indexes",
            "- the backup does not contain the list of aliases",
            "The number of points is unknown.",
        ] {
            assert!(text.contains(told), "{told}\n{text}");
        }
        let none = of("docs", &[0], &json!({}));
        assert!(none.contains("- the backup does not contain the collection's configuration"), "{none}");
        let keys = json!({ "shard_keys": [{ "key": "eu", "shard_ids": [1, 3] }, { "key": "us", "shard_ids": [2] }] });
        let scattered = of("docs", &[1, 2, 3], &keys);
        assert!(scattered.contains("- the shard keys cannot be created again: the shards of key \"eu\""));
    }

    #[test]
    fn names_are_encoded_for_the_url_and_cannot_leave_their_place() {
        let aliases = json!({ "aliases": ["it's"], "payload_schema": {}, "config": {} });
        let odd = of("a/b ~$(reboot)\n```sh\nreboot", &[0], &aliases);
        assert!(odd.contains("COLLECTION=${COLLECTION:-a%2Fb%20%7E%24%28reboot%29%0A%60%60%60sh%0Areboot}"));
        assert!(!odd.contains("\nreboot"), "{odd}");
        assert!(odd.contains("The request contains the collection's name"));
        let plain = of("docs", &[0], &aliases);
        assert!(
            plain.contains("sed \"s/@COLLECTION@/$COLLECTION/\" <<'JSON' | send POST /aliases"),
            "{plain}"
        );
        assert!(plain.contains(r#"{"create_alias":{"alias_name":"it's","collection_name":"@COLLECTION@"}}"#));
    }

    #[test]
    fn where_exact_counts_are_forbidden_none_is_asked_for() {
        let strict =
            json!({ "config": { "strict_mode_config": { "enabled": true, "search_allow_exact": false } } });
        assert!(of("docs", &[0], &strict).contains("{\"exact\":false}"));
        let off =
            json!({ "config": { "strict_mode_config": { "enabled": false, "search_allow_exact": false } } });
        assert!(of("docs", &[0], &off).contains("{\"exact\":true}"));
    }

    #[test]
    fn what_is_set_afterwards_is_sent_afterwards() {
        let text = of(
            "docs",
            &[0],
            &json!({ "config": { "params": { "shard_number": 1, "read_fan_out_factor": 2 } } }),
        );
        assert!(text.contains(
            "send PATCH \"/$COLLECTION\" <<'JSON'\n{\"params\":{\"read_fan_out_factor\":2}}\nJSON\n"
        ));
    }
}
