//! `setup`: its questions, tests and files, and what it does not change.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use e2e::programs::{copy_program, program};
use e2e::qdrant_stand_in::{Endpoint, Fault, Setup, StandIn};
use e2e::scene::{docs, generated};
use e2e::users::{NOBODY, need_root};
use e2e::{Place, Ran, Running, Scene, repository};
use qdrant_backup_shared::atomic;
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A place without configuration, and a server with a key.
fn nothing_yet() -> Scene {
    let server =
        StandIn::start(Setup::empty().api_key("s3cret").collection(docs()).collection(generated("other")));
    let place = Place::new(&server.url());
    fs::remove_file(place.beside("backup.yaml")).unwrap();
    atomic::write(&place.beside("key"), 0o600, b"s3cret\n").unwrap();
    Scene { server, place }
}

/// `setup` without the test's environment.
fn setup(place: &Place, options: &[&str]) -> Command {
    let mut command = Command::new(program("qdrant-backup"));
    command
        .arg("setup")
        .args(options)
        .arg("--config")
        .arg(place.beside("backup.yaml"))
        .env_clear()
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn options<'a>(server: &'a str, key: &'a str, backups: &'a str) -> Vec<&'a str> {
    vec!["--yes", "--url", server, "--api-key-file", key, "--backup-path", backups]
}

fn shown(place: &Place, name: &str) -> String {
    place.beside(name).display().to_string()
}

/// The program with only its configuration file.
fn afterwards(place: &Place, arguments: &[&str]) -> Ran {
    let mut command = place.command(arguments);
    Ran::of(command.env_remove("QDRANT_URL").env_remove("QDRANT_BACKUP_PATH").env_remove("QDRANT_API_KEY"))
}

#[test]
fn from_nothing_to_a_repository_and_a_configuration_that_were_tried() {
    let Scene { server, place } = nothing_yet();
    let (url, key, backups) = (server.url(), shown(&place, "key"), shown(&place, "backups"));

    let ran = Ran::of(&mut setup(&place, &options(&url, &key, &backups))).success();

    for says in
        ["ok    Qdrant", "ok    trial backup", "\"docs\"", "deleted on the server", "qdrant-backup schedule"]
    {
        assert!(ran.stdout.contains(says), "{says}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("s3cret") && !ran.stderr.contains("s3cret"));
    assert!(!fs::read_to_string(place.beside("backup.yaml")).unwrap().contains("s3cret"));
    let mode = fs::metadata(place.beside("backup.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    assert_eq!(place.backups("docs").len(), 1, "the trial is a backup like any other");
    assert_eq!(server.snapshot_names("docs"), Vec::<String>::new());
    // All later commands work with only the file.
    afterwards(&place, &["run"]).success();
    afterwards(&place, &["status"]).success();
    let check = afterwards(&place, &["config", "check", "--trial"]).success();
    assert!(check.stdout.contains("ok    trial backup"), "{}", check.stdout);
    assert_eq!(place.prove(), 4);
    let show = afterwards(&place, &["config", "show"]).success();
    for line in ["retention.keep_days", "schedule.cron"] {
        let line = show.stdout.lines().find(|found| found.starts_with(line)).unwrap();
        assert!(line.contains("backup.yaml:"), "{line}");
    }
}

#[test]
fn without_a_terminal_nothing_is_assumed() {
    let Scene { server, place } = nothing_yet();
    let ran = Ran::of(&mut setup(&place, &["--url", &server.url()])).code(2);
    ran.says(&["setup asks questions and needs a terminal; without one, use --yes and options"]);
    assert!(!place.beside("backup.yaml").exists());
}

#[test]
fn a_relative_key_file_of_the_command_line_is_written_as_an_absolute_one() {
    let Scene { server, place } = nothing_yet();
    let (url, backups, key) = (server.url(), shown(&place, "backups"), place.beside("key"));
    let arguments = [&options(&url, "key", &backups)[..], &["--no-trial"]].concat();
    Ran::of(setup(&place, &arguments).current_dir(key.parent().unwrap())).success();
    let yaml = fs::read_to_string(place.beside("backup.yaml")).unwrap();
    assert!(yaml.contains(&format!("api_key_file: \"{}\"", key.display())), "{yaml}");
}

#[test]
fn what_setup_says_to_type_next_is_what_the_documents_and_the_manual_say() {
    let Scene { server, place } = nothing_yet();
    let (url, key, backups) = (server.url(), shown(&place, "key"), shown(&place, "backups"));
    let ran = Ran::of(&mut setup(&place, &options(&url, &key, &backups))).success();
    let printed = ran.stdout.split_once("\nNext:\n").expect("what is next").1;
    let config = format!(" --config {}", shown(&place, "backup.yaml"));
    let mut next: Vec<&str> = printed.lines().filter_map(|line| line.split(&config).next()).collect();
    assert_eq!(next.len(), 3, "{printed}");
    // The commands that `schedule systemd --write` tells the user to run.
    next.extend(["systemctl daemon-reload", "systemctl enable --now qdrant-backup.timer"]);
    for page in ["README.md", "docs/install.md", "deploy/man/qdrant-backup.1"] {
        let text = repository::read(page).replace("\\-", "-");
        for command in &next {
            let command = command.trim();
            let command = command.strip_prefix("sudo ").unwrap_or(command);
            assert!(text.contains(command), "{page}: {command}");
        }
    }
}

#[test]
fn nothing_is_written_before_the_server_has_answered() {
    let Scene { server, place } = nothing_yet();
    let (url, key, backups) = (server.url(), shown(&place, "key"), shown(&place, "backups"));
    atomic::write(&place.beside("key"), 0o600, b"wr0ng\n").unwrap();
    let ran = Ran::of(&mut setup(&place, &options(&url, &key, &backups))).code(78);
    assert!(ran.stdout.contains("FAIL  access"), "{}", ran.stdout);
    ran.says(&["ERROR", "nothing was written"]).never_says("wr0ng");

    let ran = Ran::of(&mut setup(&place, &options("http://127.0.0.1:1", &key, &backups))).code(78);
    assert!(ran.stdout.contains("FAIL  Qdrant"), "{}", ran.stdout);
    assert!(!place.path().exists() && !place.beside("backup.yaml").exists());
}

#[test]
fn a_key_that_may_not_make_snapshots_is_found_by_the_trial() {
    let Scene { server, place } = nothing_yet();
    server.faults(|all| all.add(Fault::status(403).on(Endpoint::CreateSnapshot)));
    let (url, key, backups) = (server.url(), shown(&place, "key"), shown(&place, "backups"));

    let ran = Ran::of(&mut setup(&place, &options(&url, &key, &backups))).code(78);

    let line = ran.stdout.lines().find(|line| line.starts_with("FAIL  trial backup")).expect("a line");
    assert!(line.contains("of \"docs\"") && line.contains("403"), "{line}");
    ran.says(&["ERROR", "backups will fail until everything marked FAIL is fixed"]);
    assert!(place.beside("backup.yaml").exists());
    server.faults(|all| all.clear());
    afterwards(&place, &["config", "check", "--trial"]).success();
}

#[test]
fn settings_that_are_there_are_kept() {
    let Scene { server, place } = nothing_yet();
    let (url, key, backups) = (server.url(), shown(&place, "key"), shown(&place, "backups"));
    let own = "retention:\n  keep_days: 30\nbackup:\n  compression: none\n";
    place.configure(own);
    let arguments = options(&url, &key, &backups);
    Ran::of(&mut setup(&place, &arguments)).code(78).says(&["already has settings", "--force"]);
    assert_eq!(fs::read_to_string(place.beside("backup.yaml")).unwrap(), own);

    let forced = [&arguments[..], &["--force", "--no-trial"]].concat();
    let ran = Ran::of(&mut setup(&place, &forced)).success();
    assert!(ran.stdout.contains("warn  trial backup"), "{}", ran.stdout);
    assert_eq!(fs::read_to_string(place.beside("backup.yaml.old")).unwrap(), own);
    let show = afterwards(&place, &["config", "show", "--json"]).success().stdout;
    let show: serde_json::Value = serde_json::from_str(&show).unwrap();
    assert_eq!(show["settings"]["retention.keep_days"]["value"], 30);
    assert_eq!(show["settings"]["backup.compression"]["value"], "none");

    // A file that contains only comments, as packages ship it, can be overwritten.
    place.configure("# qdrant:\n#   url: x\n");
    Ran::of(&mut setup(&place, &arguments)).success();
}

#[test]
fn what_only_this_shell_knows_is_no_configuration() {
    let Scene { server, place } = nothing_yet();
    let (url, backups) = (server.url(), shown(&place, "backups"));
    let mut command = setup(&place, &["--yes", "--url", &url, "--backup-path", &backups]);
    let ran = Ran::of(command.env("QDRANT_API_KEY", "s3cret")).code(78);
    ran.says(&["ERROR", "--api-key-file"]).never_says("s3cret");

    let key = shown(&place, "key");
    for (option, value) in [("--schedule", "0 25 * * *"), ("--timezone", "Europe/Berln")] {
        let arguments = [&options(&url, &key, &backups)[..], &[option, value]].concat();
        Ran::of(&mut setup(&place, &arguments)).code(78).says(&["ERROR", option]);
    }
    assert!(!place.path().exists());
}

#[cfg(feature = "outside")]
#[test]
fn root_sets_up_for_the_user_of_the_schedule() {
    let Scene { server, place } = nothing_yet();
    need_root();
    // The user needs access to the place and the key.
    let top = place.beside("");
    fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).unwrap();
    let nobody =
        String::from_utf8(Command::new("id").args(["-u", "nobody"]).output().unwrap().stdout).unwrap();
    let nobody: u32 = nobody.trim().parse().unwrap();
    let copy = place.beside("qdrant-backup");
    copy_program("qdrant-backup", &copy);
    let (url, key, backups) = (server.url(), shown(&place, "key"), shown(&place, "backups"));
    let run = || {
        let arguments = [&options(&url, &key, &backups)[..], &["--user", "nobody", "--force"]].concat();
        let theirs = setup(&place, &arguments);
        let mut command = Command::new(&copy);
        command.args(theirs.get_args()).env_clear().env("TZ", "UTC").stdin(Stdio::null());
        Ran::of(&mut command)
    };

    let mut others = Command::new(&copy);
    others.args(setup(&place, &["--yes", "--user", "daemon"]).get_args()).env_clear().current_dir("/");
    Ran::of(others.uid(NOBODY).gid(NOBODY).stdin(Stdio::null())).code(78).says(&["only root"]);

    // Readable only by root: the test as the other user detects it.
    let ran = run().code(78);
    let line = ran.stdout.lines().find(|line| line.starts_with("FAIL  trial backup")).expect("a line");
    assert!(line.contains("API key file") && line.contains("ermission denied"), "{line}");

    chown(place.beside("key"), Some(nobody), None).unwrap();
    run().success();
    for file in place.files() {
        assert_eq!(fs::metadata(place.path().join(&file)).unwrap().uid(), nobody, "{file}");
    }
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777, 0o2750);
}

#[cfg(feature = "outside")]
#[test]
fn the_trial_is_made_in_all_groups_of_the_user_of_the_schedule() {
    need_root();
    let Scene { server, place } = nothing_yet();
    fs::set_permissions(place.beside("."), fs::Permissions::from_mode(0o755)).unwrap();
    let (copy, key, group) = (place.beside("qdrant-backup"), place.beside("key"), 54_321);
    copy_program("qdrant-backup", &copy);
    chown(&key, Some(0), Some(group)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let groups = fs::read_to_string("/etc/group").unwrap();
    let (url, key, backups) = (server.url(), shown(&place, "key"), shown(&place, "backups"));
    let run = |member: &str| {
        // Visible only to this program.
        let more = format!("{groups}of-the-key:x:{group}:{member}\n");
        atomic::write(&place.beside("group"), 0o644, more.as_bytes()).unwrap();
        let arguments = [&options(&url, &key, &backups)[..], &["--user", "nobody", "--force"]].concat();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "mount --bind \"$1\" /etc/group && shift && exec \"$@\"", "sh"]);
        command.arg(place.beside("group")).arg(&copy).args(setup(&place, &arguments).get_args());
        Ran::of(
            command.env_clear().env("TZ", "UTC").env("PATH", "/usr/sbin:/usr/bin:/bin").stdin(Stdio::null()),
        )
    };
    let ran = run("daemon").code(78);
    assert!(ran.stdout.contains("FAIL  trial backup"), "{}", ran.stdout);
    run("daemon,nobody").success();
}

#[test]
fn a_person_at_a_terminal_is_asked_and_may_err() {
    let Scene { server, place } = nothing_yet();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    // Not the terminal of the tests, even if they lead a session: its end would end them.
    let not_ours = OFlags::NOCTTY.bits().cast_signed();
    let slave =
        fs::File::options().read(true).write(true).custom_flags(not_ours).open(name).expect("its other end");
    let mut running = Running::start(setup(&place, &[]).stdin(slave));
    let mut typed = fs::File::from(master);
    let mut answer = |running: &mut Running, question: &str, answers: &[&str]| {
        running.until_it_asks(question);
        for answer in answers {
            writeln!(typed, "{answer}").unwrap();
        }
    };
    answer(&mut running, "REST URL [http://localhost:6333]: ", &["localhost", &server.url()]);
    answer(&mut running, "API key (none: no key) [none]: ", &["/no/such/file", &shown(&place, "key")]);
    answer(&mut running, "Backup directory [/opt/qdrant/backups]: ", &["backups", &shown(&place, "backups")]);
    answer(&mut running, "keep backups [7]: ", &["0", "14"]);
    server.faults(|all| all.add(Fault::status(403).on(Endpoint::Collections)));
    answer(&mut running, "cron expression (minute hour day month weekday) [0 2 * * *]: ", &["daily", ""]);
    // The answers are kept if the server does not like them.
    let again = format!("an empty line keeps an answer.\nQdrant's REST URL [{}]: ", server.url());
    running.until_it_asks(&again);
    server.faults(|all| all.clear());
    answer(&mut running, &again, &["", "", "", "", ""]);

    let ran = running.end().success();

    for says in ["begins with http://", "No such file", "begins with /", "at least 1", "1 field, not 5"] {
        assert!(ran.stderr.contains(says), "{says}: {}", ran.stderr);
    }
    let yaml = fs::read_to_string(place.beside("backup.yaml")).unwrap();
    assert!(yaml.contains("keep_days: 14") && yaml.contains("cron: \"0 2 * * *\""), "{yaml}");
    assert_eq!(place.prove(), 1);
}
