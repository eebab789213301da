//! Structural defects with matching digests, which only the contents show.

use std::collections::BTreeSet;

use qdrant_backup_shared::manifest::Encoding;
use qdrant_backup_shared::verification::CheckOutcome;

use super::stored::{COLLECTIONS, Place, describe, genuine, stored, tally};
use super::structure::{Entry, append, put_together, take_apart, whole};
use crate::verify::Depth;

const ID: &str = "2025-07-15-14-30-00";

/// A snapshot with a defect, and a description of the defect.
struct Defect {
    sort: &'static str,
    what: String,
    snapshot: Vec<u8>,
}

/// Checks a defect of `name` with matching digests.
fn outcome(place: &Place, name: &str, snapshot: &[u8], gzip: bool) -> (CheckOutcome, Vec<String>) {
    let encoding = if gzip { vec![Encoding::Gzip] } else { vec![] };
    let mut manifest = describe("docs", ID, &genuine(name), &encoding);
    let archive = stored(snapshot, &encoding);
    manifest.archives[0].snapshot = tally(snapshot);
    manifest.archives[0].stored = tally(&archive);
    let backup = place.put(&manifest, &archive);
    assert_eq!(place.check(&backup, Depth::Checksum).outcome, CheckOutcome::Passed);
    let check = place.check(&backup, Depth::Archive);
    (check.outcome, check.findings.into_iter().map(|finding| finding.message).collect())
}

/// A missing member cannot be detected if there are several of its kind, because the archive does not contain their
/// number.
fn one_of_several(entries: &[Entry], name: &str) -> bool {
    ["/wal/", "/segments/"].iter().any(|part| {
        name.split_once(part).is_some_and(|(shard, _)| {
            let prefix = format!("{shard}{part}");
            entries.iter().filter(|entry| entry.name().starts_with(&prefix)).count() > 1
        })
    })
}

fn missing_members(entries: &[Entry], defects: &mut Vec<Defect>) {
    for place in 0..entries.len() {
        let what = entries[place].name();
        if what.ends_with('/') || one_of_several(entries, &what) {
            continue;
        }
        let mut rest = entries.to_vec();
        rest.remove(place);
        defects.push(Defect { sort: "member missing", what, snapshot: whole(&rest) });
    }
}

fn cut_segments(entries: &[Entry], random: &mut fastrand::Rng, defects: &mut Vec<Defect>) {
    for (place, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.name().ends_with(".tar")) {
        let mut lengths = vec![0, entry.data.len() - 512, random.usize(..entry.data.len())];
        // Between two members, at a block boundary.
        let inside = take_apart(&entry.data);
        lengths.push(put_together(&inside[..inside.len() - 1]).len());
        lengths.push(put_together(&inside[..inside.len() / 2]).len());
        for length in lengths {
            let mut cut = entries.to_vec();
            cut[place].data.truncate(length);
            let what = format!("{} to {length}", entry.name());
            defects.push(Defect { sort: "segment cut", what, snapshot: whole(&cut) });
        }
    }
}

fn bad_names(entries: &[Entry], defects: &mut Vec<Defect>) {
    for (sort, name) in
        [("absolute path", "/etc/cron.d/x"), ("parent path", "0/../../x"), ("parent path", "../x")]
    {
        let mut more = entries.to_vec();
        more.push(Entry::new(b'0', name, b"x"));
        defects.push(Defect { sort, what: format!("{name} added"), snapshot: whole(&more) });
        let mut renamed = entries.to_vec();
        let last = renamed.len() - 1;
        renamed[last].rename(name);
        defects.push(Defect { sort, what: format!("{name} renamed to"), snapshot: whole(&renamed) });
    }
}

fn links(entries: &[Entry], defects: &mut Vec<Defect>) {
    for (kind, target) in [(b'2', "/etc/passwd"), (b'2', "../../x"), (b'1', "/etc/passwd")] {
        let mut link = Entry::new(kind, "0/link", b"");
        link.header.set_link_name_literal(target).unwrap();
        let mut more = entries.to_vec();
        more.insert(0, link);
        defects.push(Defect {
            sort: "a link that points outside",
            what: format!("to {target}"),
            snapshot: whole(&more),
        });
    }
    let mut more = entries.to_vec();
    more.push(Entry::new(b'3', "0/device", b""));
    defects.push(Defect { sort: "device", what: "0/device".to_owned(), snapshot: whole(&more) });
}

fn absurd_sizes(entries: &[Entry], defects: &mut Vec<Defect>) {
    for size in [1 << 62, 1 << 50, 1 << 40] {
        let mut tar = put_together(entries);
        let mut header = Entry::new(b'0', "0/large", b"").header;
        header.set_size(size);
        append(&mut tar, header, b"");
        tar.extend_from_slice(&[0; 1024]);
        defects.push(Defect { sort: "size absurd", what: format!("{size} bytes"), snapshot: tar });
    }
    let mut sparse = Entry::new(b'S', "0/wal/sparse", b"").header;
    let gnu = sparse.as_gnu_mut().unwrap();
    gnu.set_real_size(1 << 61);
    gnu.sparse[0].set_offset(1 << 61);
    gnu.sparse[0].set_length(0);
    let mut tar = put_together(entries);
    append(&mut tar, sparse, b"");
    tar.extend_from_slice(&[0; 1024]);
    defects.push(Defect { sort: "size absurd", what: "sparse".to_owned(), snapshot: tar });
}

/// The member `name`, replaced by that of another snapshot if the two differ.
fn foreign_configs(name: &str, entries: &[Entry], defects: &mut Vec<Defect>) {
    let own = entries.iter().position(|entry| entry.name() == "config.json").unwrap();
    let params =
        |entry: &Entry| serde_json::from_slice::<serde_json::Value>(&entry.data).unwrap()["params"].clone();
    for other in COLLECTIONS.iter().filter(|other| **other != name) {
        let theirs =
            take_apart(&genuine(other)).into_iter().find(|entry| entry.name() == "config.json").unwrap();
        if params(&theirs) != params(&entries[own]) {
            let mut changed = entries.to_vec();
            changed[own].data = theirs.data;
            let what = format!("of {other}");
            defects.push(Defect { sort: "config of another", what, snapshot: whole(&changed) });
        }
    }
}

fn torn_files(entries: &[Entry], defects: &mut Vec<Defect>) {
    for (place, entry) in entries.iter().enumerate() {
        let name = entry.name();
        if name.ends_with(".json") || name.ends_with("version.info") {
            for data in [&b""[..], &[0; 64]] {
                let mut changed = entries.to_vec();
                changed[place].data = data.to_vec();
                defects.push(Defect { sort: "member torn", what: name.clone(), snapshot: whole(&changed) });
            }
        }
    }
    let mut tar = whole(entries);
    tar.extend_from_slice(b"trailing");
    defects.push(Defect { sort: "end", what: "trailing data".to_owned(), snapshot: tar });
    defects.push(Defect { sort: "end", what: "no end marker".to_owned(), snapshot: put_together(entries) });
}

#[test]
fn structural_defects_behind_matching_digests_are_all_found() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    let mut found = BTreeSet::new();
    for name in COLLECTIONS {
        let entries = take_apart(&genuine(name));
        let mut defects = Vec::new();
        missing_members(&entries, &mut defects);
        cut_segments(&entries, &mut random, &mut defects);
        bad_names(&entries, &mut defects);
        links(&entries, &mut defects);
        absurd_sizes(&entries, &mut defects);
        foreign_configs(name, &entries, &mut defects);
        torn_files(&entries, &mut defects);
        assert_eq!(outcome(&place, name, &whole(&entries), true).0, CheckOutcome::Passed, "{name} rewritten");
        for Defect { sort, what, snapshot } in defects {
            let (outcome, findings) = outcome(&place, name, &snapshot, random.bool());
            assert_eq!(outcome, CheckOutcome::Failed, "{name}: {sort}: {what}: {findings:?}");
            assert!(!findings.is_empty());
            found.insert(sort);
        }
    }
    let sorts = [
        "a link that points outside",
        "absolute path",
        "config of another",
        "device",
        "end",
        "member missing",
        "member torn",
        "parent path",
        "segment cut",
        "size absurd",
    ];
    assert_eq!(found, BTreeSet::from(sorts));
}

#[test]
fn another_snapshot_in_its_place_is_found() {
    let place = Place::new();
    let name = "1.18.3/mixtral_embeddings.snapshot";
    // Another collection, another node of a cluster, a single shard.
    for other in [
        "1.18.3/minilm_general.snapshot",
        "1.18.3/cluster-node-3.spread.snapshot",
        "1.18.3/mixtral_embeddings.shard-0.snapshot",
    ] {
        let (outcome, findings) = outcome(&place, name, &genuine(other), true);
        assert_eq!(outcome, CheckOutcome::Failed, "{other}: {findings:?}");
    }
    let node = "1.18.3/cluster-node-1.spread.snapshot";
    let (outcome, findings) = outcome(&place, node, &genuine("1.18.3/cluster-node-3.spread.snapshot"), true);
    assert_eq!(outcome, CheckOutcome::Failed);
    assert_eq!(findings, ["segments are of shards 1, expected shards 0"]);
}
