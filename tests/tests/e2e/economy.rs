//! What a backup of a small collection costs: syncs and requests, which are all that it waits for.

use std::fs;
use std::process::Command;

use e2e::Place;
use e2e::Ran;
use e2e::qdrant_stand_in::{Setup, StandIn};

use crate::scene::{IMPATIENT, generated};

/// With several collections, what each adds can be told from what a run costs anyhow.
const FEW: usize = 1;
const MORE: usize = 5;

const SYNCS_MAX: usize = 12;
/// Of which two are for the sample of points that drills compare.
const REQUESTS_MAX: usize = 9 + 2;

/// Syncs and requests of a first and a second backup of so many collections.
fn costs(collections: usize) -> [(usize, usize); 2] {
    let setup = (0..collections)
        .fold(Setup::empty(), |setup, number| setup.collection(generated(&format!("small-{number}"))));
    let server = StandIn::start(setup);
    let place = Place::initialised(&server.url());
    place.configure(IMPATIENT);
    [(); 2].map(|()| {
        server.clear_requests();
        let syncs = syncs(&place);
        (syncs, server.requests().len())
    })
}

/// How often a backup has a file or directory synced, as the kernel sees it.
fn syncs(place: &Place) -> usize {
    let trace = place.beside("trace");
    let backup = place.command(&["backup"]);
    let mut strace = Command::new("/usr/bin/strace");
    strace
        .args(["--follow-forks", "--quiet=all", "--trace=fsync,fdatasync,sync_file_range,syncfs,sync,msync"])
        .arg("--output")
        .arg(&trace)
        .arg(backup.get_program())
        .args(backup.get_args())
        .env_clear();
    for (key, value) in backup.get_envs() {
        if let Some(value) = value {
            strace.env(key, value);
        }
    }
    Ran::of(&mut strace).success();
    // A call that another thread's call interrupts has a second line, which begins with `<...`.
    let trace = fs::read_to_string(trace).expect("strace writes what it saw");
    let called = |line: &&str| line.contains("sync") && line.contains('(') && !line.contains("<...");
    trace.lines().filter(called).count()
}

#[test]
fn a_collection_costs_at_most_twelve_syncs_and_a_few_requests() {
    let (few, more) = (costs(FEW), costs(MORE));
    for (which, (few, more)) in ["first", "second"].iter().zip(few.iter().zip(&more)) {
        assert!(few.0 >= 4 && few.1 >= 4, "{few:?} is no measurement");
        let each = |few: usize, more: usize| (more - few).div_ceil(MORE - FEW);
        let (syncs, requests) = (each(few.0, more.0), each(few.1, more.1));
        println!("{which} backup: {syncs} syncs and {requests} requests a collection");
        assert!((6..=SYNCS_MAX).contains(&syncs), "{syncs} syncs: {few:?} grew to {more:?}");
        assert!((6..=REQUESTS_MAX).contains(&requests), "{requests} requests: {few:?} grew to {more:?}");
    }
}
