//! The program accepts the examples in deploy/examples, including the commented lines.

use std::process::{Command, Stdio};

use e2e::programs::program;
use e2e::qdrant_stand_in::StandIn;
use e2e::{Place, Ran, Scene, repository};
use qdrant_backup_shared::atomic;
use serde_json::Value;

const CONFIG: &str = "deploy/examples/backup.yaml";
const ENV: &str = "deploy/examples/env";

/// Both examples next to a place, changed by `change`.
fn installed(place: &Place, change: impl Fn(String) -> String) -> Command {
    let mut command = Command::new(program("qdrant-backup"));
    command.env_clear().env("TZ", "UTC").stdin(Stdio::null());
    for (option, file, name) in [("--config", CONFIG, "example.yaml"), ("--env-file", ENV, "example.env")] {
        let path = place.beside(name);
        atomic::write(&path, 0o640, change(repository::read(file)).as_bytes()).expect("an example");
        command.arg(option).arg(path);
    }
    command
}

/// The value of `key` in `config show`, and its source.
#[track_caller]
fn shown(settings: &Value, key: &str) -> (String, String) {
    let setting = &settings["settings"][key];
    let value = &setting["value"];
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    (value, setting["source"].as_str().unwrap_or_else(|| panic!("no {key} in {settings}")).to_owned())
}

#[test]
fn both_examples_say_the_same_and_are_taken_as_they_are() {
    let place = Place::new("http://127.0.0.1:1");
    let ran = Ran::of(installed(&place, |text| text).args(["config", "show", "--json"])).success();
    let both: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let alone = Ran::of(
        Command::new(program("qdrant-backup"))
            .env_clear()
            .args(["config", "show", "--json", "--config"])
            .arg(repository::path(CONFIG)),
    )
    .success();
    let alone: Value = serde_json::from_str(&alone.stdout).expect("JSON");
    for (key, value) in [
        ("qdrant.url", "http://localhost:6333"),
        ("backup.path", "/opt/qdrant/backups"),
        ("backup.compression", "gzip"),
        ("schedule.cron", "0 2 * * *"),
        ("retention.keep_days", "7"),
    ] {
        assert_eq!(shown(&both, key).0, value, "{key}");
        assert_eq!(shown(&alone, key).0, value, "{key}");
        assert!(shown(&both, key).1.contains("example.env"), "{key}: {:?}", shown(&both, key));
        assert!(shown(&alone, key).1.contains("backup.yaml"), "{key}: {:?}", shown(&alone, key));
    }
}

#[test]
fn what_the_examples_recommend_to_some_is_taken_too() {
    let place = Place::new("http://127.0.0.1:1");
    let key = place.beside("api-key").display().to_string();
    atomic::write(&place.beside("api-key"), 0o600, b"s3cret\n").expect("a key");
    let all = |text: String| {
        let uncommented = repository::uncommented(&text);
        assert!(uncommented.lines().count() == text.lines().count() && uncommented != text);
        assert!(!uncommented.contains("\n#:"), "{uncommented}");
        uncommented.replace("/opt/qdrant/config/api-key", &key)
    };
    let ran = Ran::of(installed(&place, all).args(["config", "show"])).success();
    for value in [
        "Europe/Berlin",
        "*_tmp",
        "logs-*",
        "http://qdrant-test.example.org:6333",
        "/opt/qdrant/config/ca.pem",
    ] {
        assert!(ran.stdout.contains(value), "{value} is not in\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("s3cret") && ran.stderr.is_empty(), "{ran:?}");
}

#[test]
fn config_check_is_content_with_the_examples() {
    let Scene { server, place } = Scene::on(StandIn::sample());
    let here = |text: String| {
        text.replace("http://localhost:6333", &server.url())
            .replace("/opt/qdrant/backups", &place.path().display().to_string())
    };
    let ran = Ran::of(installed(&place, here).args(["config", "check"])).success();
    assert!(ran.stdout.lines().count() >= 7 && !ran.stdout.contains("FAIL"), "{}", ran.stdout);
}
