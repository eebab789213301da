//! Which alerts inhibit which, and why the order of the rules matters.

use super::rules::{Rule, alerts};
use crate::sh::Result;

/// Every inhibited alert must come before the one that inhibits it. Prometheus sends the alerts of a rule before it
/// evaluates the next one. If the end of the inhibiting alert arrived first, the other alert would fire for a moment
/// without inhibition. (At the start of an alert, the route's `group_wait` allows for alerts that arrive a little
/// later.)
pub(super) fn check(rules: &[Rule], config: &str) -> Result<()> {
    let pairs = pairs(config)?;
    for (source, target) in &pairs {
        let at = |name: &str| {
            let at = alerts(rules).position(|rule| rule.name == name);
            at.ok_or_else(|| format!("alerts/alertmanager.yml names {name}, and there is no such alert"))
        };
        if at(target)? >= at(source)? {
            return Err(format!(
                "{source} inhibits {target}, so the rule of {target} has to stand before it"
            ));
        }
    }
    println!("{} inhibited alerts are evaluated before the alerts that inhibit them", pairs.len());
    Ok(())
}

/// The inhibiting and the inhibited alert of every pair.
fn pairs(config: &str) -> Result<Vec<(&str, &str)>> {
    const SOURCE: &str = "  - source_matchers: ";
    const TARGET: &str = "    target_matchers: ";
    let mut pairs = Vec::new();
    let mut lines = config.lines();
    while let Some(line) = lines.next() {
        let Some(source) = line.strip_prefix(SOURCE) else { continue };
        let target = lines.next().and_then(|line| line.strip_prefix(TARGET));
        let pair = || Some((alert(source)?, alert(target?)?));
        pairs.push(pair().ok_or_else(|| format!("the inhibition of {source} is not understood"))?);
    }
    if pairs.is_empty() || pairs.len() != config.matches("target_matchers").count() {
        return Err("the inhibitions of alerts/alertmanager.yml are not understood".to_owned());
    }
    Ok(pairs)
}

fn alert(matchers: &str) -> Option<&str> {
    matchers.strip_prefix("[alertname=\"")?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "inhibit_rules:\n  - source_matchers: [alertname=\"A\"]\n    target_matchers: [alertname=\"B\", x=\"y\"]\n    equal: [job]\n";

    fn rules_of(names: [&str; 2]) -> Vec<Rule> {
        let rule = |name: &str| Rule {
            name: name.to_owned(),
            is_alert: true,
            expr: String::new(),
            hold: None,
            severity: String::new(),
            runbook_url: String::new(),
            rest: String::new(),
        };
        names.map(rule).to_vec()
    }

    #[test]
    fn only_the_inhibited_alert_first_will_do() {
        assert!(check(&rules_of(["B", "A"]), CONFIG).is_ok());
        assert!(check(&rules_of(["A", "B"]), CONFIG).unwrap_err().contains("B has to stand before"));
        assert!(check(&rules_of(["A", "C"]), CONFIG).unwrap_err().contains("names B"));
    }

    #[test]
    fn what_is_not_understood_is_not_passed_over() {
        for (from, to) in [
            ("  - source", "- source"),
            ("    target", "      target"),
            ("[alertname=\"B\"", "[severity=\"B\""),
            ("[alertname=\"A\"", "[alertname=~\"A\""),
        ] {
            assert!(check(&rules_of(["B", "A"]), &CONFIG.replace(from, to)).is_err(), "{to}");
        }
        assert!(check(&rules_of(["B", "A"]), "").is_err());
    }
}
