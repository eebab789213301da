//! The two formats, with any name that a collection can have.

use proptest::prelude::*;
use qdrant_backup_exporter::metrics::{self, ProcessInfo};
use qdrant_backup_exporter::page::{self, Report};
use qdrant_backup_shared::status::CollectionStatus;
use qdrant_backup_shared::text;

use crate::watched::{Watched, name, now};
use crate::{situations, tools};

/// Collection names, ordinary and hostile.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{1,20}",
        "[\\\\\"\n\r\t{}=, #a]{1,12}",
        any::<String>().prop_filter("names are not empty", |text| !text.is_empty()),
        "\\PC{1,300}",
    ]
}

proptest! {
    // Each case starts two programs, so the names come in dozens.
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn any_collection_name_is_a_series_of_its_own_and_shows_all_that_is_in_it(names in proptest::collection::btree_set(any_name(), 1..12)) {
        let place = Watched::new();
        let mut status = situations::status();
        status.collections.clear();
        for text in &names {
            let history = CollectionStatus { on_server: Some(true), ..CollectionStatus::default() };
            status.collections.insert(name(text), history);
            place.backup(text, now(), 5);
        }
        place.put_status(&status);
        let observation = place.look();
        prop_assert_eq!(&observation.problems, &[]);
        let families = metrics::families(&observation, &ProcessInfo::default());
        tools::promtool_check_metrics(&metrics::text(&families));
        let samples = tools::parse_openmetrics(&metrics::openmetrics(&families));
        for metric in ["qdrant_backup_collection_on_server", "qdrant_backup_backups"] {
            let mut read: Vec<&str> = samples
                .iter()
                .filter(|(name, _, value)| name == metric && *value == 1.0)
                .filter_map(|(_, labels, _)| labels["collection"].as_str())
                .collect();
            read.sort_unstable();
            let mut expected: Vec<_> = names.iter().map(|name| text::visible(name)).collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(expected.len(), names.len());
            prop_assert_eq!(read, expected);
        }
    }
}

/// Two names that a person cannot tell apart, one that moves a terminal's cursor, and one that turns text around.
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
    // Programs get the names as they are.
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let names: Vec<&str> =
        value["collections"].as_array().unwrap().iter().filter_map(|of| of["collection"].as_str()).collect();
    let mut expected = HOSTILE;
    expected.sort_unstable();
    assert_eq!(names, expected);
}
