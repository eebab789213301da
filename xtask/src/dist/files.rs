//! The shipped files and their destinations, in one list for the tarball and the package.

use std::path::{Path, PathBuf};

use crate::{
    sh::{Context, Result},
    workspace,
};

/// A shipped file.
#[derive(Debug, PartialEq)]
pub(super) struct Shipped {
    pub(super) source: PathBuf,
    /// The destination below `/`.
    pub(super) to: String,
    pub(super) mode: u32,
    pub(super) form: Form,
}

/// How a file is changed.
#[derive(Debug, PartialEq)]
pub(super) enum Form {
    /// Unchanged.
    Plain,
    /// Compressed, as Debian requires for manual pages and changelogs.
    Gzip,
    /// A program, stripped of symbols.
    Program,
    /// A document, with links changed to the installed paths.
    Document,
}

/// The repository's files: source, destination, mode. A directory includes all its files.
const FROM_REPOSITORY: &[(&str, &str, u32)] = &[
    ("deploy/etc/backup.yaml", "etc/qdrant-backup/backup.yaml", 0o640),
    ("deploy/etc/env", "etc/qdrant-backup/env", 0o640),
    ("deploy/etc/qdrant-backup-exporter", "etc/default/qdrant-backup-exporter", 0o644),
    ("deploy/cron/qdrant-backup", "etc/cron.d/qdrant-backup", 0o644),
    ("deploy/systemd", "lib/systemd/system", 0o644),
    ("deploy/examples", "usr/share/doc/qdrant-backup/examples", 0o644),
    ("deploy/exporter/web-config.yml", "usr/share/doc/qdrant-backup/examples/web-config.yml", 0o644),
    ("deploy/docker", "usr/share/doc/qdrant-backup/examples/docker", 0o644),
    ("deploy/kubernetes", "usr/share/doc/qdrant-backup/examples/kubernetes", 0o644),
    ("alerts", "usr/share/qdrant-backup/alerts", 0o644),
    ("dashboards/qdrant-backup.json", "usr/share/qdrant-backup/dashboards/qdrant-backup.json", 0o644),
    ("dashboards/provisioning", "usr/share/qdrant-backup/dashboards/provisioning", 0o644),
    ("deploy/scripts", "usr/share/qdrant-backup/scripts", 0o755),
    ("docs", "usr/share/doc/qdrant-backup/docs", 0o644),
    ("README.md", "usr/share/doc/qdrant-backup/README.md", 0o644),
    ("SECURITY.md", "usr/share/doc/qdrant-backup/SECURITY.md", 0o644),
];

/// The only document that Debian wants compressed and under another name.
const CHANGELOG: (&str, &str) = ("CHANGELOG.md", "usr/share/doc/qdrant-backup/changelog.gz");

/// The destination below `/` of a file or directory of the repository.
pub(super) fn place(file: &Path) -> Option<PathBuf> {
    let all = FROM_REPOSITORY.iter().map(|(from, to, _)| (*from, *to)).chain([CHANGELOG]);
    all.map(|(from, to)| (Path::new(from), Path::new(to))).find_map(|(from, to)| {
        if let Ok(rest) = file.strip_prefix(from) {
            return Some(if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) });
        }
        // A directory that is not shipped as such, but whose files stay together.
        let rest = from.strip_prefix(file).ok()?;
        to.ends_with(rest)
            .then(|| to.components().take(to.components().count() - rest.components().count()).collect())
    })
}

/// The generated files.
pub(super) struct Built<'a> {
    /// The directory of the programs.
    pub(super) programs: &'a Path,
    /// The directory of manual pages and completions.
    pub(super) manual: &'a Path,
}

/// Every shipped file, sorted by destination.
pub(super) fn list(built: &Built<'_>) -> Result<Vec<Shipped>> {
    let mut list = Vec::new();
    let mut add = |source: PathBuf, to: String, mode, form| list.push(Shipped { source, to, mode, form });
    for program in ["qdrant-backup", "qdrant-backup-exporter"] {
        add(built.programs.join(program), format!("usr/bin/{program}"), 0o755, Form::Program);
    }
    for page in below(&built.manual.join("man"))? {
        let section = page.extension().unwrap_or_default().to_string_lossy();
        let name = format!("usr/share/man/man{section}/{}.gz", page.display());
        add(built.manual.join("man").join(page), name, 0o644, Form::Gzip);
    }
    for (shell, directory) in [
        ("bash", "usr/share/bash-completion/completions"),
        ("zsh", "usr/share/zsh/vendor-completions"),
        ("fish", "usr/share/fish/vendor_completions.d"),
    ] {
        let scripts = built.manual.join("completions").join(shell);
        for script in below(&scripts)? {
            let to = format!("{directory}/{}", script.display());
            add(scripts.join(script), to, 0o644, Form::Plain);
        }
    }
    let root = workspace::root();
    add(root.join(CHANGELOG.0), CHANGELOG.1.to_owned(), 0o644, Form::Gzip);
    for (from, to, mode) in FROM_REPOSITORY {
        let source = root.join(from);
        if !source.is_dir() {
            let form = form(&source);
            add(source, (*to).to_owned(), *mode, form);
            continue;
        }
        for file in below(&source)? {
            add(source.join(&file), format!("{to}/{}", file.display()), *mode, form(&file));
        }
    }
    list.sort_by(|a, b| a.to.cmp(&b.to));
    Ok(list)
}

fn form(file: &Path) -> Form {
    if file.extension().is_some_and(|extension| extension == "md") { Form::Document } else { Form::Plain }
}

/// Every file below a directory, as a relative path.
pub(super) fn below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(part) = left.pop() {
        let here = directory.join(&part);
        for entry in std::fs::read_dir(&here).context(here.display())? {
            let entry = entry.context(here.display())?;
            let path = part.join(entry.file_name());
            let kind = entry.file_type().context(path.display())?;
            if kind.is_dir() { left.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

/// Writes a generated file.
#[expect(clippy::disallowed_methods, reason = "a file of the build, not a backup")]
pub(super) fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(path, contents).context(path.display())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Fakes a build that has made a manual page, in the returned directory.
    pub(in crate::dist) fn listed() -> (tempfile::TempDir, Vec<Shipped>) {
        let built = tempfile::tempdir().unwrap();
        for directory in ["man", "completions/bash", "completions/zsh", "completions/fish"] {
            std::fs::create_dir_all(built.path().join(directory)).unwrap();
        }
        std::fs::File::create(built.path().join("man/qdrant-backup.1")).unwrap();
        let list = list(&Built { programs: built.path(), manual: built.path() }).unwrap();
        (built, list)
    }

    #[test]
    fn everything_of_the_repository_that_is_listed_exists_and_goes_to_a_place_of_its_own() {
        let (_built, list) = listed();
        for shipped in list.iter().filter(|shipped| shipped.form != Form::Program) {
            assert!(shipped.source.is_file(), "{}", shipped.source.display());
        }
        let places: std::collections::BTreeSet<&str> =
            list.iter().map(|shipped| shipped.to.as_str()).collect();
        assert_eq!(places.len(), list.len());
        for place in ["usr/share/man/man1/qdrant-backup.1.gz", "lib/systemd/system/qdrant-backup.timer"] {
            assert!(places.contains(place), "{place}");
        }
    }
}
