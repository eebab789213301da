//! A long test of everything at once in one directory. Backups, prunes, restores and drills run while collections
//! come and go, through a proxy that makes requests fail. Runs are killed at any moment, and the exporter is scraped
//! all the time. At the end no backup that was reported may be missing, except those that retention deleted.

mod actions;
mod collections;
mod ledger;
mod runs;
mod watch;

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::campaign::Tally;
use crate::known::Known;
use crate::nodes::Nodes;
use crate::place::Place;
use crate::proxy::Proxy;
use crate::qdrant_stand_in::{Setup, StandIn};
use crate::random::Random;

use self::collections::Collections;
use self::ledger::{KEPT, Ledger};
use self::watch::Watch;

/// Timeouts short enough that a minute contains many runs.
const CONFIGURATION: &str = "qdrant:\n  retries: 1\n  wait_for_server: 0s\n  cluster_timeout: 4s\n  connect_timeout: 4s\n  stall_timeout: 4s\n  request_timeout: 10s\n  create_timeout: 20s\n  count_timeout: 10s\nrestore:\n  settle_timeout: 10s\n";
/// How long the effect of a request without an answer may still be pending.
const LATE: Duration = Duration::from_secs(21);

/// Imported archives do not record the server's version.
const SKEW: &str = "--allow-version-skew";

/// The state of a soak.
struct Soak {
    /// The stand-in; None with a real server.
    stand_in: Option<StandIn>,
    nodes: Nodes,
    proxy: Proxy,
    place: Place,
    random: Random,
    collections: Collections,
    ledger: Ledger,
    tally: Tally,
    /// Snapshots that the program no longer has to record.
    given_up: BTreeSet<String>,
    /// The last runs: each with its log and what was on record after it.
    trail: VecDeque<String>,
    /// The number of actions so far.
    turn: u64,
}

/// Runs a soak of this length with this seed.
///
/// # Panics
/// When a check fails. The runs before it are printed.
pub fn soak(length: Duration, seed: u64) {
    println!("a soak of {length:?}, QDRANT_BACKUP_TEST_SEED={seed}");
    let mut soak = Soak::new(seed);
    let watch = Watch::start(&soak.place);
    let begun = Instant::now();
    let mut told = begun;
    while begun.elapsed() < length {
        soak.turn += 1;
        soak.act();
        watch.assert_well();
        if told.elapsed() > Duration::from_secs(60) {
            told = Instant::now();
            println!("{:.0?}: {} turns, {}", begun.elapsed(), soak.turn, watch.figures());
        }
    }
    soak.settle();
    println!("{} turns in {:.0?}, {}", soak.turn, begun.elapsed(), watch.figures());
    watch.assert_no_growth();
    soak.tally.add("turns", soak.turn);
    std::mem::replace(&mut soak.tally, Tally::of("soak")).done();
}

impl Soak {
    fn new(seed: u64) -> Self {
        let given = std::env::var("QDRANT_URL").ok().filter(|url| !url.is_empty());
        let stand_in = given.is_none().then(|| StandIn::start(Setup::empty()));
        let url = given.unwrap_or_else(|| stand_in.as_ref().map_or_else(String::new, StandIn::url));
        let urls = [url.trim_end_matches('/').to_owned()];
        let (nodes, proxy) = (Nodes::at(&urls), Proxy::before(&urls));
        let place = Place::new(&proxy.url());
        let collections = Collections::none();
        // A real server may have other collections.
        let stem = collections.stem();
        place.configure(&format!(
            "{CONFIGURATION}retention:\n  keep_last: {KEPT}\nbackup:\n  include: [\"{stem}*\"]\n"
        ));
        place.run(&["init"]).success();
        let mut soak = Self {
            stand_in,
            nodes,
            proxy,
            place,
            random: Random::of(seed),
            collections,
            ledger: Ledger::default(),
            tally: Tally::of("soak"),
            given_up: BTreeSet::new(),
            trail: VecDeque::new(),
            turn: 0,
        };
        for _ in 0..3 {
            soak.collections.make(&soak.nodes, &mut soak.random);
        }
        // From now on a status exists, even if a run is killed.
        soak.plainly(&["backup"], 0);
        soak
    }

    /// Runs every operation without faults to clean up, then checks everything.
    fn settle(&mut self) {
        println!("settling");
        self.drop_beside();
        std::thread::sleep(LATE);
        self.plainly(&["prune", "--yes"], 0);
        self.plainly(&["run"], 0);
        self.plainly(&["drill", "--on-source", SKEW], 0);
        self.plainly(&["prune", "--server-leftovers", "--yes"], 0);
        self.plainly(&["run"], 0);
        self.plainly(&["prune", "--yes"], 0);
        self.plainly(&["verify", "--backup", "all"], 0);
        let proven = self.place.prove();
        self.ledger.assert_nothing_lost(&self.place);
        self.ledger.assert_no_more_than_kept(&self.place, &self.collections.names());
        assert_eq!(self.place.temporary(), Vec::<String>::new());
        // Snapshots of deleted collections cannot be reached over the API and stay on record.
        let known = Known::by(&self.place.status()).of(&self.collections.names());
        assert_eq!(known, Vec::<String>::new(), "still on record after the cleanup");
        let mut left = self.collections.snapshots(&self.nodes);
        left.retain(|snapshot| !self.was_given_up(snapshot));
        assert_eq!(left, Vec::<String>::new(), "snapshots were left on the server");
        assert_eq!(
            self.collections.strangers(&self.nodes),
            Vec::<String>::new(),
            "collections were left on the server"
        );
        println!("{proven} backups proven, {} reported in all", self.ledger.reported());
        self.tally.add("backups reported", self.ledger.reported());
        self.tally.add("backups proven in the end", proven as u64);
        assert_only_known_files(self.place.path());
    }
}

impl Drop for Soak {
    fn drop(&mut self) {
        if self.stand_in.is_none() {
            self.collections.remove_all(&self.nodes);
        }
    }
}

/// The directory contains only the collections' folders and a few other files.
fn assert_only_known_files(directory: &Path) {
    let names: Vec<String> = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.len() < 16, "{names:?}");
}
