//! The cost of backing up a small collection in syncs and requests, which dominate its duration.

use std::fs;
use std::process::Command;

use e2e::qdrant_stand_in::{Collection, GeneratedSnapshot, Setup};
use e2e::scene::generated;
use e2e::strace::under_strace;
use e2e::{Place, Ran, Scene};

/// Two sizes, to distinguish the cost per collection from the cost per run.
const FEW: usize = 1;
const MORE: usize = 5;

const SYNCS_MAX: usize = 8;
/// Two of them are for the sample of points that drills compare.
const REQUESTS_MAX: usize = 9 + 2;

/// Syncs and requests of a first and a second backup of this many collections.
fn costs(collections: usize) -> [(usize, usize); 2] {
    let setup = (0..collections)
        .fold(Setup::empty(), |setup, number| setup.collection(generated(&format!("small-{number}"))));
    let Scene { server, place } = Scene::of(setup);
    [(); 2].map(|()| {
        server.clear_requests();
        let syncs = syncs(&place);
        (syncs, server.requests().len())
    })
}

/// How many times a backup syncs a file or directory, counted by strace.
fn syncs(place: &Place) -> usize {
    let trace = place.beside("trace");
    let options = [
        "--trace=fsync,fdatasync,sync_file_range,syncfs,sync,msync".into(),
        format!("--output={}", trace.display()),
    ];
    Ran::of(&mut under_strace(options, &place.command(&["backup"]))).success();
    // An interrupted call has a second line, which begins with `<...`.
    let trace = fs::read_to_string(trace).expect("strace writes what it saw");
    let called = |line: &&str| line.contains("sync") && line.contains('(') && !line.contains("<...");
    trace.lines().filter(called).count()
}

#[cfg(feature = "outside")]
#[test]
fn a_collection_costs_at_most_eight_syncs_and_a_few_requests() {
    let (few, more) = (costs(FEW), costs(MORE));
    for (which, (few, more)) in ["first", "second"].iter().zip(few.iter().zip(&more)) {
        assert!(few.0 >= 4 && few.1 >= 4, "{few:?} is not a valid measurement");
        let each = |few: usize, more: usize| (more - few).div_ceil(MORE - FEW);
        let (syncs, requests) = (each(few.0, more.0), each(few.1, more.1));
        println!("{which} backup: {syncs} syncs and {requests} requests per collection");
        assert!((5..=SYNCS_MAX).contains(&syncs), "{syncs} syncs: {few:?} grew to {more:?}");
        assert!((6..=REQUESTS_MAX).contains(&requests), "{requests} requests: {few:?} grew to {more:?}");
    }
}

/// The number of bytes that a run with this many collections writes to files and connections, and the size of its
/// status.
fn written(collections: usize) -> (u64, u64) {
    let tiny =
        |number| Collection::generated(&format!("tiny-{number}"), GeneratedSnapshot::new(1).points_count(1));
    let setup = (0..collections).fold(Setup::empty(), |setup, number| setup.collection(tiny(number)));
    let Scene { server: _server, place } = Scene::of(setup);
    let run = place.command(&["backup", "--quiet", "--jobs", "16"]);
    let mut shell = Command::new("/bin/sh");
    // The shell's counter includes its children.
    shell.args(["-c", "\"$@\" || exit; cat /proc/$$/io", "sh"]).arg(run.get_program()).args(run.get_args());
    shell.env_clear();
    for (key, value) in run.get_envs() {
        if let Some(value) = value {
            shell.env(key, value);
        }
    }
    let ran = Ran::of(&mut shell).success();
    let bytes = ran.stdout.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok());
    assert_eq!(place.catalog().collections.len(), collections);
    assert_eq!(place.status().current_run, None);
    let status = fs::metadata(place.layout().status_file()).expect("a status").len();
    (bytes.expect("what was written"), status)
}

#[test]
fn what_a_run_writes_grows_as_its_collections_do_and_not_as_their_square() {
    let (few, many) = (written(100), written(1000));
    println!("written and status in bytes: {few:?} with 100 collections, {many:?} with 1000");
    assert!(few.0 > 100 * 1024, "{few:?} is not a valid measurement");
    assert!(many.0 < 15 * few.0, "{} bytes grew to {}", few.0, many.0);
    assert!(many.1 < 1 << 20, "a status of {} bytes", many.1);
}
