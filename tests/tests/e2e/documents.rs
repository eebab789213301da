//! The commands in the documents and the alerts are valid commands.

use std::process::Command;

use e2e::programs::program;
use e2e::qdrant_stand_in::{Setup, StandIn};
use e2e::{Place, Ran, repository};
use qdrant_backup_shared::atomic;

/// A document of the repository.
pub fn document(path: &str) -> String {
    repository::read(path)
}

/// The commands of a document: the text after the prompt.
pub fn commands(text: &str) -> Vec<&str> {
    code(text).filter_map(|line| line.strip_prefix("$ ")).collect()
}

/// The lines of fenced code blocks, without the fences.
fn code(text: &str) -> impl Iterator<Item = &str> {
    fenced(text).filter_map(|(inside, line)| inside.then_some(line))
}

/// Each line except the fences, and whether it is in a fenced code block.
fn fenced(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        (!fence).then_some((inside, line))
    })
}

/// The text between backticks in the prose, which may span two lines.
fn spans(text: &str) -> Vec<String> {
    let prose: Vec<&str> = fenced(text).filter_map(|(inside, line)| (!inside).then_some(line)).collect();
    prose.join(" ").split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Runs the program as readers would, without a repository, so that every valid command fails before it does
/// anything.
struct Reader {
    place: Place,
    path: String,
}

impl Reader {
    fn new() -> Self {
        let programs = program("qdrant-backup");
        let path = format!("{}:/usr/bin:/bin", programs.parent().unwrap().display());
        Self { place: Place::new("http://127.0.0.1:1"), path }
    }

    /// Fails the test unless the program accepts `line`. The shell parses it, as for a reader.
    fn types(&self, whence: &str, line: &str) {
        let config = self.place.beside("backup.yaml").display().to_string();
        // An id that cannot exist.
        let line = line.replace(" ID", " 2001-01-01-00-00-00");
        let line = match line.contains("--config ") {
            true => line,
            false => line.replace("qdrant-backup ", &format!("qdrant-backup --config {config} ")),
        };
        let ran = Ran::of(
            Command::new("sh")
                .args(["-c", &line])
                .env_clear()
                .env("PATH", &self.path)
                .env("QDRANT_BACKUP_PATH", self.place.path())
                .env("QDRANT_URL", "http://127.0.0.1:1")
                .current_dir(self.place.beside("")),
        );
        let changes_nothing = ran.code == Some(0) && line.contains(" config show");
        // It is understood, but asks questions.
        let changes_nothing =
            changes_nothing || ran.stderr.contains("setup asks questions and needs a terminal");
        let is_taken = changes_nothing || ran.code.is_some_and(|code| ![0, 2, 127].contains(&code));
        assert!(is_taken, "{whence}: {line}: {ran:?}");
        assert!(!self.place.path().exists(), "{whence}: {line}: there is no repository, so nothing is done");
    }
}

/// A command without the prefix that runs it as another user.
fn as_the_user(line: &str) -> &str {
    let line = line.trim_start();
    let prefixes = ["$ ", "sudo ", "runuser -u qdrant-backup -- "];
    prefixes.iter().fold(line, |line, prefix| line.strip_prefix(prefix).unwrap_or(line))
}

#[test]
fn every_documented_command_is_one_that_the_program_knows() {
    let reader = Reader::new();
    for path in [
        "docs/recovery.md",
        "docs/runbook.md",
        "docs/faq.md",
        "docs/upgrading.md",
        "docs/install.md",
        "docs/offsite.md",
        "README.md",
    ] {
        let text = document(path);
        let mut lines: Vec<String> = code(&text)
            .flat_map(|line| line.split(" && "))
            .map(|line| as_the_user(line).to_owned())
            .collect();
        if path == "docs/runbook.md" {
            // In other documents, a code span may name a command without its arguments.
            lines.extend(spans(&text));
        }
        lines.retain(|line| line.starts_with("qdrant-backup ") && !line.contains(" init"));
        assert!(!lines.is_empty(), "{path} has no command");
        for line in lines {
            reader.types(path, &line);
        }
    }
}

#[test]
fn every_command_of_an_alert_is_one_that_the_program_knows() {
    let reader = Reader::new();
    let rules = document("alerts/qdrant-backup.rules.yml");
    let lines: Vec<&str> = rules.lines().map(str::trim).collect();
    let commands: Vec<&str> =
        lines.windows(2).filter(|pair| pair[0] == "command: >-").map(|pair| pair[1]).collect();
    assert_eq!(commands.len(), rules.matches("- alert: ").count());
    for command in commands.iter().flat_map(|command| command.split("; ")) {
        match command.split(' ').next() {
            Some("qdrant-backup") => reader.types("the rules", command),
            Some(others) => {
                assert!(["amtool", "curl", "date", "journalctl", "pgrep"].contains(&others), "{command}")
            }
            None => panic!("an empty command"),
        }
    }
}

/// Every `sed` command for the cron entry in a document, by whether it disables the job.
fn sed_calls(text: &str, stops: bool) -> Vec<&str> {
    let from_sed = text.match_indices("sed -i ").filter_map(|(at, _)| text[at..].split(['`', '\n']).next());
    let calls = from_sed.filter(|call| call.ends_with("/etc/cron.d/qdrant-backup"));
    calls.filter(|call| call.contains("#&") == stops).collect()
}

#[cfg(feature = "outside")]
#[test]
fn the_documented_commands_stop_and_start_the_cron_entry_and_nothing_else_in_its_file() {
    let place = Place::new("http://127.0.0.1:1");
    place.configure("qdrant:\n  url: http://127.0.0.1:1\nschedule:\n  cron: \"0 2 * * *\"\n");
    let made = place.run(&["schedule", "cron", "--user", "root"]).success().stdout;
    let shipped = document("deploy/cron/qdrant-backup").replace("#0 2 * * *", "0 2 * * *");
    let file = place.beside("entry");
    let run = |call: &str| {
        let call = call.replace("/etc/cron.d/qdrant-backup", &file.display().to_string());
        Ran::of(Command::new("sh").args(["-c", &call]).env_clear().env("PATH", "/usr/bin:/bin")).success();
        std::fs::read_to_string(&file).unwrap()
    };
    let jobs = |text: &str| text.lines().filter(|line| line.starts_with("0 2 ")).count();
    for page in ["docs/install.md", "docs/recovery.md"] {
        let text = document(page);
        let (stop, start) = (sed_calls(&text, true), sed_calls(&text, false));
        assert_eq!((stop.len(), start.len()), (1, 1), "{page}");
        for entry in [&made, &shipped] {
            assert_eq!(jobs(entry), 1, "{entry}");
            atomic::write(&file, 0o644, entry.as_bytes()).unwrap();
            let stopped = run(stop[0]);
            assert_eq!(jobs(&stopped), 0, "{page}: {stopped}");
            assert_eq!(run(stop[0]), stopped, "{page}: the second time changes nothing");
            assert_eq!(&run(start[0]), entry, "{page}");
            assert_eq!(&run(start[0]), entry, "{page}: the second time changes nothing");
        }
    }
}

#[cfg(feature = "outside")]
#[test]
fn the_documented_patch_names_the_cronjob_that_is_shipped() {
    let cronjob = repository::yaml("deploy/kubernetes/cronjob.yml").remove(0);
    let patch = format!("kubectl patch cronjob {} --patch ", cronjob["metadata"]["name"].as_str().unwrap());
    let install = document("docs/install.md");
    for suspend in ["true", "false"] {
        assert!(install.contains(&format!("{patch}'{{\"spec\": {{\"suspend\": {suspend}}}}}'")));
    }
}

#[test]
fn a_key_that_was_not_changed_everywhere_is_told_as_documented() {
    let server = StandIn::start(Setup::sample().api_key("new"));
    let place = Place::new(&server.url());
    let key = place.beside("key");
    atomic::write(&key, 0o400, b"new").unwrap();
    let file = key.display().to_string();
    place.configure(&format!("qdrant:\n  retries: 0\n  wait_for_server: 0s\n  api_key_file: {file}\n"));
    place.run(&["init"]).success();
    let check = place.run(&["config", "check", "--trial"]).success();
    assert!(check.stdout.lines().any(|line| line.starts_with("ok    access ")), "{}", check.stdout);
    atomic::write(&key, 0o400, b"old").unwrap();
    let check = place.run(&["config", "check", "--trial"]).code(78);
    let text = document("docs/install.md");
    let shown = code(&text).map(str::trim).find(|line| line.starts_with("FAIL  access ")).expect("the line");
    let shown = shown.replace("http://localhost:6333", &server.url());
    assert!(check.stdout.lines().any(|line| line == shown), "{shown}: {}", check.stdout);
}
