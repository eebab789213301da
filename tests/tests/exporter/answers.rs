//! Answers of the exporter: paths, methods, formats, compression, the JSON and its schema.

use e2e::{Directory, Exporter};
use serde_json::Value;

use crate::situations;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[test]
fn paths_and_methods() {
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    for (method, path, status) in [
        ("GET", "/metrics", 200),
        ("GET", "/metrics?collect[]=x", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/", 200),
        ("GET", "/-/healthy", 200),
        ("GET", "/-/ready", 200),
        ("GET", "/api/v1/status", 200),
        ("GET", "/metrics/", 404),
        ("GET", "/favicon.ico", 404),
        ("POST", "/nothing", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/", 405),
        ("OPTIONS", "/-/healthy", 405),
        ("PUT", "/api/v1/status", 405),
    ] {
        let answer = exporter.ask(method, path, &[]);
        assert_eq!(answer.status, status, "{method} {path}");
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }
    let (get, head) = (exporter.get("/-/healthy"), exporter.ask("HEAD", "/-/healthy", &[]));
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[test]
fn the_format_follows_accept_and_gzip_follows_accept_encoding() {
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    for (accept, expected) in [
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", TEXT),
        ("text/plain", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("text/plain;version=1.0.0", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;version=9.9.9", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0.4,text/plain;q=0.5", TEXT),
        ("text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.75", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0;q=nonsense", TEXT),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", TEXT),
        // The header of Prometheus 2.42.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPENMETRICS,
        ),
        // The header of Prometheus 3.
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OPENMETRICS,
        ),
    ] {
        let answer = exporter.ask("GET", "/metrics", &[("Accept", accept)]);
        assert_eq!(answer.header("content-type"), Some(expected), "{accept}");
        assert_eq!(answer.header("content-encoding"), None);
        assert_eq!(answer.text().ends_with("# EOF\n"), expected == OPENMETRICS);
        assert!(answer.text().contains("\nqdrant_backup_up 1\n"));
    }
    let plain = exporter.get("/metrics");
    for (accept, is_packed) in [
        ("GZIP", true),
        ("deflate, gzip;q=0.5", true),
        ("*", true),
        ("gzip;q=0", false),
        ("gzip;q=0.000, *", false),
        ("*;q=0", false),
        ("identity", false),
        ("br, zstd", false),
    ] {
        let answer = exporter.ask("GET", "/metrics", &[("Accept-Encoding", accept)]);
        assert_eq!(answer.header("content-encoding"), is_packed.then_some("gzip"), "{accept}");
    }
    for path in ["/metrics", "/", "/api/v1/status"] {
        let packed = exporter.ask("GET", path, &[("Accept-Encoding", "gzip")]);
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert!(packed.body.len() < plain.body.len() / 2, "{path}: {} bytes", packed.body.len());
        assert!(packed.text().len() > packed.body.len());
    }
}

#[test]
fn no_series_is_there_twice() {
    let place = situations::failing();
    let exporter = Exporter::start(place.path(), &[]);
    for accept in ["text/plain", "application/openmetrics-text;version=1.0.0"] {
        let text = exporter.ask("GET", "/metrics", &[("Accept", accept)]).text();
        let series: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| Some(line.rsplit_once(' ')?.0))
            .collect();
        let different: std::collections::BTreeSet<&str> = series.iter().copied().collect();
        assert!(different.contains("qdrant_backup_up"));
        assert_eq!(series.len(), different.len());
    }
}

#[test]
fn the_page_allows_itself_nothing_from_elsewhere() {
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    let answer = exporter.get("/");
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let text = answer.text();
    assert!(!text.contains("<script") && !text.contains("http://") && !text.contains("https://"), "{text}");
    assert!(text.contains("All 3 collections backed up 2 h ago, verified"), "{text}");
}

#[test]
fn the_json_is_what_its_schema_says() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/exporter_status.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let nowhere = tempfile::tempdir().unwrap();
    for (place, severity) in [
        (situations::healthy(), "fine"),
        (situations::failing(), "critical"),
        (Directory::repository(), "critical"),
    ] {
        let exporter = Exporter::start(place.path(), &[]);
        let answer = exporter.get("/api/v1/status");
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        let value: Value = serde_json::from_str(&answer.text()).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(value["verdict"]["severity"], severity, "{}", value["verdict"]);
    }
    let exporter = Exporter::start(nowhere.path(), &[]);
    let value: Value = serde_json::from_str(&exporter.get("/api/v1/status").text()).unwrap();
    assert_eq!(value["verdict"]["findings"][0]["kind"], "directory-unreadable");
}

#[test]
fn a_short_scrape_time_out_is_kept() {
    let place = situations::healthy();
    let exporter = Exporter::start(place.path(), &[]);
    for seconds in ["0.5", "1", "nonsense"] {
        let answer = exporter.ask("GET", "/metrics", &[("X-Prometheus-Scrape-Timeout-Seconds", seconds)]);
        assert!(answer.text().contains("\nqdrant_backup_up 1\n"));
    }
}
