//! No fault between the program and the server breaks a promise.
//!
//! Each job runs once without a fault, which counts its requests. Then each case applies one fault to one request,
//! checks the invariants of [`outcome`] and of the job, and repeats the job without a fault, after which everything
//! must be right. `QDRANT_BACKUP_CAMPAIGN_CASE` selects the cases whose names contain that text.

mod cases;
mod jobs;
mod outcome;
mod promises;
mod template;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use e2e::campaign::{Extent, Tally};

use self::cases::Case;
use self::jobs::Job;
use self::template::Template;

/// Cases in parallel. Most of a case is waiting for a disk.
const WORKERS: usize = 3;
/// Cases between two progress messages.
const TOLD_EVERY: usize = 50;

#[test]
fn no_fault_between_the_program_and_its_server_breaks_a_promise() {
    let extent = Extent::asked_for();
    let templates: Vec<(Job, Template)> = thread::scope(|scope| {
        let begun: Vec<_> = Job::all().into_iter().map(|job| scope.spawn(|| with_template(job))).collect();
        begun.into_iter().map(|template| template.join().expect("a job that can be done")).collect()
    });
    let only = std::env::var("QDRANT_BACKUP_CAMPAIGN_CASE").unwrap_or_default();
    let cases: Vec<(usize, Case)> = cases::of(extent, &templates)
        .into_iter()
        .filter(|(job, case)| format!("{} {case}", templates[*job].0.name).contains(&only))
        .collect();
    let (all, begun) = (cases.len(), Instant::now());
    println!("{all} cases");

    let tally = Mutex::new(Tally::of("network"));
    let failed = Mutex::new(Vec::new());
    let left = Mutex::new(cases.into_iter());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let (next, still) = {
                        let mut left = left.lock().unwrap();
                        (left.next(), left.len())
                    };
                    let Some((job, case)) = next else { return };
                    if still.is_multiple_of(TOLD_EVERY) {
                        println!("{:.0?}: {still} of {all} are left", begun.elapsed());
                    }
                    let (job, template) = &templates[job];
                    let label = format!("{} {case}", job.name);
                    match catch_unwind(AssertUnwindSafe(|| outcome::hold(job, template, &case))) {
                        Ok(counts) => counts.into_iter().for_each(|what| tally.lock().unwrap().count(what)),
                        Err(_) => {
                            println!("FAILED: {label}");
                            failed.lock().unwrap().push(label);
                        }
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
    tally.into_inner().unwrap().done();
}

fn with_template(job: Job) -> (Job, Template) {
    let template = Template::of(&job);
    (job, template)
}
