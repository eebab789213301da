//! The shipped dashboard with a real Prometheus that has a week of the exporter's answers, scrapes the exporter and
//! uses the shipped rules: every query returns data, and no tile is green when something is wrong or unknown.

use std::collections::BTreeMap;

use e2e::dashboard::{self, Kind};
use e2e::week::Week;
use e2e::{Directory, Exporter, History, Prometheus, eventually};
use serde_json::Value;

use crate::situations;

const INSTANCE: &str = "backup-host:19854";

/// The dashboard's time range.
const DAYS: i64 = 7;

const GOOD: &str = "semi-dark-green";
const BAD: &str = "semi-dark-red";

/// The gray of unknown values.
const UNKNOWN: &str = "#7f8083";

/// The names and colors of the values of each tile, by title.
type Tiles = BTreeMap<String, Vec<(String, String)>>;

/// A Prometheus that has scraped `exporter` and then evaluated its rules.
fn watching(directory: &tempfile::TempDir, exporter: &Exporter) -> Prometheus {
    let prometheus = Prometheus::with_shipped_rules(directory.path(), INSTANCE, exporter.address(), "");
    eventually("the exporter is scraped", || {
        !prometheus.query("qdrant_backup_scrape_collector_success[1m]").is_empty()
    });
    // The first evaluation may precede the first scrape.
    eventually("the rules are evaluated twice more", || {
        let evaluated = prometheus.query("count_over_time(ALERTS{alertname=\"QdrantBackupWatchdog\"}[1m])");
        evaluated.first().and_then(|series| series["value"][1].as_str()?.parse().ok()) >= Some(3.0)
    });
    prometheus
}

fn ask(prometheus: &Prometheus, query: &dashboard::Query, collection: &str) -> Vec<Value> {
    ask_of(prometheus, query, ["qdrant-backup", INSTANCE, collection])
}

fn ask_of(
    prometheus: &Prometheus,
    query: &dashboard::Query,
    [job, instance, collection]: [&str; 3],
) -> Vec<Value> {
    let expr = query.with(job, instance, collection);
    if query.kind != Kind::Range {
        return prometheus.query(&expr);
    }
    // Includes the current second, because an alert may be that new.
    let now = e2e::exporter::now().timestamp() + 1;
    prometheus.query_range(&expr, now - DAYS * 86_400, now, 600)
}

/// The current values of each tile.
fn tiles(prometheus: &Prometheus) -> Tiles {
    let shipped = dashboard::shipped();
    let mut tiles = BTreeMap::new();
    for panel in dashboard::panels(&shipped).into_iter().filter(|panel| panel["type"] == "stat") {
        let mut shown = Vec::new();
        for (query, target) in dashboard::queries_of(panel).iter().zip(panel["targets"].as_array().unwrap()) {
            let legend = target["legendFormat"].as_str().unwrap();
            for series in ask(prometheus, query, ".+") {
                let value: f64 = series["value"][1].as_str().unwrap().parse().unwrap();
                let mut name = legend.to_owned();
                for (label, of) in series["metric"].as_object().unwrap() {
                    name = name.replace(&format!("{{{{{label}}}}}"), of.as_str().unwrap());
                }
                let colour = dashboard::colour(panel, legend, value).to_owned();
                println!("{}: {name} {value} {colour}", panel["title"]);
                shown.push((name, colour));
            }
        }
        tiles.insert(panel["title"].as_str().unwrap().to_owned(), shown);
    }
    tiles
}

/// The tiles with a value of this color.
fn tiles_of(colour: &str, tiles: &Tiles) -> Vec<String> {
    let has = |shown: &[(String, String)]| shown.iter().any(|(_, other)| other == colour);
    tiles.iter().filter(|(_, shown)| has(shown)).map(|(title, _)| title.clone()).collect()
}

/// The queries without results.
fn empty(prometheus: &Prometheus, collection: &str) -> Vec<String> {
    let queries = dashboard::queries(&dashboard::shipped());
    assert!(!queries.is_empty());
    let empty = queries.iter().filter(|query| ask(prometheus, query, collection).is_empty());
    empty.map(|query| query.of.clone()).collect()
}

/// The names of the values of this color in a tile.
fn names<'a>(tiles: &'a Tiles, title: &str, colour: &str) -> Vec<&'a str> {
    let shown = tiles[title].iter().filter(|(_, other)| other == colour);
    shown.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn every_query_finds_something_and_no_tile_is_green_that_should_not_be() {
    let place = Directory::repository();
    let exporter = Exporter::start(place.path(), &[]);
    let directory = tempfile::tempdir().unwrap();
    let mut history = History::of(INSTANCE);
    let mut week = Week::lived(place, &exporter, &mut history, e2e::exporter::now());
    history.store(directory.path());
    let prometheus = watching(&directory, &exporter);
    after_a_good_week(&prometheus);
    week.end_badly();
    after_a_bad_night(&prometheus);
    drop(exporter);
    without_exporter(&prometheus);
}

fn after_a_good_week(prometheus: &Prometheus) {
    assert_eq!(empty(prometheus, ".+"), ["annotation Alert"]);
    let seen = tiles(prometheus);
    for colour in [BAD, "orange", UNKNOWN] {
        assert_eq!(tiles_of(colour, &seen), Vec::<String>::new(), "{colour}");
    }
    assert!(seen.values().all(|shown| !shown.is_empty()), "{seen:?}");
}

fn after_a_bad_night(prometheus: &Prometheus) {
    let alert =
        |name: &str| !prometheus.query(&format!("ALERTS{{alertname=\"QdrantBackup{name}\"}}")).is_empty();
    eventually("the alerts fire", || alert("RunFailed") && alert("VerifyFailed"));
    assert_eq!(empty(prometheus, ".+"), Vec::<String>::new());
    // The same for some collections, in Grafana's format.
    assert_eq!(empty(prometheus, "(products|wiki pages)"), Vec::<String>::new());
    for query in dashboard::queries(&dashboard::shipped()) {
        for series in ask(prometheus, &query, "(products|wiki pages)") {
            let odd =
                query.expr.contains("$collection") && series["metric"]["collection"] == "support_tickets";
            assert!(!odd, "{} ignores the variable", query.of);
        }
    }
    for [job, instance] in [["another", INSTANCE], ["qdrant-backup", "another:19854"]] {
        for query in dashboard::queries(&dashboard::shipped()) {
            // Each variable's values depend on the variables before it. The watchdog has no job and no instance.
            let is_shown = query.of == "variable job"
                || query.of == "variable instance" && job == "qdrant-backup"
                || query.of.starts_with("panel Alerts firing,");
            let heeds = ask_of(prometheus, &query, [job, instance, ".+"]).is_empty();
            assert!(heeds != is_shown, "{} of {job} {instance}", query.of);
        }
    }
    let seen = tiles(prometheus);
    // Every collection with a bad backup has a newer good one, so the alerts are warnings.
    assert_eq!(tiles_of(BAD, &seen), ["Backups not to rely on", "Last run of each operation"]);
    assert_eq!(names(&seen, "Last run of each operation", BAD), ["backup"]);
    assert_eq!(names(&seen, "Backups not to rely on", BAD), ["bad"]);
    assert_eq!(names(&seen, "Backups not to rely on", "orange"), ["unverified"]);
}

fn without_exporter(prometheus: &Prometheus) {
    eventually("the exporter is reported as down", || !prometheus.query("up == 0").is_empty());
    eventually("an alert fires", || !prometheus.query("ALERTS{alertname=\"QdrantBackupBlind\"}").is_empty());
    let seen = tiles(prometheus);
    assert_eq!(tiles_of(GOOD, &seen), Vec::<String>::new());
    assert_eq!(tiles_of(BAD, &seen), ["Alerts firing", "Exporter"]);
}

#[test]
fn a_collection_that_was_never_backed_up_is_as_bad_as_one_that_is_overdue() {
    let place = Directory::repository();
    situations::crowd(&place, 1);
    let directory = tempfile::tempdir().unwrap();
    let exporter = Exporter::start(place.path(), &[]);
    let seen = tiles(&watching(&directory, &exporter));
    let bad = tiles_of(BAD, &seen);
    for title in ["Age of the data", "Age in intervals", "Collections overdue"] {
        assert!(bad.iter().any(|other| other == title), "{title}: {seen:?}");
    }
}

#[test]
fn nothing_is_green_when_the_exporter_can_read_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = Exporter::start(&directory.path().join("not mounted"), &[]);
    let prometheus = watching(&directory, &exporter);
    let seen = tiles(&prometheus);
    assert_eq!(tiles_of(GOOD, &seen), Vec::<String>::new());
    assert_eq!(tiles_of(BAD, &seen), ["Alerts firing", "Exporter"]);
}
