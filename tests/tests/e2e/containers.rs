//! The files in deploy/docker match the programs, the repository and each other. No image is built here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::programs::program;
use e2e::qdrant_stand_in::{Effect, Endpoint, Fault, Setup, StandIn};
use e2e::scene::docs;
use e2e::{Exporter, Place, Ran, Running, Scene, eventually, repository};
use qdrant_backup_shared::atomic;
use rustix::process::Signal;
use serde_json::Value;

const DOCKERFILE: &str = "deploy/docker/Dockerfile";
const COMPOSE: &str = "deploy/docker/compose.yml";

/// The instructions of the Dockerfile, with continued lines joined and without comments.
fn instructions() -> Vec<String> {
    let text = repository::read(DOCKERFILE);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    joined.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// The arguments of the instructions that begin with `word`.
fn all(word: &str) -> Vec<String> {
    let word = format!("{word} ");
    instructions().iter().filter_map(|line| line.strip_prefix(&word).map(str::to_owned)).collect()
}

/// The words of a YAML string or list.
fn words(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap_or_else(|| panic!("no list: {value}"));
    list.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// The files that the programs contain by `include_str!`, with the source file that names them. Not those of tests.
fn included(sources: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(sources).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(included(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") && !entry.ends_with("tests.rs")
        {
            let text = fs::read_to_string(&entry).expect("a text");
            let program = text.split("#[cfg(test)]").next().unwrap_or_default();
            for rest in program.split("include_str!(\"").skip(1) {
                let path = rest.split('"').next().unwrap_or_default();
                found.push((entry.clone(), entry.with_file_name(path)));
            }
        }
    }
    found
}

#[test]
fn the_dockerfile_copies_what_there_is_and_cargo_needs() {
    let copied: Vec<String> =
        all("COPY").into_iter().filter(|arguments| !arguments.starts_with("--from")).collect();
    let ignore = repository::read("deploy/docker/Dockerfile.dockerignore");
    let context = tempfile::tempdir().expect("a directory");
    for arguments in &copied {
        let mut words: Vec<&str> = arguments.split_whitespace().collect();
        words.pop();
        for source in words {
            assert!(repository::path(source).exists(), "COPY {source}");
            assert!(
                ignore.lines().any(|line| line == format!("!{source}")),
                "{source} is not sent to the builder"
            );
            let target = context.path().join(source);
            fs::create_dir_all(target.parent().expect("a parent")).expect("a directory");
            let copy = Command::new("cp").arg("-r").arg(repository::path(source)).arg(&target).status();
            assert!(copy.expect("cp runs").success());
        }
    }
    for source in ["shared/src", "runner/src", "exporter/src"] {
        for (file, included) in included(&context.path().join(source)) {
            assert!(
                included.exists(),
                "{} includes {}, which is not copied",
                file.display(),
                included.display()
            );
        }
    }
    // Every workspace member is copied, and the lock file matches.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = Ran::of(
        Command::new(cargo)
            .args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"])
            .current_dir(context.path()),
    )
    .success();
    let metadata: Value = serde_json::from_str(&metadata.stdout).expect("JSON");
    let built = instructions().into_iter().find(|line| line.contains("cargo build")).expect("a build");
    for package in built.split("-p ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
        assert!(
            metadata["packages"].as_array().expect("packages").iter().any(|is| is["name"] == package),
            "{package}"
        );
    }
    let promised = metadata["packages"][0]["rust_version"].as_str().expect("a version");
    assert!(
        all("ARG").contains(&format!("RUST_VERSION={promised}")),
        "the image has the toolchain that Cargo.toml names"
    );
}

#[test]
fn the_images_run_our_programs_without_root_and_without_secrets() {
    let stages: Vec<String> = instructions().join("\n").split("FROM ").skip(1).map(str::to_owned).collect();
    for (stage, name, user) in [
        ("base AS exporter", "qdrant-backup-exporter", "10002"),
        ("base AS runner", "qdrant-backup", "10001"),
    ] {
        let stage =
            stages.iter().find(|text| text.starts_with(stage)).unwrap_or_else(|| panic!("no {stage}"));
        assert!(
            stage.contains(&format!("COPY --from=build /src/target/dist/{name} /usr/bin/{name}\n")),
            "{stage}"
        );
        assert!(stage.contains(&format!("ENTRYPOINT [\"{name}\"]")), "{stage}");
        assert!(stage.contains(&format!("USER {user}:10001\n")), "{stage}");
        assert!(program(name).is_file());
    }
    let last = stages.last().expect("stages");
    assert!(last.starts_with("base AS runner"), "the default is the runner");
    let text = instructions().join("\n").to_uppercase();
    for secret in ["API_KEY", "PASSWORD", "TOKEN", "SECRET"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[cfg(feature = "outside")]
#[test]
fn the_exporters_health_check_tells_whether_it_answers_at_its_port() {
    let help = Ran::of(Command::new(program("qdrant-backup-exporter")).arg("--help")).success();
    let port = all("EXPOSE").remove(0);
    assert!(help.stdout.contains(&format!("[default: :{port}]")), "{}", help.stdout);
    let check = all("HEALTHCHECK").remove(0);
    let (_, command) = check.split_once("CMD ").expect("a command");
    let command = words(&serde_json::from_str(command).expect("a JSON list"));
    let healthy = |port_now: u16| {
        let arguments =
            command.iter().map(|word| word.replace(&format!("/{port} "), &format!("/{port_now} ")));
        let arguments: Vec<String> = arguments.collect();
        assert_ne!(arguments, command, "the check asks at {port}");
        Ran::of(Command::new("timeout").arg("20").args(arguments)).code == Some(0)
    };
    let place = Place::new("http://127.0.0.1:1");
    let exporter = Exporter::start(place.path(), &[]);
    let address = exporter.address();
    assert!(healthy(address.port()), "even without backups");
    drop(exporter);
    assert!(!healthy(address.port()));
    // Another service listens there.
    let other = StandIn::sample();
    let port: u16 = other.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    assert!(!healthy(port));
}

/// `run-every` as in the image.
fn run_every(place: &Place, arguments: &[&str]) -> Command {
    let programs = program("qdrant-backup").parent().expect("a directory").display().to_string();
    let mut command = Command::new(repository::path("deploy/docker/run-every.sh"));
    command
        .args(arguments)
        .arg("--config")
        .arg(place.beside("backup.yaml"))
        .env_clear()
        .env("PATH", format!("{programs}:/usr/bin:/bin"))
        .env("QDRANT_URL", place.url())
        .env("QDRANT_BACKUP_PATH", place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn the_loop_runs_again_after_every_run_until_it_is_told_to_stop() {
    let server = StandIn::start(Setup::empty().collection(docs()));
    let place = Place::new(&server.url());

    let mut running = Running::start(&mut run_every(&place, &["1"]));
    running.until_it_says("exit code 78, next run in 1 s");
    place.run(&["init"]).success();
    eventually("two backups", || place.backups("docs").len() >= 2);
    running.end_with(Signal::TERM);
    assert!(place.prove() >= 2);

    let mut running = Running::start(&mut run_every(&place, &["86400"]));
    running.until_it_says("exit code 0, next run in 86400 s");
    running.end_with(Signal::INT).code(130);

    for wrong in [&["0"][..], &["1h"], &[]] {
        Ran::of(&mut run_every(&place, wrong)).code(2).says(&["usage: run-every SECONDS"]);
    }
}

#[test]
fn a_run_of_the_loop_tidies_up_before_the_loop_ends() {
    let slow = Fault::new(Effect::BytesPerSecond(20_000)).on(Endpoint::DownloadSnapshot);
    let Scene { server, place } = Scene::on(StandIn::start(Setup::empty().collection(docs()).fault(slow)));

    let running = Running::start(&mut run_every(&place, &["86400"]));
    eventually("the download has begun", || !server.requests_matching("GET", ".snapshot").is_empty());
    running.end_with(Signal::TERM).code(143);

    assert_eq!(place.stored(), Vec::<String>::new());
    assert_eq!(server.snapshot_names("docs"), Vec::<String>::new());
    assert_eq!(place.status().current_run, None);
}

#[cfg(feature = "outside")]
#[test]
fn compose_mounts_what_there_is_and_says_what_the_programs_know() {
    let compose = repository::yaml(COMPOSE).remove(0);
    let services = compose["services"].as_object().expect("services");
    for (name, service) in services {
        let image = service["image"].as_str().expect("an image");
        let ours = service["build"].is_object();
        assert!(ours || image.split_once(':').is_some_and(|(_, tag)| tag != "latest"), "{name}: {image}");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().expect("a port").starts_with("127.0.0.1:"), "{name}: {port}");
        }
        for mount in service["volumes"].as_array().into_iter().flatten() {
            let source = mount.as_str().expect("a mount").split(':').next().expect("a source");
            if source.starts_with('.') {
                assert!(repository::path("deploy/docker").join(source).exists(), "{name}: {source}");
            } else {
                assert!(compose["volumes"].get(source).is_some(), "{name}: {source}");
            }
        }
        if ours {
            assert_eq!(service["build"]["dockerfile"], DOCKERFILE);
            let context = repository::path("deploy/docker")
                .join(service["build"]["context"].as_str().expect("a context"));
            assert!(context.join(DOCKERFILE).is_file());
            assert_eq!(
                (&service["read_only"], &service["cap_drop"][0]),
                (&Value::Bool(true), &Value::from("ALL")),
                "{name}"
            );
            let target = service["build"]["target"].as_str().expect("a target");
            assert!(all("FROM").contains(&format!("base AS {target}")), "{name}: {target}");
        }
    }
    // Grafana looks for the dashboard at its mount point.
    let provider = repository::yaml("dashboards/provisioning/dashboards/qdrant-backup.yml").remove(0);
    let directory = provider["providers"][0]["options"]["path"].as_str().expect("a path");
    let target = format!("qdrant-backup.json:{directory}/qdrant-backup.json:ro");
    let mounts = services["grafana"]["volumes"].as_array().expect("mounts");
    assert!(mounts.iter().any(|mount| mount.as_str().is_some_and(|mount| mount.ends_with(&target))));

    // The program rejects an env file with an unknown variable that has our prefix.
    for uncommented in [false, true] {
        let place = Place::new("http://127.0.0.1:1");
        let text = repository::read(COMPOSE);
        let text = if uncommented { repository::uncommented(&text) } else { text };
        let variables: Vec<(&str, &str)> = text
            .lines()
            .filter_map(|line| line.trim().split_once(": "))
            .filter(|(name, _)| name.starts_with("QDRANT_") || name.starts_with("BACKUP_"))
            .collect();
        let key = place.beside("api-key").display().to_string();
        atomic::write(&place.beside("api-key"), 0o600, b"s3cret\n").expect("a key");
        let mut env: String = variables
            .iter()
            .filter(|(name, _)| *name != "QDRANT_BACKUP_PATH")
            .map(|(name, value)| format!("{name}={}\n", value.replace("/run/secrets/qdrant-api-key", &key)))
            .collect();
        let path = services["runner"]["environment"]["QDRANT_BACKUP_PATH"].as_str().expect("a path");
        env.push_str(&format!("QDRANT_BACKUP_PATH={path}\n"));
        atomic::write(&place.beside("env"), 0o600, env.as_bytes()).expect("an env file");
        let shown = Ran::of(
            Command::new(program("qdrant-backup"))
                .env_clear()
                .args(["config", "show", "--env-file"])
                .arg(place.beside("env")),
        )
        .success();
        assert!(shown.stdout.contains("@hourly"), "{variables:?}\n{}", shown.stdout);
        assert_eq!(shown.stdout.contains("api-key"), uncommented);
        for name in ["runner", "cli"] {
            assert_eq!(words(&services[name]["volumes"]), [format!("backups:{path}")]);
        }
    }
    let exporter = &services["exporter"];
    assert_eq!(
        exporter["environment"]["QDRANT_BACKUP_PATH"],
        services["runner"]["environment"]["QDRANT_BACKUP_PATH"]
    );
    assert_eq!(words(&services["runner"]["entrypoint"]), ["run-every", "3600"]);
    assert!(all("COPY").contains(&"deploy/docker/run-every.sh /usr/bin/run-every".to_owned()));
}

#[cfg(feature = "outside")]
#[test]
fn the_trials_prometheus_asks_the_services_that_there_are() {
    let services = repository::yaml(COMPOSE).remove(0)["services"].clone();
    let prometheus = repository::yaml("deploy/docker/prometheus.yml").remove(0);
    let job = &prometheus["scrape_configs"][0];
    let rules = repository::read("alerts/qdrant-backup.rules.yml");
    assert!(rules.contains(&format!("job=\"{}\"", job["job_name"].as_str().expect("a name"))));
    let targets = [
        &job["static_configs"][0]["targets"][0],
        &prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0],
    ];
    for (target, name) in targets.into_iter().zip(["exporter", "alertmanager"]) {
        let (host, port) = target.as_str().and_then(|target| target.split_once(':')).expect("a target");
        assert_eq!(host, name);
        assert_eq!(services[host]["ports"][0], format!("127.0.0.1:{port}:{port}"));
    }
    assert_eq!(services["exporter"]["ports"][0], format!("127.0.0.1:{0}:{0}", all("EXPOSE")[0]));
}

#[cfg(feature = "outside")]
#[test]
fn the_documented_commands_name_files_stages_and_services_that_there_are() {
    let text = repository::read("docs/containers.md");
    let services = repository::yaml(COMPOSE).remove(0)["services"].clone();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut named = BTreeSet::new();
    for line in blocks.flat_map(str::lines) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            match pair {
                ["-f", file] if *file != "-" => assert!(repository::path(file).is_file(), "{line}"),
                ["--target", stage] => {
                    assert!(all("FROM").contains(&format!("base AS {stage}")), "{line}");
                }
                ["--rm", service] if words[1] == "compose" => {
                    assert!(services[*service].is_object(), "{line}");
                }
                _ => continue,
            }
            named.insert(pair[0]);
        }
    }
    assert_eq!(named, BTreeSet::from(["-f", "--target", "--rm"]));
}
