//! Every format, with names that contain invisible characters.

use qdrant_backup_exporter::metrics::{self, ProcessInfo};
use qdrant_backup_exporter::page::{self, Report};
use qdrant_backup_shared::status::CollectionStatus;
use qdrant_backup_shared::text;

use crate::situations;
use crate::watched::{Watched, name, now};

/// Two names that look the same, one that moves a terminal's cursor, and one that reverses text.
const HOSTILE: [&str; 5] =
    ["docs", "docs\u{200b}", "docs\\u{200b}", "a\u{1b}[2J\u{85}b", "\u{202e}sdrawkcab\u{2066}"];

#[test]
fn what_is_not_seen_in_a_name_is_escaped_wherever_the_name_is_shown() {
    let place = Watched::new();
    let mut status = situations::status();
    status.collections.clear();
    for text in HOSTILE {
        let history = CollectionStatus { on_server: Some(true), ..CollectionStatus::default() };
        status.collections.insert(name(text), history);
        place.backup(text, now(), 5);
    }
    place.put_status(&status);
    let observation = place.look();
    let families = metrics::families(&observation, &ProcessInfo::default());
    let report = Report::new(&observation, now());
    let json = page::json(&report).unwrap();
    for shown in [
        metrics::text(&families),
        metrics::openmetrics(&families),
        page::html(&report, "/metrics"),
        json.clone(),
    ] {
        let unseen: Vec<char> =
            shown.chars().filter(|character| *character != '\n' && text::is_unseen(*character)).collect();
        assert_eq!(unseen, Vec::<char>::new(), "{shown}");
    }
    let scrape = metrics::text(&families);
    for label in ["docs", "docs\\\\u{200b}", "docs\\\\\\\\u{200b}", "a\\\\u{1b}[2J\\\\u{85}b"] {
        let line = format!("qdrant_backup_backups{{collection=\"{label}\"}} 1\n");
        assert!(scrape.contains(&line), "no {line}\n{scrape}");
    }
    // Programs get the unchanged names.
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let names: Vec<&str> =
        value["collections"].as_array().unwrap().iter().filter_map(|of| of["collection"].as_str()).collect();
    let mut expected = HOSTILE;
    expected.sort_unstable();
    assert_eq!(names, expected);
}
