//! The complete output of `/metrics` in eight situations, stored in `tests/golden`. `UPDATE_GOLDEN=1 cargo test`
//! rewrites the files.

use std::path::Path;
use std::time::Duration;

use qdrant_backup_exporter::metrics::{self, ALL, Family, ProcessInfo};
use qdrant_backup_exporter::observe::Storage;
use qdrant_backup_shared::atomic;

use crate::situations;
use crate::watched::Watched;

/// The metrics of a place, with machine-specific values replaced.
pub fn families(place: &Watched) -> Vec<Family> {
    let mut observation = (*place.look()).clone();
    observation.status.duration = Duration::from_micros(500);
    observation.directory.duration = Duration::from_millis(2);
    observation.storage.duration = Duration::from_micros(20);
    observation.storage.value =
        Some(Storage { avail_bytes: 600_000_000_000, size_bytes: 1_000_000_000_000 }.into());
    let process = ProcessInfo {
        cpu_seconds: Some(1.25),
        open_fds: Some(12),
        max_fds: Some(1024),
        resident_memory_bytes: Some(9_000_000),
        virtual_memory_bytes: Some(200_000_000),
        start_time_seconds: Some(1_752_500_000.25),
        threads: Some(5),
        web_config: Some(true),
    };
    metrics::families(&observation, &process)
}

/// Replaces the labels of the build.
fn normalised(text: &str) -> String {
    let lines = text.lines().map(|line| {
        if line.starts_with("qdrant_backup_exporter_build_info{") {
            "qdrant_backup_exporter_build_info{version=\"V\",revision=\"R\",rust_version=\"1\"} 1\n"
                .to_owned()
        } else {
            format!("{line}\n")
        }
    });
    lines.collect()
}

fn compare(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        atomic::write(&path, 0o644, text.as_bytes()).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (is, was)) in (1..).zip(text.lines().zip(golden.lines())) {
        assert_eq!(is, was, "tests/golden/{file}:{number} differs; UPDATE_GOLDEN=1 writes it anew");
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "tests/golden/{file} has another length");
}

#[test]
fn metrics_are_as_kept_in_both_formats() {
    for (name, situation) in situations::ALL {
        let families = families(&situation());
        let text = normalised(&metrics::text(&families));
        compare(&format!("{name}.prom"), &text);
        let openmetrics = normalised(&metrics::openmetrics(&families));
        compare(&format!("{name}.openmetrics"), &openmetrics);
        let samples = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        assert_eq!(samples(&text), samples(&openmetrics), "the same samples in both formats");
        let mut series: Vec<String> = samples(&text).iter().map(|line| series_of(line).to_owned()).collect();
        let count = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), count, "{name}: a series is there twice");
    }
}

fn series_of(line: &str) -> &str {
    line.rsplit_once(' ').map_or(line, |(series, _)| series)
}

#[test]
fn every_metric_of_the_table_is_in_some_situation() {
    let mut seen: Vec<String> = Vec::new();
    for (_, situation) in situations::ALL {
        let place = situation();
        let textfile = metrics::textfile_families(&place.look());
        seen.extend(families(&place).iter().chain(&textfile).map(|family| family.metric.name.to_owned()));
    }
    for metric in ALL {
        assert!(seen.iter().any(|name| name == metric.name), "{} is nowhere", metric.name);
    }
}

#[test]
fn a_textfile_says_when_it_was_written_and_nothing_of_a_process_that_is_over() {
    for (_, situation) in situations::ALL {
        let place = situation();
        let observation = place.look();
        let text = metrics::text(&metrics::textfile_families(&observation));
        assert!(!text.contains("process_"), "{text}");
        let at = observation.taken_at.timestamp();
        assert!(text.contains(&format!("\nqdrant_backup_textfile_timestamp_seconds {at}\n")), "{text}");
        let served = metrics::text(&families(&place));
        assert!(served.contains("\nprocess_open_fds ") && !served.contains("textfile"), "{served}");
    }
}

#[test]
fn this_process_has_every_figure() {
    let info = ProcessInfo::read();
    assert!(info.open_fds.is_some_and(|number| number > 2), "{info:?}");
    assert!(info.resident_memory_bytes > Some(100_000) && info.threads >= Some(1), "{info:?}");
    assert!(info.start_time_seconds > Some(1.6e9) && info.cpu_seconds.is_some(), "{info:?}");
}

#[test]
fn the_document_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let document = std::fs::read_to_string(path).unwrap();
    assert!(
        document.ends_with(&format!("\n\n{}", metrics::reference())),
        "docs/metrics.md has drifted; `cargo xtask metrics` writes it anew"
    );
}
