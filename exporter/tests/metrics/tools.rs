//! Checks of our output with other tools. A test fails if a tool is missing; `cargo xtask test --only tools` installs
//! them.

#![expect(clippy::panic, reason = "what fails here fails its test")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use qdrant_backup_exporter::metrics::{self, ProcessInfo};
use qdrant_backup_shared::status::CollectionStatus;
use qdrant_backup_shared::text;

use crate::golden::families;
use crate::situations;
use crate::watched::{Watched, name, now};

const INSTALL: &str = "`cargo xtask test --only tools` installs it";

/// Prints the samples that Python's client library parses, one line of JSON each.
const PARSE: &str = "\
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        print(json.dumps([sample.name, sample.labels, float(sample.value)]))
";

fn pipe(command: &mut Command, input: &str) -> (bool, String) {
    let program = command.get_program().to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}; {INSTALL}", program.display()));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    drop(writer.join());
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    (output.status.success(), said)
}

/// `promtool check metrics` must report nothing.
#[track_caller]
fn promtool_check_metrics(text: &str) {
    let (ok, said) = pipe(Command::new("promtool").args(["check", "metrics"]), text);
    assert!(ok && said.is_empty(), "promtool says:\n{said}");
}

/// Every sample that `prometheus_client` parses.
#[track_caller]
fn parse_openmetrics(text: &str) -> Vec<(String, serde_json::Map<String, serde_json::Value>, f64)> {
    let python = python();
    let (ok, said) = pipe(Command::new(&python).args(["-c", PARSE]), text);
    assert!(ok, "prometheus_client says ({INSTALL}):\n{said}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The Python of the environment that `cargo xtask test --only tools` creates next to the built programs.
fn python() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // The test is target/debug/deps/test-0123; the directory is three levels up.
    let target = test.ancestors().nth(3).unwrap();
    target.join("python/bin/python")
}

#[test]
fn both_tools_take_the_metrics_of_every_situation() {
    for (name, situation) in situations::ALL {
        let place = situation();
        let families = families(&place);
        let text = metrics::text(&families);
        promtool_check_metrics(&text);
        promtool_check_metrics(&metrics::text(&metrics::textfile_families(&place.look())));
        let count = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(parse_openmetrics(&metrics::openmetrics(&families)).len(), count, "{name}");
    }
}

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
    // Each case starts two programs, so the names are tested in batches.
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
        promtool_check_metrics(&metrics::text(&families));
        let samples = parse_openmetrics(&metrics::openmetrics(&families));
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
