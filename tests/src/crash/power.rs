//! Every state that a kill or a power failure can leave.
//!
//! Names, as on ext4 and xfs: a log of all changes, of which a prefix survives. For file systems that promise less,
//! as in ALICE and CrashMonkey: any one change that is not durable is missing, any one is applied alone, each
//! directory is at a different point in time, and a rename leaves the old name. Data that was not synced: all of it,
//! none, zeros, half of it, or every other sector.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::change::{Change, Id};
use super::disk::{Disk, File, Kept, Names, rename, tree};
use super::tree::{Blob, Node, Tree};

/// The unit in which data reaches the disk.
const SECTOR: usize = 512;
/// The maximum number of combinations of directory times to try.
const COMBINATIONS_MAX: usize = 64;

/// What happened to unsynced data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fate {
    Whole,
    Lost,
    Zeros,
    Torn,
    Sectors,
}

const FATES: [Fate; 5] = [Fate::Whole, Fate::Lost, Fate::Zeros, Fate::Torn, Fate::Sectors];

/// The possible states after a crash at this moment, each once. The first is the state after a kill.
pub(crate) fn states(disk: &Disk) -> Vec<Tree> {
    let mut blobs: HashMap<(Id, Fate), Arc<Blob>> = HashMap::new();
    let dirty = dirty(disk);
    for (id, file) in &disk.files {
        for fate in FATES {
            if fate == Fate::Whole || dirty.contains(id) {
                blobs.insert((*id, fate), Blob::of(after(file, fate)));
            }
        }
    }
    let mut seen = HashSet::new();
    let mut states = Vec::new();
    for names in all_names(disk) {
        for fates in all_fates(&dirty) {
            let fate = |id: &Id| fates.get(id).copied().unwrap_or(Fate::Whole);
            let blob = |id: Id| {
                let blob = || blobs[&(id, fate(&id))].clone();
                disk.node(id, |_| blob())
            };
            let tree: Tree = tree(&names, &blob as &dyn Fn(Id) -> Node);
            if seen.insert(tree.digest()) {
                states.push(tree);
            }
        }
    }
    states
}

/// The files that may differ from their current contents, under any name.
fn dirty(disk: &Disk) -> Vec<Id> {
    let named =
        [&disk.settled, &disk.names].into_iter().flat_map(|names| names.values()).flat_map(BTreeMap::values);
    let ids: BTreeSet<Id> =
        named.copied().chain(disk.pending.iter().map(|(change, _)| change.id())).collect();
    ids.into_iter().filter(|id| disk.files.get(id).is_some_and(|file| !file.lasts())).collect()
}

/// Calls `each` with the states before the first of `changes` and after each, and with the number of changes made by
/// then, until `each` returns that it has seen enough. Returns the number of states.
pub fn states_after<'a>(
    before: &Tree,
    changes: impl IntoIterator<Item = &'a Change>,
    mut each: impl FnMut(usize, &Tree) -> ControlFlow<()>,
) -> usize {
    let mut disk = Disk::of(before);
    let mut all = 0;
    let mut changes = changes.into_iter();
    for made in 0.. {
        for state in states(&disk) {
            all += 1;
            if each(made, &state).is_break() {
                return all;
            }
        }
        let Some(change) = changes.next() else { break };
        disk.apply(change);
    }
    all
}

/// The contents of `file` in that case.
fn after(file: &File, fate: Fate) -> Vec<u8> {
    let new = file.now.as_slice();
    let old = file.synced.as_ref().map_or(&[][..], |synced| synced.as_slice());
    let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let middle = same + (new.len() - same) / 2;
    match fate {
        Fate::Whole => new.to_vec(),
        Fate::Lost => old.to_vec(),
        Fate::Zeros => [&new[..same], &vec![0; new.len() - same]].concat(),
        Fate::Torn => [&new[..middle], old.get(middle..).unwrap_or_default()].concat(),
        Fate::Sectors => {
            let mut bytes = new.to_vec();
            bytes[same..].chunks_mut(SECTOR).step_by(2).for_each(|sector| sector.fill(0));
            bytes
        }
    }
}

/// The same outcome for all files, or a different one for one file.
fn all_fates(dirty: &[Id]) -> Vec<HashMap<Id, Fate>> {
    let all = |fate: Fate| dirty.iter().map(|id| (*id, fate)).collect::<HashMap<_, _>>();
    if dirty.is_empty() {
        return vec![HashMap::new()];
    }
    let mut fates: Vec<HashMap<Id, Fate>> = FATES.iter().map(|fate| all(*fate)).collect();
    if dirty.len() > 1 {
        for id in dirty {
            for (one, others) in
                [(Fate::Lost, Fate::Whole), (Fate::Whole, Fate::Lost), (Fate::Torn, Fate::Whole)]
            {
                let mut fate = all(others);
                fate.insert(*id, one);
                fates.push(fate);
            }
        }
    }
    fates
}

/// The possible sets of names.
fn all_names(disk: &Disk) -> Vec<Names> {
    let pending = &disk.pending;
    let with = |happened: &dyn Fn(usize) -> Option<Kept>| {
        let mut names = disk.settled.clone();
        for (at, (change, lasts)) in pending.iter().enumerate() {
            let kept = if *lasts { Some(Kept::New) } else { happened(at) };
            if let Some(kept) = kept {
                rename(&mut names, change, kept);
            }
        }
        names
    };
    let mut all = vec![disk.names.clone()];
    // A prefix of the log survives, which contains at least all durable changes.
    let lasting = pending.iter().rposition(|(_, lasts)| *lasts).map_or(0, |at| at + 1);
    for end in lasting..pending.len() {
        all.push(with(&|at| (at < end || at < lasting).then_some(Kept::New)));
    }
    let loose: Vec<usize> = (0..pending.len()).filter(|at| !pending[*at].1).collect();
    all.push(with(&|_| None));
    for one in &loose {
        all.push(with(&|at| (at != *one).then_some(Kept::New)));
        all.push(with(&|at| (at == *one).then_some(Kept::New)));
        if matches!(pending[*one].0, Change::Rename { .. }) {
            all.push(with(&|at| Some(if at == *one { Kept::Both } else { Kept::New })));
        }
    }
    // Each directory at a different point in time.
    let directory = |at: usize| pending[at].0.directory();
    let directories: BTreeSet<Id> = loose.iter().filter_map(|at| directory(*at)).collect();
    let mut times: Vec<HashMap<Id, usize>> = vec![HashMap::new()];
    for id in directories {
        let ends: Vec<usize> =
            loose.iter().filter(|at| directory(**at) == Some(id)).copied().chain([usize::MAX]).collect();
        times = times
            .iter()
            .flat_map(|time| ends.iter().map(move |end| (time, *end)))
            .map(|(time, end)| {
                let mut time = time.clone();
                time.insert(id, end);
                time
            })
            .collect();
        // Limits the number of combinations.
        let step = times.len().div_ceil(COMBINATIONS_MAX);
        times = times.into_iter().step_by(step).collect();
    }
    for time in times {
        let before_end = |at: usize| directory(at).and_then(|id| time.get(&id)).is_none_or(|end| at < *end);
        all.push(with(&|at| before_end(at).then_some(Kept::New)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::change::ROOT;

    fn file(name: &str, id: Id) -> Change {
        Change::Name { directory: ROOT, name: name.to_owned(), id }
    }

    fn write(id: Id, text: &str) -> Change {
        Change::Write { id, offset: 0, bytes: text.as_bytes().to_vec() }
    }

    fn shown(changes: &[Change]) -> BTreeSet<Vec<(String, String)>> {
        let mut disk = Disk::of(&Tree::default());
        changes.iter().for_each(|change| disk.apply(change));
        let text = |(path, blob): (&str, &Arc<Blob>)| {
            (path.to_owned(), String::from_utf8(blob.bytes.clone()).unwrap())
        };
        states(&disk).iter().map(|tree| tree.files().map(text).collect()).collect()
    }

    fn of(files: &[&[(&str, &str)]]) -> BTreeSet<Vec<(String, String)>> {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        files.iter().map(|files| files.iter().map(own).collect()).collect()
    }

    #[test]
    fn what_is_synced_lasts_and_what_is_not_may_be_anything_between() {
        let (made, synced) = ([file("a", 1), write(1, "xy")], Change::Sync { id: 1 });
        let unsynced: &[&[(&str, &str)]] =
            &[&[], &[("a", "")], &[("a", "\0\0")], &[("a", "x")], &[("a", "xy")]];
        assert_eq!(shown(&made), of(unsynced));
        let [one, two] = made;
        assert_eq!(shown(&[one.clone(), two.clone(), synced.clone()]), of(&[&[], &[("a", "xy")]]));
        assert_eq!(shown(&[one, two, synced, Change::Sync { id: ROOT }]), of(&[&[("a", "xy")]]));
    }

    #[test]
    fn a_rename_that_is_not_synced_may_have_happened_or_not_or_by_half() {
        let rename = Change::Rename { directory: ROOT, from: "a".to_owned(), to: "b".to_owned(), id: 1 };
        let changes =
            [file("a", 1), write(1, "x"), Change::Sync { id: 1 }, Change::Sync { id: ROOT }, rename.clone()];
        assert_eq!(shown(&changes), of(&[&[("a", "x")], &[("b", "x")], &[("a", "x"), ("b", "x")]]));
        let lasting = [&changes[..], &[Change::Sync { id: ROOT }]].concat();
        assert_eq!(shown(&lasting), of(&[&[("b", "x")]]));
    }

    #[test]
    fn of_two_changes_either_may_be_lost() {
        let states = shown(&[file("a", 1), file("b", 2)]);
        assert_eq!(states, of(&[&[], &[("a", "")], &[("b", "")], &[("a", ""), ("b", "")]]));
    }

    #[test]
    fn what_is_in_a_directory_that_is_lost_is_lost_with_it() {
        let directory = Change::MakeDirectory { directory: ROOT, name: "d".to_owned(), id: 1 };
        let inside = Change::Name { directory: 1, name: "a".to_owned(), id: 2 };
        let states = shown(&[directory, inside, Change::Sync { id: 1 }]);
        assert_eq!(states, of(&[&[], &[("d/a", "")]]));
    }
}
