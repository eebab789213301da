//! From a real run to a notification: runner, exporter, Prometheus and Alertmanager with the shipped rules, routes,
//! inhibitions and template, all durations scaled down, and a receiver.

mod chain;
mod expected;
mod site;
mod situations;

use std::thread;

use chain::Chain;
use site::Site;
use situations::SITUATIONS;

/// All situations in parallel, each with its own machine, because most of the time is spent waiting for alert delays.
#[test]
fn every_situation_reaches_the_right_person_and_resolves_after_repair() {
    let sites: Vec<Site> =
        SITUATIONS.iter().map(|situation| Site::new(situation.name, situation.cron)).collect();
    let chain = Chain::start(&sites);
    thread::scope(|scope| {
        for (mut site, situation) in sites.into_iter().zip(SITUATIONS) {
            let chain = &chain;
            // The thread's name shows which one failed.
            let thread = thread::Builder::new().name(situation.name.to_owned());
            thread.spawn_scoped(scope, move || (situation.run)(&mut site, chain)).expect("a thread");
        }
    });
}
