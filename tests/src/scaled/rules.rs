//! The rule file.

use serde_json::{Value, json};

use super::yaml::{Mapping, mappings, parse, text, unknown};
use super::{Scale, promql};

/// The rules with all durations shortened. Labels and annotations stay as they are.
///
/// # Errors
/// When the file contains an unknown construct.
pub fn rules(file: &str, scale: Scale) -> Result<String, String> {
    let mut scaled = Vec::new();
    for (key, value) in parse(file)? {
        match key.as_str() {
            "groups" => {
                for one in mappings("groups", value)? {
                    scaled.push(group(one, scale)?);
                }
            }
            _ => return unknown("the rule file", &key),
        }
    }
    Ok(json!({ "groups": scaled }).to_string())
}

fn group(group: Mapping, scale: Scale) -> Result<Value, String> {
    let mut scaled = Mapping::new();
    for (key, value) in group {
        let value = match key.as_str() {
            "name" => value,
            "rules" => {
                let rules = mappings("rules", value)?.into_iter().map(|one| rule(one, scale));
                rules.collect::<Result<Vec<_>, _>>()?.into()
            }
            _ => return unknown("a group of rules", &key),
        };
        scaled.insert(key, value);
    }
    Ok(scaled.into())
}

fn rule(rule: Mapping, scale: Scale) -> Result<Value, String> {
    let name = rule.get("alert").or_else(|| rule.get("record")).map(Value::to_string).unwrap_or_default();
    let mut scaled = Mapping::new();
    for (key, value) in rule {
        let value = match key.as_str() {
            "alert" | "record" | "labels" | "annotations" => value,
            "expr" => promql::scaled(&text("expr", &value)?, scale)
                .map_err(|error| format!("{name}: {error}"))?
                .into(),
            "for" => scale.duration(&text("for", &value)?)?.into(),
            _ => return unknown(&format!("the rule {name}"), &key),
        };
        scaled.insert(key, value);
    }
    Ok(scaled.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: |\n          x[1h]\n        for: 5m\n        labels: {severity: none}\n";

    #[test]
    fn times_change_and_nothing_else() {
        // `x` is not a known metric.
        let file = FILE.replace("x[1h]", "up[1h] > 0");
        let scaled: Value = serde_json::from_str(&rules(&file, Scale(60)).unwrap()).unwrap();
        assert_eq!(
            scaled["groups"][0],
            json!({ "name": "g", "rules": [{
                "alert": "A", "expr": "up[60000ms] > 0\n", "for": "5000ms", "labels": { "severity": "none" },
            }]})
        );
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let file = FILE.replace("x[1h]", "up");
        rules(&file, Scale(60)).unwrap();
        for (from, to) in [
            ("groups:", "crowds:"),
            ("name: g", "name: g\n    interval: 1m"),
            ("for: 5m", "for: 5m\n        keep_firing_for: 5m"),
            ("for: 5m", "for: a while"),
            ("for: 5m", "for: 5"),
            ("          up", "          down"),
            ("{severity: none}", "{severity: 1}"),
        ] {
            assert!(file.contains(from), "{from}");
            assert!(rules(&file.replace(from, to), Scale(60)).is_err(), "{to}");
        }
    }
}
