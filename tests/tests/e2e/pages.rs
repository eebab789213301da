//! The commands of other programs in the pages: which page may name which, and that it says that they were not run.

use e2e::repository;

/// The pages that are not a record of what was run, and the programs of others in them.
const PAGES: &[(&str, &[&str])] = &[
    ("docs/security.md", &[]),
    ("docs/faq.md", &["rsync"]),
    ("docs/upgrading.md", &[]),
    ("docs/containers.md", &["docker", "kubectl"]),
];

/// The lines of the blocks that are for a shell.
fn shell(text: &str) -> Vec<&str> {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).collect()
}

#[test]
fn what_was_not_run_is_said_to_be() {
    for (page, others) in PAGES {
        let text = repository::read(page);
        for line in shell(&text).into_iter().filter(|line| !line.starts_with("qdrant-backup ")) {
            let known = others.iter().any(|other| line.starts_with(&format!("{other} ")));
            assert!(known && text.contains("not run"), "{page}: {line}");
        }
    }
}

#[cfg(feature = "outside")]
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
