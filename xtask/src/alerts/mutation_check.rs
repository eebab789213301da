//! Mutation tests of the rules: each rule is changed, one change at a time, and a rule test must fail. Changes
//! without an effect are listed with the reason in alerts/equivalent-mutants.txt.

use std::{collections::BTreeMap, time::Instant};

use super::{
    judge::{self, Verdict},
    mutate::{self, MUTATORS, Mutant},
    rules::{self, Rule, alerts, read},
};
use crate::sh::Result;

const EQUIVALENT: &str = "alerts/equivalent-mutants.txt";

pub(super) fn run(rules: &[Rule]) -> Result<()> {
    let began = Instant::now();
    let mut equivalent = equivalents(&read(EQUIVALENT)?)?;
    let mutants: Vec<Mutant> = rules.iter().flat_map(mutate::mutants).collect();
    let killed = judge::in_parallel(&mutants, |mutant| is_killed(rules, mutant))?;
    let mut table: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (mutant, killed) in mutants.iter().zip(killed) {
        let name = format!("{}: {}", mutant.rule.name, mutant.change);
        let listed = equivalent.remove(&name).is_some();
        let row = table.entry(mutant.mutator).or_default();
        row[0] += 1;
        match (killed, listed) {
            (true, false) => row[1] += 1,
            (false, true) => row[2] += 1,
            (true, true) => wrong.push(format!("{name}: a test does fail, so it is not equivalent")),
            (false, false) => wrong.push(format!("{name}: no test fails")),
        }
    }
    wrong.extend(
        equivalent.into_keys().map(|name| format!("{name}: {EQUIVALENT} lists it, and it is not made")),
    );
    print!("{}", shown(&table));
    println!("{:.1} s", began.elapsed().as_secs_f64());
    for line in &wrong {
        println!("{line}");
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} mutants, shown above, went wrong", wrong.len())) }
}

fn shown(table: &BTreeMap<&str, [usize; 3]>) -> String {
    let line = |name: &str, [made, killed, equivalent]: [usize; 3]| {
        format!("{name:<20} {made:>6} {killed:>6} {equivalent:>10}\n")
    };
    let mut text = format!("{:<20} {:>6} {:>6} {:>10}\n", "mutants", "made", "killed", "equivalent");
    let mut sum = [0; 3];
    for mutator in MUTATORS {
        let row = table.get(mutator).copied().unwrap_or_default();
        text.push_str(&line(mutator, row));
        for (sum, figure) in sum.iter_mut().zip(row) {
            *sum += figure;
        }
    }
    text + &line("all", sum)
}

/// Whether a test fails. A changed alert is tested with its own tests, a changed recording rule with those of the
/// alerts that use it.
fn is_killed(rules: &[Rule], mutant: &Mutant) -> Result<bool> {
    let concerned = alerts(rules)
        .filter(|alert| alert.name == mutant.rule.name || alert.expr.contains(mutant.rule.name.as_str()));
    for alert in concerned {
        // An alert may be defined twice, with different severities.
        let same = |rule: &Rule| rule.name == mutant.rule.name && rule.severity == mutant.rule.severity;
        let changed = |rule: &Rule| if same(rule) { mutant.rule.clone() } else { rule.clone() };
        let few: Vec<Rule> =
            rules.iter().filter(|rule| !rule.is_alert || rule.name == alert.name).map(changed).collect();
        let verdict = judge::judge(&rules::file_of(&few), &alert.name, judge::ALONE)
            .map_err(|error| format!("{}: {}: {error}", mutant.rule.name, mutant.change))?;
        if verdict != Verdict::Passed {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lines of `rule: change | reason`.
fn equivalents(text: &str) -> Result<BTreeMap<String, String>> {
    let mut listed = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, reason) =
            line.split_once(" | ").ok_or_else(|| format!("{EQUIVALENT}: no reason in {line:?}"))?;
        listed.insert(name.to_owned(), reason.to_owned());
    }
    Ok(listed)
}
