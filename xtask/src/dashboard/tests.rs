//! Each fault is detected in a copy of the shipped dashboard with one change.

use serde_json::{Value, json};

use super::{findings, shipped};

#[test]
fn what_is_shipped_is_sound_and_each_change_for_the_worse_is_found() {
    assert_eq!(findings(&shipped().unwrap()), Ok(Vec::new()));
    // JSON pointers. Panel 1 is the first tile.
    for (place, value) in [
        ("/panels/2/fieldConfig/defaults/noValue", json!("")),
        ("/panels/2/fieldConfig/defaults/thresholds/steps/0/color", json!("green")),
        ("/panels/2/fieldConfig/defaults/thresholds/steps/0/value", json!(0)),
        ("/panels/2/targets/0/instant", json!(false)),
        ("/panels/1/targets/0/expr", json!("sum(up) or vector(0)")),
        ("/panels/1/links/0/url", json!("https://qdrant-backup.example/docs/runbook.md#nowhere")),
        ("/links/0/url", json!("https://elsewhere.example/runbook.md")),
    ] {
        let mut dashboard = shipped().unwrap();
        let changed: &mut Value = dashboard.0.pointer_mut(place).unwrap();
        *changed = value.clone();
        assert_eq!(findings(&dashboard).unwrap().len(), 1, "{place} = {value}");
    }
}

#[cfg(feature = "outside")]
#[test]
fn a_command_that_leaves_a_link_behind_is_noticed() {
    let line = |command: &str| format!("| where this page is | `{command}` in |");
    let sed = r"sed -i 's\|https://qdrant-backup.example/docs/runbook.md\|URL\|g'";
    assert_eq!(super::moved(&line(&format!("{sed} alerts/*.yml alerts/*/*.yml dashboards/*.json"))), Ok(()));
    assert!(super::moved(&line(&format!("{sed} alerts/*.yml alerts/*/*.yml"))).is_err());
    assert!(super::moved("no command").is_err());
}
