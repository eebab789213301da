//! Scrapes the exporter and runs `list` all the time: they must always answer, and the exporter must not grow.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::exporter::Exporter;
use crate::place::Place;

const BETWEEN_SCRAPES: Duration = Duration::from_millis(150);
/// Scrapes between two measurements, each with one `list`.
const SCRAPES_A_LOOK: u64 = 20;
/// Tolerance for memory growth: allocators do not return all memory.
const GROWTH_KIB: u64 = 6 << 10;
const GROWTH_DESCRIPTORS: u64 = 4;

/// The thread that scrapes and measures.
pub struct Watch {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    scrapes: u64,
    looks: u64,
    problems: Vec<String>,
    /// Pairs of the exporter's memory in KiB and its number of open descriptors.
    measured: Vec<(u64, u64)>,
}

impl Watch {
    /// Starts the exporter and the thread.
    pub fn start(place: &Place) -> Self {
        let exporter = Exporter::start(place.path(), &[]);
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (ends, sees) = (Arc::clone(&over), Arc::clone(&seen));
        let mut list = place.command(&["list", "--json"]);
        let thread = thread::spawn(move || {
            let mut scrapes = 0;
            while !ends.load(Ordering::Relaxed) {
                let answer = exporter.get("/metrics");
                let mut seen = sees.lock().unwrap_or_else(PoisonError::into_inner);
                let text = answer.text();
                if answer.status != 200 || !text.contains("qdrant_backup_") {
                    seen.problems.push(format!("a scrape gave {}: {text}", answer.status));
                }
                scrapes += 1;
                seen.scrapes = scrapes;
                if scrapes.is_multiple_of(SCRAPES_A_LOOK) {
                    seen.measured.push((exporter.memory("RssAnon") >> 10, descriptors(exporter.id())));
                    drop(seen);
                    let listed = list.output().expect("it runs");
                    let mut seen = sees.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.looks += 1;
                    if !listed.status.success() || serde_json::from_slice::<Value>(&listed.stdout).is_err() {
                        seen.problems.push(format!("list: {}", String::from_utf8_lossy(&listed.stderr)));
                    }
                }
                thread::sleep(BETWEEN_SCRAPES);
            }
        });
        Self { over, seen, thread: Some(thread) }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A summary in words.
    pub fn figures(&self) -> String {
        let seen = self.seen();
        let (first, last) = (seen.measured.first(), seen.measured.last());
        format!(
            "{} scrapes, {} looks, exporter (KiB, descriptors) {first:?} … {last:?}",
            seen.scrapes, seen.looks
        )
    }

    /// Fails the test if a scrape or a `list` failed.
    #[track_caller]
    pub fn assert_well(&self) {
        assert!(self.seen().problems.is_empty(), "{:?}", self.seen().problems);
        assert!(
            self.thread.as_ref().is_some_and(|thread| !thread.is_finished()),
            "the exporter does not answer"
        );
    }

    /// Fails the test if the exporter uses more at the end than in the first third.
    #[track_caller]
    pub fn assert_no_growth(&self) {
        self.assert_well();
        let seen = self.seen();
        let third = seen.measured.len() / 3;
        assert!(third > 0, "only {} measurements", seen.measured.len());
        // The median of a third, so that no single measurement decides.
        let middle = |part: &[(u64, u64)], of: fn(&(u64, u64)) -> u64| {
            let mut all: Vec<u64> = part.iter().map(of).collect();
            all.sort_unstable();
            all[all.len() / 2]
        };
        let (early, late) = (&seen.measured[..third], &seen.measured[seen.measured.len() - third..]);
        let (before, after) = (middle(early, |of| of.0), middle(late, |of| of.0));
        assert!(after <= before + GROWTH_KIB, "the exporter's memory grew from {before} to {after} KiB");
        let (before, after) = (middle(early, |of| of.1), middle(late, |of| of.1));
        assert!(after <= before + GROWTH_DESCRIPTORS, "from {before} to {after} descriptors");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic has already been printed.
            drop(thread.join());
        }
    }
}

fn descriptors(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |list| list.count() as u64)
}
