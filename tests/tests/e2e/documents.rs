//! What the documents and the alerts tell people to type is what the program takes.

use std::process::Command;

use e2e::programs::program;
use e2e::{Place, Ran, repository};

/// A document of the repository.
pub fn document(path: &str) -> String {
    repository::read(path)
}

/// The commands of a document: what follows the prompt.
pub fn commands(text: &str) -> Vec<&str> {
    code(text).filter_map(|line| line.strip_prefix("$ ")).collect()
}

/// The lines of fenced code, without the fences.
fn code(text: &str) -> impl Iterator<Item = &str> {
    fenced(text).filter_map(|(inside, line)| inside.then_some(line))
}

/// Each line but the fences, and whether it stands between two.
fn fenced(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        (!fence).then_some((inside, line))
    })
}

/// What stands between backticks in the prose, which may go on in the next line.
fn spans(text: &str) -> Vec<String> {
    let prose: Vec<&str> = fenced(text).filter_map(|(inside, line)| (!inside).then_some(line)).collect();
    prose.join(" ").split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The program called as its readers would, where there is no repository: whatever it takes fails before it does anything.
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

    /// Fails the test unless the program understands `line`. The shell takes it apart, as it does for its reader.
    fn types(&self, whence: &str, line: &str) {
        let config = self.place.beside("backup.yaml").display().to_string();
        // An id that nobody can have.
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
        let is_taken = changes_nothing || ran.code.is_some_and(|code| ![0, 2, 127].contains(&code));
        assert!(is_taken, "{whence}: {line}: {ran:?}");
        assert!(!self.place.path().exists(), "{whence}: {line}: there is no repository, so nothing is done");
    }
}

/// A command without what has it run as somebody else.
fn as_the_user(line: &str) -> &str {
    let line = line.trim_start();
    let prefixes = ["$ ", "sudo ", "runuser -u qdrant-backup -- "];
    prefixes.iter().fold(line, |line, prefix| line.strip_prefix(prefix).unwrap_or(line))
}

#[test]
fn every_documented_command_is_one_that_the_program_knows() {
    let reader = Reader::new();
    for (path, least) in [
        ("docs/recovery.md", 15),
        ("docs/runbook.md", 40),
        ("docs/faq.md", 10),
        ("docs/upgrading.md", 9),
        ("docs/install.md", 3),
        ("README.md", 12),
    ] {
        let text = document(path);
        let mut lines: Vec<String> = code(&text)
            .flat_map(|line| line.split(" && "))
            .map(|line| as_the_user(line).to_owned())
            .collect();
        if path == "docs/runbook.md" {
            // Elsewhere a span may name a command without what it needs.
            lines.extend(spans(&text));
        }
        lines.retain(|line| line.starts_with("qdrant-backup ") && !line.contains(" init"));
        assert!(lines.len() >= least, "{path}: {lines:?}");
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
