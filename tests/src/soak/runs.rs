//! One run of the program in a soak: undisturbed, with a faulty request, or killed by a signal.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::Soak;
use crate::known::Known;
use crate::place::Ran;
use crate::proxy::{Aim, Fault, What};
use crate::running::Running;

/// Longer than any run, including all its waits.
const LONGEST: Duration = Duration::from_secs(200);
/// How many recent runs to print when a backup was lost.
const TRAIL: usize = 400;
/// How long a fault lasts that does not end on its own.
const LASTS: Duration = Duration::from_secs(60);
/// About as many requests as a run makes.
const REQUESTS: u64 = 28;
/// A little longer than most runs.
const LONGEST_BEFORE_KILL: u64 = 900;

/// The fault of a run.
#[derive(Debug, Clone)]
enum Trouble {
    None,
    Fault(usize, Fault),
    Signal(Signal, Duration),
}

impl Soak {
    /// Runs the program, with or without a fault. None if it was killed or failed.
    pub(super) fn somehow(&mut self, arguments: &[&str], honest: &[i32]) -> Option<Ran> {
        let trouble = self.trouble();
        match &trouble {
            Trouble::Fault(at, fault) => self.proxy.spoil(Aim::Number(*at), fault.clone()),
            Trouble::None | Trouble::Signal(..) => self.proxy.heal(),
        }
        let before = self.collections.points(&self.nodes);
        let mut running = Running::start(&mut self.place.command(arguments));
        if let Trouble::Signal(signal, after) = &trouble {
            thread::sleep(*after);
            if !running.has_ended() {
                running.signal(*signal);
            }
        }
        let begun = std::time::Instant::now();
        let mut struck = 0;
        while !running.has_ended() {
            assert!(begun.elapsed() < LONGEST, "{arguments:?} with {trouble:?} did not end");
            if struck == 0 && begun.elapsed() > LASTS {
                struck = self.proxy.struck();
                self.proxy.heal();
            }
            thread::sleep(Duration::from_millis(2));
        }
        let ran = running.end();
        struck += self.proxy.struck();
        let trouble =
            if struck == 0 && matches!(trouble, Trouble::Fault(..)) { Trouble::None } else { trouble };
        self.proxy.heal();
        self.ledger.take_down(&self.place, &before);
        self.check(&format!("{arguments:?} with {trouble:?}"), &trouble, &ran, honest);
        ran.code.is_some_and(|code| honest.contains(&code)).then_some(ran)
    }

    /// Runs the program without a fault. It must end with this exit code.
    #[track_caller]
    pub(super) fn plainly(&mut self, arguments: &[&str], code: i32) -> Ran {
        self.proxy.heal();
        let before = self.collections.points(&self.nodes);
        let ran = self.place.run(arguments);
        self.ledger.take_down(&self.place, &before);
        self.check(&format!("{arguments:?}"), &Trouble::None, &ran, &[code]);
        ran
    }

    fn trouble(&mut self) -> Trouble {
        match self.random.below(10) {
            0..=2 => Trouble::None,
            3..=6 => {
                // A body of the wrong shape is valid for some requests. The program cannot detect such an answer.
                let shapes = Fault::shapes().into_iter().filter(|fault| fault.what != What::WrongShape);
                let faults: Vec<Fault> = shapes.chain(Fault::statuses()).collect();
                let fault = self.random.pick(&faults).clone();
                // The program waits ten minutes for a server that stays busy.
                let lasts = self.random.below(4) == 0 && fault.what != What::Status(429);
                let fault = if lasts { fault.lasting() } else { fault };
                Trouble::Fault(self.random.below(REQUESTS) as usize, fault)
            }
            7 => Trouble::Signal(Signal::TERM, self.moment()),
            _ => Trouble::Signal(Signal::KILL, self.moment()),
        }
    }

    fn moment(&mut self) -> Duration {
        Duration::from_millis(self.random.below(LONGEST_BEFORE_KILL))
    }

    /// Whether this snapshot, in the folder of a deleted collection, was left for the user to delete.
    pub(super) fn was_given_up(&self, snapshot: &str) -> bool {
        snapshot.split_once(": ").is_some_and(|(_, name)| self.given_up.contains(name))
    }

    /// The snapshots on the server that the status records, to explain how one was lost.
    fn on_record(&self) -> String {
        let status = self.place.status();
        let now = status.current_run.map(|run| (run.creating, run.also_creating));
        format!(
            "  undeleted {:?}\n  suspected {:?}\n  unanswered {:?}\n  current {now:?}\n",
            status.undeleted_snapshots.iter().map(|one| &one.name).collect::<Vec<_>>(),
            status.suspected_leftovers.iter().map(|one| &one.name).collect::<Vec<_>>(),
            status
                .unanswered_creations
                .iter()
                .map(|one| (&one.collection, one.requested_at))
                .collect::<Vec<_>>(),
        )
    }

    #[track_caller]
    fn check(&mut self, what: &str, trouble: &Trouble, ran: &Ran, honest: &[i32]) {
        let log = &ran.stderr;
        assert!(!log.contains("panicked"), "{what}:\n{log}");
        match (trouble, ran.code) {
            (Trouble::Signal(Signal::KILL, _), None) => self.tally.count("runs killed"),
            // Until the program has installed its signal handler, the signal kills it.
            (Trouble::Signal(_, _), Some(143) | None) => self.tally.count("runs ended by a signal"),
            (Trouble::Fault(..), Some(1 | 3 | 4)) => {
                assert!(
                    log.contains("] ERROR: ") || honest.contains(&ran.code.unwrap_or(1)),
                    "{what}:\n{log}"
                );
                assert_ne!(ran.code, Some(4), "{what} reports a good backup as bad:\n{log}");
                self.tally.count("runs failed by a fault");
            }
            // If a run is killed before it prunes, the next prune may exceed the limit on deletions and refuse.
            (_, Some(3)) if log.contains("prune_refused") => self.tally.count("runs that came through"),
            (_, code) => {
                assert!(
                    code.is_some_and(|code| honest.contains(&code)),
                    "{what} ended with {code:?}:\n{log}"
                );
                self.tally.count("runs that came through");
            }
        }
        // The command forgets leftovers that can only be removed on the server's disk.
        let given_up = log.lines().filter(|line| line.contains("no longer on record, so no run will do it"));
        self.given_up.extend(given_up.filter_map(|line| Some(line.split(' ').nth(3)?.to_owned())));
        self.trail.push_back(format!("{what} ended with {:?}:\n{log}{}", ran.code, self.on_record()));
        if self.trail.len() > TRAIL {
            self.trail.pop_front();
        }
        // The next backup removes what a killed run left behind.
        if ran.code.is_some_and(|code| code < 128)
            && ["[\"backup", "[\"run"].iter().any(|name| what.starts_with(name))
        {
            assert_eq!(self.place.temporary(), Vec::<String>::new(), "{what}:\n{log}");
            assert_eq!(self.place.status().current_run, None, "{what}:\n{log}");
        }
        assert!(self.proxy.trap().caught().is_empty(), "{what}: {:?}", self.proxy.trap().caught());
        self.ledger.assert_nothing_lost(&self.place);
        self.assert_everything_known(what, log);
    }

    #[track_caller]
    fn assert_everything_known(&self, what: &str, log: &str) {
        let known = Known::by(&self.place.status());
        let unknown: Vec<String> = self
            .collections
            .snapshots(&self.nodes)
            .into_iter()
            .filter(|snapshot| !known.explains(snapshot) && !self.was_given_up(snapshot))
            .collect();
        if let Some((collection, _)) = unknown.first().and_then(|snapshot| snapshot.split_once(": ")) {
            self.trail.iter().filter(|run| run.contains(collection)).for_each(|run| println!("{run}"));
        }
        assert!(unknown.is_empty(), "{what}: {unknown:?} are on the server but not on record:\n{log}");
    }
}
