//! Runs the commands of docs/recovery.md: each section's commands in order, each with the documented exit code and
//! output, except for numbers, times, digests and sizes. Uses the stand-in, or a real server if `QDRANT_URL` is set,
//! which must not contain the document's collections. `QDRANT_SECOND_URL` is a second real server for restores to a
//! new server.

use std::cell::RefCell;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use chrono::TimeDelta;
use e2e::programs::program;
use e2e::qdrant_stand_in::{Collection, Effect, Fault, GeneratedSnapshot, Setup, StandIn, StandInCluster};
use e2e::{Place, Ran};
use serde_json::{Value, json};

use crate::documents::document;

const COLLECTIONS: [&str; 4] = ["empty", "minilm_general", "mixtral_embeddings", "named-and-sparse"];
const DAMAGED: &str = "mixtral_embeddings";
/// The document's backups, by night.
const NIGHTS: [&str; 5] = [
    "2026-11-20-02-00-01",
    "2026-11-21-02-00-00",
    "2026-11-22-02-00-00",
    "2026-11-23-02-00-00",
    "2026-11-24-02-00-00",
];

/// A command of the document with its output.
#[derive(Debug)]
struct Typed {
    command: String,
    shown: Vec<String>,
}

/// The commands of a section, in order.
fn section(title: &str) -> Vec<Typed> {
    let text = document("docs/recovery.md");
    let section = text.split("\n## ").find(|section| section.starts_with(title)).expect("the section");
    let section = section.split("\n### ").next().unwrap_or_default();
    let mut typed: Vec<Typed> = Vec::new();
    for block in section.split("\n```").skip(1).step_by(2) {
        for line in block.lines().skip(1) {
            match line.strip_prefix("$ ") {
                Some(command) => typed.push(Typed { command: command.to_owned(), shown: Vec::new() }),
                None => {
                    if let Some(last) = typed.last_mut() {
                        last.shown.push(line.to_owned());
                    }
                }
            }
        }
    }
    assert!(!typed.is_empty(), "{title}: no commands");
    typed
}

/// A server: the stand-in, or a real one whose collections are created and removed here.
enum Server {
    StandIn(Box<StandIn>),
    Real(String),
    /// The server is gone.
    Gone,
}

impl Server {
    fn url(&self) -> String {
        match self {
            Self::StandIn(stand_in) => stand_in.url().trim_end_matches('/').to_owned(),
            Self::Real(url) => url.trim_end_matches('/').to_owned(),
            Self::Gone => "http://127.0.0.1:1".to_owned(),
        }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-X", method, "-H", "content-type: application/json"]);
        if !body.is_null() {
            curl.args(["-d", &body.to_string()]);
        }
        let ran = Ran::of(curl.arg(format!("{}{path}", self.url()))).success();
        let answer: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert!(answer["status"] == "ok", "{method} {path}: {answer}");
        answer["result"].clone()
    }

    /// Creates the document's collections.
    fn fill(&self) {
        let Self::Real(_) = self else { return };
        let dense = |size: u32| json!({ "vectors": { "size": size, "distance": "Cosine" } });
        let mut two_shards = dense(16);
        two_shards["shard_number"] = json!(2);
        let named = json!({
            "vectors": { "title": { "size": 8, "distance": "Cosine" } }, "sparse_vectors": { "words": {} },
        });
        for (name, body) in COLLECTIONS.iter().zip([&dense(8), &dense(8), &two_shards, &named]) {
            self.ask("PUT", &format!("/collections/{name}"), body);
        }
        self.upsert("minilm_general", (0..100).map(|id| point(id, json!(vector(id, 8)), "en")).collect());
        self.upsert(DAMAGED, (0..250).map(|id| point(id, json!(vector(id, 16)), "de")).collect());
        let both =
            |id: u32| json!({ "title": vector(id, 8), "words": { "indices": [id, 90], "values": [1, 2] } });
        self.upsert("named-and-sparse", (0..30).map(|id| point(id, both(id), "en")).collect());
        let prod = json!({ "alias_name": "prod", "collection_name": DAMAGED });
        self.ask("POST", "/collections/aliases", &json!({ "actions": [{ "create_alias": prod }] }));
    }

    fn upsert(&self, collection: &str, points: Vec<Value>) {
        self.ask("PUT", &format!("/collections/{collection}/points?wait=true"), &json!({ "points": points }));
    }

    /// The bad import: twelve points are missing, and the others changed.
    fn damage(&self) {
        match self {
            Self::StandIn(stand_in) => stand_in.state(|state| {
                let config = state.collection_mut(DAMAGED).config.clone();
                let mut other = GeneratedSnapshot::new(220 << 10).points_count(238).shards(2);
                other.config = config;
                let mut other = Collection::generated(DAMAGED, other);
                "an import of the 21st".clone_into(&mut other.points.seed);
                state.add_collection(other);
            }),
            Self::Real(_) => {
                let gone: Vec<u32> = (238..250).collect();
                self.ask(
                    "POST",
                    &format!("/collections/{DAMAGED}/points/delete?wait=true"),
                    &json!({ "points": gone }),
                );
                self.upsert(DAMAGED, (0..238).map(|id| point(id, json!(vector(id + 1, 16)), "en")).collect());
            }
            Self::Gone => panic!("there are no collections"),
        }
    }

    fn delete(&self, collection: &str) {
        match self {
            Self::StandIn(stand_in) => stand_in.state(|state| drop(state.collections.remove(collection))),
            Self::Real(_) => drop(self.ask("DELETE", &format!("/collections/{collection}"), &Value::Null)),
            Self::Gone => panic!("there are no collections"),
        }
    }

    fn names(&self) -> Vec<String> {
        let list = self.ask("GET", "/collections", &Value::Null);
        let list = list["collections"].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|entry| Some(entry["name"].as_str()?.to_owned())).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Self::Real(_) = self else { return };
        for name in self.names() {
            if COLLECTIONS.iter().any(|ours| name.starts_with(ours)) {
                self.delete(&name);
            }
        }
    }
}

fn vector(id: u32, size: u32) -> Vec<u32> {
    (0..size).map(|index| (id * 7 + index * index) % 11 + 1).collect()
}

fn point(id: u32, vector: Value, lang: &str) -> Value {
    let text = "lorem ipsum ".repeat(5);
    let payload =
        json!({ "doc": format!("doc-{id}"), "lang": lang, "source": "wiki", "text": text, "n": id });
    json!({ "id": id, "vector": vector, "payload": payload })
}

/// The initial state of the sections: five nights of backups, with a bad import between the second and the third.
struct World {
    source: Server,
    other: Server,
    place: Place,
    /// Differences from the documented output and exit codes.
    differences: RefCell<Vec<String>>,
    /// On real servers, one section runs at a time.
    _alone: Option<MutexGuard<'static, ()>>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl World {
    /// `version` is the version of the other server. None if the section needs a stand-in or a second server that is
    /// not available.
    fn new(version: &str, is_stand_in_only: bool, needs_other: bool) -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
        let alone = variable("QDRANT_URL").map(|_| ALONE.lock().unwrap_or_else(PoisonError::into_inner));
        let (source, other) = match (variable("QDRANT_URL"), variable("QDRANT_SECOND_URL")) {
            (None, _) => (
                Server::StandIn(Box::new(StandIn::sample())),
                Server::StandIn(Box::new(StandIn::start(Setup::empty_of(version).peer_id(77)))),
            ),
            (Some(_), second) if is_stand_in_only || needs_other && second.is_none() => return None,
            (Some(url), second) => (Server::Real(url.clone()), Server::Real(second.unwrap_or(url))),
        };
        if let Server::Real(url) = &source {
            let there = source.names();
            assert!(there.iter().all(|name| !COLLECTIONS.contains(&name.as_str())), "{url} has {there:?}");
        }
        source.fill();
        let place = Place::new(&source.url());
        let url = other.url();
        place.configure(&format!(
            "qdrant:\n  retries: 0\n  wait_for_server: 0s\nbackup:\n  include: [\"empty*\", \"minilm*\", \"mixtral*\", \"named*\"]\n\
             schedule:\n  cron: \"0 2 * * *\"\nretention:\n  keep_days: 7\ndrill:\n  url: {url}\n"
        ));
        place.run(&["init"]).success();
        for night in 0..NIGHTS.len() {
            if night == 2 {
                source.damage();
            }
            place.run(&["run"]).success();
            // Ids have a resolution of one second, and a time between two backups is needed.
            thread::sleep(Duration::from_millis(if night == 1 { 2100 } else { 1100 }));
        }
        Some(Self { source, other, place, differences: RefCell::default(), _alone: alone })
    }

    /// The documented command with the paths and URLs of this test.
    fn here(&self, command: &str) -> String {
        let collection = command
            .split_once("--collection ")
            .map_or(DAMAGED, |(_, rest)| rest.split(' ').next().unwrap_or_default());
        let backups = self.place.backups(collection);
        let mut line = command.to_owned();
        for (documented, backup) in NIGHTS.iter().zip(&backups) {
            line = line.replace(documented, &backup.manifest.backup_id.to_string());
        }
        let noon = backups[1].manifest.completed_at + TimeDelta::seconds(1);
        line = line.replace("2026-11-21 12:00", &noon.format("%Y-%m-%d %H:%M:%S").to_string());
        for (documented, here) in self.names() {
            line = line.replace(documented, &here);
        }
        let config = self.place.beside("backup.yaml").display().to_string();
        line.replace("qdrant-backup ", &format!("qdrant-backup --config {config} "))
    }

    fn names(&self) -> [(&'static str, String); 5] {
        [
            ("http://localhost:6333", self.source.url()),
            ("http://new-server:6333", self.other.url()),
            ("http://test-server:6333", self.other.url()),
            ("/opt/qdrant/backups", self.place.path().display().to_string()),
            ("/var/tmp", self.place.beside("").display().to_string().trim_end_matches('/').to_owned()),
        ]
    }

    /// Runs a command and compares its exit code and output with the document.
    fn types(&self, typed: &Typed) {
        self.types_with(typed, &self.source.url());
    }

    fn types_with(&self, typed: &Typed, url: &str) {
        let here = self.here(&typed.command);
        let programs = program("qdrant-backup");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("exec 2>&1; {here}")])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", programs.parent().expect("a directory").display()))
            .env("QDRANT_URL", url)
            .env("QDRANT_BACKUP_PATH", self.place.path())
            .env("TZ", "UTC")
            .current_dir(self.place.beside(""));
        let ran = Ran::of(&mut shell);
        let mut said = ran.stdout.clone();
        for (documented, here) in &self.names() {
            said = said.replace(here, documented);
        }
        println!("$ {}\n{said}", typed.command);
        let fails = typed.shown.last().is_some_and(|last| last.contains("] ERROR: "));
        if (ran.code != Some(0)) != fails {
            self.differs(typed, &format!("ended with {:?}", ran.code));
        }
        let said: Vec<String> = said.lines().map(shape).collect();
        let mut shown = typed.shown.join("\n");
        if !shown.contains("http://new-server:6333") {
            shown = shown.replace("http://test-server:6333", "http://new-server:6333");
        }
        let shown: Vec<String> = shown.lines().map(shape).collect();
        if said != shown {
            self.differs(
                typed,
                &format!("printed\n{}\nand the document has\n{}", said.join("\n"), shown.join("\n")),
            );
        }
    }

    fn differs(&self, typed: &Typed, how: &str) {
        self.differences.borrow_mut().push(format!("$ {}\n{how}", typed.command));
    }

    /// Whether everything matched the document.
    fn as_documented(&self) {
        let differences = self.differences.borrow();
        assert!(differences.is_empty(), "docs/recovery.md differs:\n{}", differences.join("\n\n"));
    }

    fn types_all(&self, title: &str) {
        for typed in section(title) {
            self.types(&typed);
        }
    }
}

/// A line without the parts that vary: numbers, times, digests, sizes, ages and column widths.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut word = String::new();
    for character in line.chars().chain(['\n']) {
        if character.is_ascii_alphanumeric() {
            word.push(character);
            continue;
        }
        let is_number = word.starts_with(|c: char| c.is_ascii_digit());
        let is_digest = word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit());
        shape.push_str(if is_number || is_digest { "#" } else { &word });
        word.clear();
        if !(character == '\n' || character == ' ' && shape.ends_with([' ', '\n'])) {
            shape.push(character);
        }
    }
    loop {
        let mut next = shape.clone();
        for wide in ["-#", "#.#", "#:#", "#,#", "##", "# #"] {
            next = next.replace(wide, "#");
        }
        for unit in ["B", "KiB", "MiB", "d", "h", "min", "s"] {
            let spaced = format!("# {unit}");
            next = next.replace(&format!("{spaced} "), "# ");
            for end in [",", ")", "\n"] {
                next = next.replace(&format!("{spaced}{end}"), &format!("#{end}"));
            }
            if let Some(before) = next.strip_suffix(&spaced) {
                next = format!("{before}#");
            }
        }
        if next == shape {
            return shape.trim().to_owned();
        }
        shape = next;
    }
}

#[test]
fn numbers_times_and_sizes_make_no_other_line() {
    for (one, other) in [
        (" a  2026-11-24-02-00-00  1 h 3 min     0    1.52 KiB  x", "a 2025-01-01-00-00-00 4 s 250 3 B x"),
        ("[2026-11-24 03:04:00] INFO: in 0.1 s", "[2025-11-24 03:04:00] INFO: in 12 s"),
        ("\"vector\":[0.5,-0.25],\"x\":\"de\"", "\"vector\":[1,2,3e-5],\"x\":\"de\""),
        ("minilm__drill_82e4d6e249999ebd", "minilm__drill_0123456789abcdef"),
    ] {
        assert_eq!(shape(one), shape(other));
    }
    assert_ne!(shape("\"lang\":\"de\""), shape("\"lang\":\"en\""));
    assert_ne!(shape("{\"id\":7,\"vector\":[1]}"), shape("{\"id\":7,\"payload\":{},\"vector\":[1]}"));
}

#[cfg(feature = "outside")]
#[test]
fn wrong_data_is_found_restored_beside_compared_and_taken_into_use_as_documented() {
    let Some(world) = World::new("1.18.3", false, false) else { return };
    world.types_all("1. ");
    world.types_all("2. ");
    world.source.delete("minilm_general");
    world.types_all("3. ");
    world.as_documented();
}

#[cfg(feature = "outside")]
#[test]
fn a_lost_server_is_restored_to_a_new_one_as_documented() {
    let Some(world) = World::new("1.18.3", false, true) else { return };
    for typed in section("4. ") {
        // The old server does not answer.
        world.types_with(&typed, "http://127.0.0.1:1");
    }
    world.as_documented();
}

#[test]
fn a_new_version_of_the_server_is_refused_and_tried_as_documented() {
    let Some(world) = World::new("1.20.1", true, true) else { return };
    world.types_all("5. ");
    world.as_documented();
}

#[test]
fn a_collection_is_overwritten_in_place_as_documented() {
    let Some(world) = World::new("1.18.3", false, false) else { return };
    world.types_all("6. ");
    world.as_documented();
}

#[test]
fn a_collection_of_a_cluster_is_restored_as_documented() {
    let keys = [(json!("eu"), vec![1, 2]), (json!("us"), vec![3])];
    let tenants = GeneratedSnapshot::new(400 << 10).points_count(600).shard_keys(&keys);
    let cluster =
        StandInCluster::start_with(Setup::cluster(3).spread(Collection::generated("tenants", tenants), 1));
    let place = Place::initialised(&cluster.urls()[0]);
    place.run(&["backup"]).success();
    place.run(&["verify"]).success();
    cluster.state(|state| drop(state.collections.remove("tenants")));
    let [typed] = &section("8. ")[..] else { panic!("another command") };
    let words: Vec<&str> = typed.command.split_whitespace().skip(1).collect();
    let ran = place.run(&words).success();
    let on_any_node = |text: &str| {
        let mut text = text.to_owned();
        for (number, url) in cluster.urls().iter().enumerate() {
            text = text.replace(url.trim_end_matches('/'), &format!("http://qdrant-{number}.qdrant:6333"));
        }
        (0..3).fold(text, |text, number| text.replace(&format!("//qdrant-{number}."), "//qdrant."))
    };
    let said: Vec<String> =
        ran.stdout.lines().chain(ran.stderr.lines()).map(|line| shape(&on_any_node(line))).collect();
    assert_eq!(said, typed.shown.iter().map(|line| shape(&on_any_node(line))).collect::<Vec<_>>());
}

#[test]
fn a_server_that_does_not_answer_was_sent_nothing_as_documented() {
    let Some(mut world) = World::new("1.18.3", true, true) else { return };
    let section = section("9. ");
    let refused = section.last().expect("a command");
    world.other = Server::Gone;
    world.types(refused);
    world.as_documented();
}

#[test]
fn drills_pass_fail_and_pass_again_as_documented() {
    let Some(world) = World::new("1.18.3", false, true) else { return };
    let section = section("10. ");
    let [passes, fails, status, elsewhere] = &section[..] else { panic!("{section:?}") };
    world.types(passes);
    let Server::StandIn(test_server) = &world.other else { return world.as_documented() };
    test_server.faults(|faults| faults.add(Fault::new(Effect::RestoredVectorDiffers(3))));
    world.types(fails);
    world.types(status);
    test_server.faults(|faults| faults.clear());
    world.types(elsewhere);
    world.as_documented();
}

#[test]
fn a_snapshot_is_exported_as_documented() {
    let Some(world) = World::new("1.18.3", false, false) else { return };
    world.types_all("11. ");
    world.as_documented();
}

#[cfg(feature = "outside")]
#[test]
fn nothing_but_curl_restores_to_a_server_as_documented() {
    let Some(world) = World::new("1.18.3", false, true) else { return };
    let manifest = &world.place.backups(DAMAGED)[1].manifest;
    let documented = "ce12198c41aae0907860f659e8f63e22892871317f376b3e892cab6474b975dd";
    let commands: Vec<String> = section("7. ").iter().map(|typed| world.here(&typed.command)).collect();
    let script = commands.join("\n").replace(documented, &manifest.archives[0].snapshot.sha256.to_string());
    let mut shell = Command::new("sh");
    shell.args(["-euvc", &script]).env_clear().env("PATH", "/usr/bin:/bin");
    let ran = Ran::of(&mut shell).success();
    println!("{}", ran.stdout);
    assert!(!ran.stdout.contains("\"error\""), "{}", ran.stdout);
    for shown in [": OK\n", "\"status\":\"green\"", "{\"count\":250}", "\"shard_count\":2"] {
        assert!(ran.stdout.contains(shown), "{shown}: {}", ran.stdout);
    }
    let aliases = world.other.ask("GET", "/aliases", &Value::Null);
    assert_eq!(aliases["aliases"][0], json!({ "alias_name": "prod", "collection_name": DAMAGED }));
}
