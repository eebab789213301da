//! The two formats, with any name that a collection can have.

use proptest::prelude::*;
use qdrant_backup_exporter::metrics::{self, ProcessInfo};
use qdrant_backup_shared::status::CollectionStatus;

use crate::place::{Place, name, now};
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
    fn any_collection_name_is_read_back_as_it_is(names in proptest::collection::btree_set(any_name(), 1..12)) {
        let place = Place::new();
        let mut status = situations::status();
        status.collections.clear();
        for text in &names {
            let history = CollectionStatus { on_server: Some(true), ..CollectionStatus::default() };
            status.collections.insert(name(text), history);
            place.backup(text, now(), 5);
        }
        place.status(&status);
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
            prop_assert_eq!(read, names.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
