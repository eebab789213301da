//! What the pages about security, questions, upgrades and containers tell people to type.

use std::process::Command;

use e2e::programs::program;
use e2e::{Place, Ran, repository};

/// Each page, how many commands of ours it has, and which programs of others it names and says that were not run.
const PAGES: &[(&str, usize, &[&str])] = &[
    ("docs/security.md", 0, &[]),
    ("docs/faq.md", 9, &["rsync"]),
    ("docs/upgrading.md", 9, &[]),
    ("docs/containers.md", 0, &["docker", "kubectl"]),
];

/// The lines of the blocks that are for a shell.
fn shell(text: &str) -> Vec<&str> {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).collect()
}

#[test]
fn every_command_is_one_that_the_program_knows() {
    let place = Place::new("http://127.0.0.1:1");
    let programs = program("qdrant-backup").parent().expect("a directory").display().to_string();
    let config = place.beside("backup.yaml").display().to_string();
    for (page, least, others) in PAGES {
        let text = repository::read(page);
        let lines = shell(&text);
        let (ours, foreign): (Vec<&str>, Vec<&str>) =
            lines.into_iter().partition(|line| line.starts_with("qdrant-backup "));
        assert!(ours.len() >= *least, "{page}: {ours:?}");
        for line in foreign {
            let known = others.iter().any(|other| line.starts_with(&format!("{other} ")));
            assert!(known && text.contains("not run"), "{page}: {line}");
        }
        for line in ours {
            // Each names a place where there is nothing, and stops there.
            let here = line.replace("/etc/qdrant-backup/", "/nonexistent/").replace("/srv/", "/nonexistent/");
            let config =
                if here.contains("--config") { String::new() } else { format!("--config {config} ") };
            let here = here.replacen("qdrant-backup ", &format!("qdrant-backup {config}"), 1);
            let ran = Ran::of(
                Command::new("sh")
                    .args(["-c", &here])
                    .env_clear()
                    .env("PATH", format!("{programs}:/usr/bin:/bin"))
                    .env("QDRANT_BACKUP_PATH", place.path())
                    .env("QDRANT_URL", "http://127.0.0.1:1")
                    .current_dir(place.beside("")),
            );
            let shown = ran.code == Some(0) && line == "qdrant-backup --version";
            assert!(
                shown || ran.code.is_some_and(|code| ![0, 2, 127].contains(&code)),
                "{page}: {line}: {ran:?}"
            );
        }
    }
    assert!(!place.path().exists(), "there is no repository, so nothing was done");
}

#[test]
fn the_containers_commands_name_files_and_services_that_there_are() {
    let text = repository::read("docs/containers.md");
    let services = repository::yaml("deploy/docker/compose.yml").remove(0)["services"].clone();
    let dockerfile = repository::read("deploy/docker/Dockerfile");
    let mut looked_at = 0;
    for line in shell(&text) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            match pair {
                ["-f", file] if *file != "-" => assert!(repository::path(file).is_file(), "{line}"),
                ["--target", stage] => {
                    assert!(dockerfile.contains(&format!("FROM base AS {stage}\n")), "{line}")
                }
                ["--rm", service] if words[1] == "compose" => {
                    assert!(services[*service].is_object(), "{line}")
                }
                _ => continue,
            }
            looked_at += 1;
        }
    }
    assert!(looked_at >= 15, "{looked_at}");
}
