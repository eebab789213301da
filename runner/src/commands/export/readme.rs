//! The README of an exported directory: how the collection is made again with nothing but a shell and curl. Pure.
//!
//! Whoever reads it may have nothing else, so each block of commands can be pasted as it stands. They run in any POSIX shell.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qdrant_backup_shared::manifest::{Archive, Manifest};
use qdrant_backup_shared::text::one_line;
use serde_json::{Value, json};

use super::by_hand::{ByHand, Key};
use crate::store::import::shard_file_name;

/// What stays as it is in a URL, and means nothing to a shell.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The shard that an archive of a backup by shards is of.
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
    text += "\n## 3. Make the collection\n\n";
    text += &send("PUT", "/$COLLECTION", &by_hand.create);
    if let Some(update) = &by_hand.update {
        text += "\nWhat can only be set afterwards:\n\n";
        text += &send("PATCH", "/$COLLECTION", update);
    }
    if !by_hand.payload_indexes.is_empty() {
        text += "\nIts payload indexes. Shards bring none:\n\n";
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
        text += "\nDrop what only took up ids:\n\n";
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
        || "a server whose version is not known".to_owned(),
        |version| format!("Qdrant {}", one_line(version)),
    );
    let points = manifest
        .points_told()
        .map_or_else(|| "how many points it has is not known".to_owned(), |count| format!("{count} points"));
    let mut text = format!(
        "# Collection \"{collection}\", backup {}\n\n\
         Exported by qdrant-backup {}. The backup was begun at {}, of {version}: {points}, in {} shards. Each file is the snapshot of one shard as\n\
         Qdrant made it, and was compared with its digest while it was written.\n\n",
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
        - `manifest.json`: all that is known of the backup. `qdrant-backup import` makes a backup of this directory again\n\
        - `SHA256SUMS`: the digests of these files\n\n\
        The collection is made new, with the same shards, and each shard's snapshot is uploaded once, to a node that holds that shard. Other\n\
        replicas of it recover from there by themselves. The cluster need not be of the same size";
    text += if manifest.source.shard_keys.is_some() {
        "; but it must be a cluster, for shard\nkeys cannot be made elsewhere (one node in cluster mode will do).\n"
    } else {
        ", and a server outside cluster mode will do as\nwell.\n"
    };
    if !by_hand.lacking.is_empty() {
        text += "\nWhat the steps below do not bring back:\n\n";
        for line in &by_hand.lacking {
            let _infallible = writeln!(text, "- {}", one_line(line));
        }
    }
    text
}

const CHECK: &str = "\n## 1. Are the files whole?\n\n```sh\nsha256sum -c SHA256SUMS\n```\n";

const KEYS: &str = "\nIts shard keys, in this order and no other. Qdrant numbers shards as they come, and points are found by the numbers that their shards\n\
    had.\n";

const PLACEHOLDERS: &str = "Keys called `qdrant-backup-gap-…` only take up numbers of shards that are gone, and are dropped in the end.\n";

const SETTINGS: &str = "\n## 2. Where to\n\n\
    All that follows is for `sh` or `bash`, in this directory. Set these first:\n\n\
    - `QDRANT`: the URL of the server, or of one node of the cluster\n\
    - `NODES`: the URLs of all nodes, separated by spaces; for a single server leave it out\n\
    - `KEY`: where a key is needed, a file with the line `api-key: …`, which only you can read\n\
    - `COLLECTION`: another name, if there is a collection of this one already, as it has to stand in a URL\n\n\
    ```sh\n\
    QDRANT=${QDRANT:-http://localhost:6333}\n\
    NODES=${NODES:-$QDRANT}\n\
    KEY=${KEY:-}\n";

const FUNCTIONS: &str = r#"
ask() { curl -sS --fail ${KEY:+-H "@$KEY"} "$@"; }

# Sends what is typed in to a path.
send() { ask -X "$1" "$QDRANT/collections$2" -H 'content-type: application/json' --data-binary @- && echo; }

# Waits until every node shows that many shards, all replicas active and none on its way.
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

# The first node that holds a shard: its cluster page has the shard among the local ones.
holder() {
  for node in $NODES; do
    if ask "$node/collections/$COLLECTION/cluster" |
      sed 's/.*"local_shards":\[//; s/\],"remote_shards":.*//' | grep -q "\"shard_id\":$1[,}]"
    then
      echo "$node"
      return
    fi
  done
  echo "no node of NODES holds shard $1" >&2
  return 1
}

# Uploads a shard's file to a node that holds the shard.
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
    // What an upload makes of the other replicas is not seen at once.
    let _infallible = writeln!(commands, "sleep 3\nsettle {shards}");
    format!(
        "\n## 4. Upload the shards\n\n\
         Once each: a second upload of a shard makes its replicas call each other dead. If one fails, delete the collection\n\
         (`curl -X DELETE $QDRANT/collections/$COLLECTION`) and begin again at 3.\n\n{}",
        sh(&commands)
    )
}

fn count(manifest: &Manifest, by_hand: &ByHand) -> String {
    let source = &manifest.source;
    let expected = match (source.points_count_before, source.points_count_after) {
        (Some(before), Some(after)) if before == after => format!("{before} points were counted."),
        (Some(before), Some(after)) => format!(
            "{before} points were counted before the snapshots were made and {after} after it: it was written to meanwhile, so that another number\n\
             near these is well."
        ),
        _ => manifest.points_told().map_or_else(
            || "How many there were is not known.".to_owned(),
            |count| format!("There were {count}."),
        ),
    };
    let body = json!({ "exact": !by_hand.forbids_exact_counts() });
    format!("\n## 5. Count\n\n{expected}\n\n{}", send("POST", "/$COLLECTION/points/count", &body))
}

fn aliases(manifest: &Manifest, by_hand: &ByHand) -> String {
    let name = manifest.collection.as_str();
    // As long as nothing in it is encoded, the name in the URL is the name.
    let is_plain = utf8_percent_encode(name, ENCODED).to_string() == name;
    let named = if is_plain { "@COLLECTION@" } else { name };
    let Some(actions) = by_hand.alias_actions(named) else { return String::new() };
    let mut text = "\n## 6. Aliases\n\n\
        Only when all is well: from then on whoever uses these names reads this collection, whatever they stood for before.\n"
        .to_owned();
    if is_plain {
        text.push('\n');
        text += &sh(&format!(
            "sed \"s/@COLLECTION@/$COLLECTION/\" <<'JSON' | send POST /aliases\n{actions}\nJSON\n"
        ));
    } else {
        text +=
            "The collection's name is in the request as it is: change it there if COLLECTION is another.\n\n";
        text += &send("POST", "/aliases", &actions);
    }
    text
}

fn joined(blocks: impl Iterator<Item = String>) -> String {
    blocks.collect::<String>().replace("```\n```sh\n", "")
}

/// A block that sends `body`. On one line, for JSON has no other line breaks than those between its parts.
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
            "- no request takes galaxy of the configuration",
            "- no request takes params.colour of the configuration",
            "- the backup does not know the payload indexes",
            "- the backup does not know the aliases",
            "How many there were is not known.",
        ] {
            assert!(text.contains(told), "{told}\n{text}");
        }
        let none = of("docs", &[0], &json!({}));
        assert!(none.contains("- the backup does not know the collection's configuration"), "{none}");
        let keys = json!({ "shard_keys": [{ "key": "eu", "shard_ids": [1, 3] }, { "key": "us", "shard_ids": [2] }] });
        let scattered = of("docs", &[1, 2, 3], &keys);
        assert!(scattered.contains("- the shard keys cannot be made again: the shards of key \"eu\""));
    }

    #[test]
    fn names_are_encoded_for_the_url_and_cannot_leave_their_place() {
        let aliases = json!({ "aliases": ["it's"], "payload_schema": {}, "config": {} });
        let odd = of("a/b ~$(reboot)\n```sh\nreboot", &[0], &aliases);
        assert!(odd.contains("COLLECTION=${COLLECTION:-a%2Fb%20%7E%24%28reboot%29%0A%60%60%60sh%0Areboot}"));
        assert!(!odd.contains("\nreboot"), "{odd}");
        assert!(odd.contains("The collection's name is in the request as it is"));
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
