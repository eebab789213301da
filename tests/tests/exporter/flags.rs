//! The command line.

use e2e::exporter::command;
use e2e::{Exporter, Ran};

use crate::situations;

#[test]
fn the_version_is_in_the_usual_form() {
    let ran = Ran::of(command().arg("--version")).success();
    let mut lines = ran.stdout.lines();
    let first = lines.next().unwrap();
    assert!(first.starts_with("qdrant-backup-exporter, version "), "{first}");
    assert!(first.contains(" (branch: ") && first.contains(", revision: "), "{first}");
    assert!(lines.all(|line| line.starts_with("  ")), "{}", ran.stdout);
}

#[test]
fn help_names_every_flag_of_a_prometheus_exporter() {
    let help = Ran::of(command().arg("--help")).success().stdout;
    for flag in [
        "--web.listen-address",
        "--web.telemetry-path",
        "--web.config.file",
        "--web.max-requests",
        "--log.level",
        "--log.format",
        "--config",
        "--backup-dir",
        "--state-dir",
        "--once",
        "--output",
        "--version",
    ] {
        assert!(help.contains(flag), "{flag} is missing:\n{help}");
    }
    assert!(help.contains("[default: :19854]"), "{help}");
}

#[test]
fn wrong_usage_is_2_and_a_wrong_configuration_78_each_in_one_line() {
    Ran::of(command().arg("--web.listen-adress=:1")).code(2);
    Ran::of(command().args(["--output", "x"])).code(2);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    qdrant_backup_shared::atomic::write(&file, 0o600, b"tls_server_config:\n  cert_fil: x\n").unwrap();
    for (arguments, says) in [
        (["--web.telemetry-path", "metrics"], "--web.telemetry-path: expected a path"),
        (["--config", "/nowhere.yaml"], "--config: cannot read /nowhere.yaml"),
        (["--web.config.file", "/nowhere.yml"], "--web.config.file: cannot read /nowhere.yml"),
        (["--web.config.file", file.to_str().unwrap()], "web.yml:2: tls_server_config.cert_fil: unknown key"),
    ] {
        let ran = Ran::of(command().args(arguments)).code(78).says(&["level=ERROR", says]);
        assert!(ran.stdout.is_empty());
    }
    for path in ["", "/m?x", "/a b", "/ä", "/-/healthy", "/api/v1/status"] {
        let ran = Ran::of(command().arg(format!("--web.telemetry-path={path}")));
        ran.code(78).says(&["--web.telemetry-path: "]);
    }
    for address in ["nonsense", "19854", "", "127.0.0.1", ":x", ":70000", "vsock://:1x"] {
        let ran = Ran::of(command().args(["--web.listen-address", address]));
        ran.code(1).says(&[&format!("{address:?} is not HOST:PORT").replace('"', "\\\"")]);
    }
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let ran = Ran::of(command().args(["--web.listen-address", &taken.to_string()]));
    ran.code(1).says(&[&format!("--web.listen-address: cannot listen on {taken}: ")]);
}

#[test]
fn every_error_of_a_log_in_json_is_json_with_its_reasons() {
    for (arguments, code, says) in [
        (["--log.format=json", "--no-such"], 2, "unexpected argument '--no-such'"),
        (["--log.format=json", "--web.telemetry-path=metrics"], 78, "--web.telemetry-path: expected a path"),
        (["--log.format=json", "--config=/nowhere.yaml"], 78, "cannot read /nowhere.yaml: No such file"),
        (["--log.format=json", "--web.listen-address=nonsense"], 1, "is not HOST:PORT"),
    ] {
        let ran = Ran::of(command().args(arguments)).code(code);
        let mut lines = ran.stderr.lines().map(|line| {
            let line: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            (line["level"].to_string(), line["msg"].to_string())
        });
        let (level, message) = lines.next_back().expect("a line");
        assert!(level.contains("ERROR") && message.contains(says), "{message}");
    }
}

#[test]
fn several_addresses_a_path_and_a_json_log() {
    let place = situations::healthy();
    let exporter = Exporter::start(
        place.path(),
        &[
            "--web.listen-address=:0",
            "--web.listen-address=localhost:0",
            "--web.telemetry-path=/other",
            "--log.level=info",
        ],
    );
    exporter.wait_for_line("TLS is disabled.");
    let listening = exporter.log().iter().filter(|line| line.contains("Listening on")).count();
    assert_eq!(listening, 3);
    assert_eq!(exporter.get("/other").status, 200);
    let root = Exporter::start(place.path(), &["--web.telemetry-path=/"]);
    assert!(root.get("/").text().contains("\nqdrant_backup_up 1\n"), "in the place of the status page");
    assert_eq!(exporter.get("/metrics").status, 404);
    assert!(exporter.get("/").text().contains("href=\"/other\""));
    exporter.wait_for_line("Starting qdrant-backup-exporter");
    let line = exporter.wait_for_line("Listening on");
    let (time, rest) = line.split_once(' ').unwrap();
    let time = time.strip_prefix("time=").unwrap();
    assert!(time.len() == "2025-07-15T14:30:00.500Z".len() && time.ends_with('Z'), "{line}");
    assert_eq!(rest, format!("level=INFO msg=\"Listening on\" address={}", exporter.address()));
    Ran::of(command().arg("--web.listen-address=a\\b c=d"))
        .code(1)
        .says(&[r#"level=ERROR msg="--web.listen-address: \"a\\\\b c=d\" is not HOST:PORT or :PORT""#]);

    let ran = Ran::of(command().args(["--log.format=json", "--web.listen-address=nonsense"])).code(1);
    for line in ran.stderr.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            value["time"].is_string() && value["level"].is_string() && value["msg"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn the_directory_comes_from_the_flag_the_environment_or_the_runners_file() {
    let place = situations::healthy();
    let path = place.path().to_str().unwrap();
    let other = tempfile::tempdir().unwrap();
    let file = other.path().join("backup.yaml");
    qdrant_backup_shared::atomic::write(&file, 0o600, format!("backup: {{path: {path}}}\n").as_bytes())
        .unwrap();
    let up = |ran: Ran| assert!(ran.stdout.contains("\nqdrant_backup_up 1\n"), "{}", ran.stdout);
    up(Ran::of(command().args(["--once", "--backup-dir", path])).success());
    up(Ran::of(command().arg("--once").env("QDRANT_BACKUP_PATH", path)).success());
    up(Ran::of(command().args(["--once", "--config"]).arg(&file)).success());
}

#[test]
fn once_writes_a_file_and_its_exit_code_says_whether_all_is_known() {
    let place = situations::healthy();
    let elsewhere = tempfile::tempdir().unwrap();
    let output = elsewhere.path().join("qdrant_backup.prom");
    Ran::of(command().args(["--once", "--backup-dir"]).arg(place.path()).arg("--output").arg(&output))
        .success();
    let text = std::fs::read_to_string(&output).unwrap();
    assert!(text.contains("\nqdrant_backup_up 1\n"));
    let ran = Ran::of(command().args(["--once", "--backup-dir", "/nowhere"])).code(1);
    assert!(ran.stdout.contains("\nqdrant_backup_up 0\n"));
}

#[test]
fn once_replaces_only_a_regular_file_outside_the_runners_directories() {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let place = situations::healthy();
    let state = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let once = |output: &std::path::Path| {
        let mut command = command();
        command.args(["--once", "--backup-dir"]).arg(place.path()).arg("--state-dir").arg(state.path());
        Ran::of(command.arg("--output").arg(output))
    };
    let path = |name: &str| elsewhere.path().join(name);
    mknodat(CWD, path("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    std::fs::create_dir(path("directory")).unwrap();
    qdrant_backup_shared::atomic::write(&path("file"), 0o600, b"old").unwrap();
    symlink(path("file"), path("link")).unwrap();
    symlink(place.path(), path("backups")).unwrap();
    for name in ["pipe", "directory", "link"] {
        once(&path(name)).code(1).says(&[&format!("{name}: exists and is not a regular file")]);
    }
    assert!(std::fs::symlink_metadata(path("pipe")).unwrap().file_type().is_fifo());
    assert!(std::fs::symlink_metadata(path("link")).unwrap().is_symlink());
    assert_eq!(std::fs::read(path("file")).unwrap(), b"old");

    let status = std::fs::read(place.path().join("status.json")).unwrap();
    for output in [
        place.path().join("status.json"),
        place.path().join("collections/new.prom"),
        state.path().join("new.prom"),
        path("backups").join("status.json"),
    ] {
        once(&output).code(1).says(&["where only qdrant-backup writes"]);
    }
    assert_eq!(std::fs::read(place.path().join("status.json")).unwrap(), status);
    once(&path("file"));
    assert!(std::fs::read_to_string(path("file")).unwrap().contains("qdrant_backup_up"));
}

#[test]
fn a_full_standard_output_is_named() {
    for arguments in [&["--help"][..], &["--version"], &["--once", "--backup-dir", "/nowhere"]] {
        let mut command = command();
        command.args(arguments).stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        Ran::of(&mut command).code(1).says(&["standard output cannot be written: No space left on device"]);
    }
}
