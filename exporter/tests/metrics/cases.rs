//! The exporter reports the same as the catalog's own test for every directory: both use one table.

use chrono::TimeDelta;
use qdrant_backup_exporter::metrics::{self, ProcessInfo};
use qdrant_backup_shared::catalog::Condition;

use crate::directories::{CASES, Case, Is};
use crate::watched::{Watched, wall_clock};

fn number(all: &[Is], is: impl Fn(&Is) -> bool) -> usize {
    all.iter().filter(|backup| is(backup)).count()
}

/// The lines that a scrape must contain.
fn lines(case: &Case) -> Vec<String> {
    let mut lines = vec![
        format!("orphan_files {}", case.found.orphans.len()),
        format!("orphan_bytes {}", case.found.orphans.iter().sum::<u64>()),
        format!("temporary_files {}", case.found.temporary),
        format!("unreadable_files {}", case.found.unreadable.len()),
    ];
    for (name, all) in case.found.collections {
        // Invisible characters are escaped, then the text is written as a label.
        let visible = name.replace('\\', "\\\\").replace('\n', "\\n");
        let name = visible.replace('\\', "\\\\").replace('"', "\\\"");
        let mut line = |metric: &str, value: usize| {
            lines.push(format!("{metric}{{collection=\"{name}\"}} {value}"));
        };
        line("backups", number(all, |is| is.condition == Condition::Good));
        line("incomplete_backups", number(all, |is| is.condition == Condition::Incomplete));
        line("verification_failed_backups", number(all, |is| is.verification_failed));
        line("unverified_backups", number(all, |is| !is.verified));
    }
    lines
}

#[test]
fn every_directory_is_shown_as_the_table_of_the_catalog_says() {
    for case in CASES {
        let place = Watched::from((case.build)());
        // Fresh, then settled: read once, taken from the cache once, and checked once more.
        for seconds in [0, 3600, 3610, 3700] {
            let seen = place.look_at(wall_clock() + TimeDelta::seconds(seconds));
            let text = metrics::text(&metrics::families(&seen, &ProcessInfo::default()));
            for line in lines(case) {
                let line = format!("\nqdrant_backup_{line}\n");
                assert!(text.contains(&line), "{} after {seconds} s: no {line}in\n{text}", case.name);
            }
            let view = seen.directory.value.clone().unwrap();
            assert_eq!(view.collections.len(), case.found.collections.len(), "{}", case.name);
            for (name, all) in case.found.collections {
                let found = view.collections.iter().find(|(of, _)| of.as_str() == *name).unwrap().1;
                let found = found.backups.iter().map(|backup| backup.condition());
                let expected = all.iter().map(|is| is.condition);
                assert!(found.eq(expected), "{} after {seconds} s: {name}", case.name);
            }
            assert_eq!(
                seen.problems.len(),
                case.found.unreadable.len(),
                "{}: {:?}",
                case.name,
                seen.problems
            );
            for (problem, expected) in seen.problems.iter().zip(case.found.unreadable) {
                assert!(problem.problem.contains(expected), "{}: {}", case.name, problem.problem);
            }
        }
    }
}
