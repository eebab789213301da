//! The scripts in deploy/scripts: the names that existing installations call. They only call the program.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use e2e::programs::program;
use e2e::qdrant_stand_in::{Endpoint, Fault, Setup, StandIn};
use e2e::scene::{DOCS, docs, generated};
use e2e::{Place, Ran, repository};
use qdrant_backup_shared::atomic;
use qdrant_backup_shared::operation::Operation;

const BACKUP: &str = "backup_collections.sh";
const RESTORE: &str = "restore_collections.sh";
const CONFIG: &str = "/opt/qdrant/config";

/// The installed scripts, with a configuration directory for this test.
struct Scripts {
    place: Place,
}

impl Scripts {
    /// For a Qdrant at `url`, which is configured only in `.env`.
    fn of(url: &str) -> Self {
        let scripts = Self { place: Place::new(url) };
        std::fs::create_dir(scripts.place.beside("config")).expect("a directory");
        scripts.env_file(&format!(
            "QDRANT_URL={url}\nQDRANT_BACKUP_PATH={}\nBACKUP_RETENTION_DAYS=7\nBACKUP_SCHEDULE=\"0 2 * * *\"\nBACKUP_COMPRESSION=true\n",
            scripts.place.path().display()
        ));
        for name in [BACKUP, RESTORE] {
            let text = repository::read(&format!("deploy/scripts/{name}"));
            let named = format!("config_dir={CONFIG}\n");
            assert!(text.contains(&named), "{name}");
            let ours = format!("config_dir='{}'\n", scripts.place.beside("config").display());
            assert!(text.contains(":/usr/local/bin\""), "{name}");
            let local = scripts.place.beside("local").display().to_string();
            let text = text.replace(&named, &ours).replace("/usr/local/bin", &local);
            atomic::write(&scripts.place.beside(name), 0o755, text.as_bytes()).expect("a script");
        }
        scripts
    }

    /// Like [`Scripts::of`], with a repository.
    fn initialised(url: &str) -> Self {
        let scripts = Self::of(url);
        scripts.place.run(&["init"]).success();
        scripts
    }

    fn env_file(&self, text: &str) {
        atomic::write(&self.place.beside("config/.env"), 0o600, text.as_bytes()).expect("an env file");
    }

    fn command(&self, script: &str, arguments: &[&str]) -> Command {
        let programs = program("qdrant-backup").parent().expect("a directory").to_owned();
        let mut command = Command::new(self.place.beside(script));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(script, arguments))
    }

    /// The program's arguments from the script, one per line.
    fn called(&self, script: &str, arguments: &[&str]) -> Vec<String> {
        let directory = self.place.beside("echo");
        std::fs::create_dir_all(&directory).expect("a directory");
        let echo = b"#!/bin/sh\nprintf '%s\\n' \"$@\"\n";
        atomic::write(&directory.join("qdrant-backup"), 0o755, echo).expect("a program");
        let path = format!("{}:/usr/bin:/bin", directory.display());
        let ran = Ran::of(self.command(script, arguments).env("PATH", path)).success();
        ran.stdout.lines().map(str::to_owned).collect()
    }

    fn env_option(&self) -> String {
        format!("--env-file={}", self.place.beside("config/.env").display())
    }
}

#[test]
fn without_a_word_everything_is_backed_up_verified_and_pruned() {
    let server = StandIn::sample();
    let scripts = Scripts::initialised(&server.url());

    scripts.run(BACKUP, &[]).success().says(&["Backup succeeded: 4 of 4 collections"]);

    assert_eq!(scripts.place.prove(), 4);
    let operations = scripts.place.status().operations;
    for operation in [Operation::Backup, Operation::Verify, Operation::Prune] {
        assert_eq!(operations[&operation].runs_total, 1, "{operation:?}");
    }
}

#[test]
fn named_collections_are_backed_up_whatever_their_names() {
    let names = ["mein K\u{e4}se v1.2", "-c", "$(id)", "a\"b'c", "docs"];
    let setup = names.iter().fold(Setup::empty(), |setup, name| setup.collection(generated(name)));
    let server = StandIn::start(setup.collection(generated("other")));
    let scripts = Scripts::initialised(&server.url());

    for name in ["mein K\u{e4}se v1.2", "$(id)", "a\"b'c"] {
        scripts.run(BACKUP, &[name, "docs", "--quiet"]).success();
        assert_eq!(scripts.place.backups(name).len(), 1, "{name}");
    }
    scripts.run(BACKUP, &["--collection=-c"]).success();

    assert_eq!(scripts.place.backups("docs").len(), 3);
    assert_eq!(scripts.place.backups("-c").len(), 1);
    assert_eq!(scripts.place.backups("other").len(), 0);
}

#[test]
fn words_and_options_become_the_programs_own() {
    let scripts = Scripts::of("http://127.0.0.1:1");
    let env = scripts.env_option();
    let other = "--env-file=/etc/other";
    let cases: &[(&str, &[&str], &[&str])] = &[
        (BACKUP, &[], &["run", &env]),
        (BACKUP, &["--lock-wait", "30m"], &["run", &env, "--lock-wait", "30m"]),
        (BACKUP, &["a b", "c"], &["backup", &env, "--collection=a b", "--collection=c"]),
        (BACKUP, &["c", "--lock-wait", "30m"], &["backup", &env, "--collection=c", "--lock-wait", "30m"]),
        (BACKUP, &["-c", "a", "--json"], &["backup", &env, "-c", "a", "--json"]),
        (BACKUP, &["--env-file", "/etc/other"], &["run", "--env-file", "/etc/other"]),
        (BACKUP, &[other], &["run", other]),
        (RESTORE, &["a b"], &["restore", &env, "--collection=a b"]),
        (
            RESTORE,
            &["a", "latest", "--force"],
            &["restore", &env, "--collection=a", "--backup=latest", "--force"],
        ),
        (RESTORE, &["--dry-run", "a"], &["restore", &env, "--dry-run", "--collection=a"]),
        (
            RESTORE,
            &["a", "--as", "b", "--dry-run"],
            &["restore", &env, "--collection=a", "--as", "b", "--dry-run"],
        ),
        (RESTORE, &["--dry-run"], &["restore", &env, "--dry-run"]),
        (RESTORE, &["--all", "--to", "http://b:6333"], &["restore", &env, "--all", "--to", "http://b:6333"]),
        (RESTORE, &["a", other], &["restore", "--collection=a", other]),
    ];
    for (script, arguments, called) in cases {
        assert_eq!(scripts.called(script, arguments), *called, "{script} {arguments:?}");
    }

    std::fs::remove_file(scripts.place.beside("config/.env")).expect("it existed");
    assert_eq!(scripts.called(BACKUP, &[]), ["run"]);
    assert_eq!(scripts.called(RESTORE, &["a"]), ["restore", "--collection=a"]);
}

#[test]
fn the_environment_counts_more_than_the_env_file() {
    let server = StandIn::start(Setup::empty().collection(docs()));
    let scripts = Scripts::initialised(&server.url());
    let elsewhere = scripts.place.beside("elsewhere");
    scripts.place.run(&["init", "--backup-path", &elsewhere.display().to_string()]).success();

    let ran = Ran::of(scripts.command(BACKUP, &[]).env("QDRANT_BACKUP_PATH", &elsewhere)).success();

    assert!(ran.stderr.contains(&elsewhere.display().to_string()), "{}", ran.stderr);
    assert_eq!(scripts.place.stored(), Vec::<String>::new());
}

#[test]
fn exit_codes_are_the_programs() {
    let server = StandIn::start(Setup::empty().collection(docs()).collection(generated("other")));
    let scripts = Scripts::of(&server.url());
    scripts.run(BACKUP, &[]).code(78).says(&["init"]);
    scripts.run(RESTORE, &["--dry-run"]).code(78).says(&["init"]);
    scripts.place.run(&["init"]).success();

    let broken = Fault::status(500).on(Endpoint::CreateSnapshot).collection("other");
    server.faults(|faults| faults.add(broken));
    scripts.run(BACKUP, &["--quiet"]).code(3);
    scripts.run(BACKUP, &["other"]).code(1);
    scripts.run(BACKUP, &["--no-such-option"]).code(2);
    scripts.run(RESTORE, &["docs", "yesterday"]).code(2);
    scripts.run(RESTORE, &["docs", "latest", "other"]).code(2).says(&["--all"]);

    // It exists but is not a settings file. That is always an error.
    std::fs::remove_file(scripts.place.beside("config/.env")).expect("it existed");
    std::fs::create_dir(scripts.place.beside("config/.env")).expect("a directory");
    scripts.run(BACKUP, &[]).code(78).says(&["--env-file"]);
    scripts.run(RESTORE, &["docs"]).code(78).says(&["--env-file"]);
}

#[test]
fn the_program_is_also_found_where_crons_path_does_not_lead() {
    let scripts = Scripts::of("http://127.0.0.1:1");
    let local = scripts.place.beside("local");
    std::fs::create_dir(&local).expect("a directory");
    let run =
        |script, arguments: &[&str]| Ran::of(scripts.command(script, arguments).env("PATH", "/nonexistent"));
    for (script, arguments) in [(BACKUP, &[][..]), (RESTORE, &["docs"])] {
        run(script, arguments).code(127).says(&["qdrant-backup is not installed"]);
    }
    std::os::unix::fs::symlink(program("qdrant-backup"), local.join("qdrant-backup")).expect("a link");
    for (script, arguments) in [(BACKUP, &[][..]), (RESTORE, &["docs"])] {
        run(script, arguments).code(78).says(&["init"]);
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let server = StandIn::sample();
    let scripts = Scripts::initialised(&server.url());
    scripts.run(BACKUP, &["--quiet"]).success();
    let id = scripts.place.backups("empty")[0].manifest.backup_id.to_string();
    let target = StandIn::start(Setup::empty());
    scripts.env_file(&format!(
        "QDRANT_URL={}\nQDRANT_BACKUP_PATH={}\n",
        target.url(),
        scripts.place.path().display()
    ));
    let before = scripts.place.files();

    for (arguments, planned) in [
        (&["--dry-run"][..], 4),
        (&["--all", "--dry-run"], 4),
        (&["--dry-run", "empty"], 1),
        (&["empty", "--dry-run"], 1),
        (&["empty", id.as_str(), "--dry-run", "--as", "other"], 1),
    ] {
        let ran = scripts.run(RESTORE, arguments).success();
        ran.says(&[&format!("Dry run: {planned} of {planned} collections can be restored")]);
    }

    assert!(target.requests().iter().all(|request| request.method == "GET"), "{:?}", target.requests());
    assert!(target.state(|state| state.collections.is_empty()));
    assert_eq!(scripts.place.files(), before);
}

#[test]
fn a_collection_is_restored_from_the_backup_that_is_named_and_never_overwritten_unasked() {
    let server = StandIn::start(Setup::empty().collection(docs()));
    let scripts = Scripts::initialised(&server.url());
    scripts.run(BACKUP, &[]).success();
    scripts.run(BACKUP, &[]).success();
    let id = scripts.place.backups(DOCS)[0].manifest.backup_id.to_string();

    scripts.run(RESTORE, &[DOCS, &id]).code(1).says(&["--force"]);
    assert!(server.requests_matching("POST", "/snapshots/upload").is_empty());

    server.state(|state| state.collections.clear());
    let ran = scripts.run(RESTORE, &[DOCS, &id]).success();
    assert!(ran.stdout.contains(&id), "{}", ran.stdout);
    assert_eq!(server.requests_matching("POST", "/snapshots/upload").len(), 1);
}

#[test]
fn usage_is_shown() {
    let scripts = Scripts::of("http://127.0.0.1:1");
    let ran = scripts.run(RESTORE, &[]).code(2);
    assert!(ran.stdout.is_empty() && ran.stderr.starts_with("Usage: restore_collections.sh"), "{ran:?}");
    for script in [BACKUP, RESTORE] {
        for arguments in [&["--help"][..], &["-h"], &["docs", "--help"]] {
            let ran = scripts.run(script, arguments).success();
            assert!(ran.stdout.starts_with(&format!("Usage: {script}")), "{}", ran.stdout);
            assert!(ran.stderr.is_empty());
        }
        let mode = std::fs::metadata(repository::path(&format!("deploy/scripts/{script}")))
            .expect("it exists")
            .permissions();
        assert_eq!(mode.mode() & 0o111, Permissions::from_mode(0o111).mode(), "{script} is executable");
    }
}
