//! `cargo xtask schema`: the JSON Schemas of the file formats, from the types that read and write them.

use std::{collections::BTreeSet, path::Path};

use crate::{
    sh::{Context, Result},
    workspace,
};

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Change nothing; fail if docs/schema/ is not current
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    let mut schemas = qdrant_backup_shared::schema::all();
    schemas.push(("exporter_status.schema.json", exporter_schema()?));
    let directory = workspace::root().join("docs/schema");
    if opts.check { check(&directory, &schemas) } else { write(&directory, &schemas) }
}

/// The schema of the exporter's answer, which xtask does not link.
fn exporter_schema() -> Result<String> {
    workspace::cargo()
        .args(["run", "--quiet", "--locked", "--package", "qdrant-backup-exporter"])
        .args(["--features", "schema", "--example", "schema"])
        .read()
}

/// A step of `cargo xtask test`.
pub(crate) fn check_current() -> Result<()> {
    run(&Opts { check: true })
}

fn check(directory: &Path, schemas: &[(&str, String)]) -> Result<()> {
    let mut stale = BTreeSet::new();
    for (name, contents) in schemas {
        match std::fs::read_to_string(directory.join(name)) {
            Ok(on_disk) if on_disk == *contents => {}
            Ok(_) => drop(stale.insert(format!("{name} has drifted"))),
            Err(error) => drop(stale.insert(format!("{name}: {error}"))),
        }
    }
    for name in json_files(directory)? {
        if !schemas.iter().any(|(known, _)| *known == name) {
            stale.insert(format!("{name} belongs to no format"));
        }
    }
    if stale.is_empty() {
        println!("{} schemas are current", schemas.len());
        return Ok(());
    }
    let stale: Vec<String> = stale.into_iter().collect();
    Err(format!("docs/schema: {}; `cargo xtask schema` writes them anew", stale.join(", ")))
}

fn write(directory: &Path, schemas: &[(&str, String)]) -> Result<()> {
    std::fs::create_dir_all(directory).context(directory.display())?;
    for (name, contents) in schemas {
        let path = directory.join(name);
        #[expect(
            clippy::disallowed_methods,
            reason = "a file of the work tree, which git keeps, not a backup"
        )]
        std::fs::write(&path, contents).context(path.display())?;
        println!("wrote docs/schema/{name}");
    }
    for name in json_files(directory)? {
        if !schemas.iter().any(|(known, _)| *known == name) {
            std::fs::remove_file(directory.join(&name)).context(&name)?;
            println!("removed docs/schema/{name}");
        }
    }
    Ok(())
}

/// The names of the JSON files in the directory. Empty if the directory does not exist.
fn json_files(directory: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", directory.display())),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.context(directory.display())?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_passes_the_check_and_drift_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let schemas = vec![("a.schema.json", "{}\n".to_owned())];
        write(directory.path(), &schemas).unwrap();
        check(directory.path(), &schemas).unwrap();

        let newer =
            vec![("a.schema.json", "{\"type\":1}\n".to_owned()), ("b.schema.json", "{}\n".to_owned())];
        let error = check(directory.path(), &newer).unwrap_err();
        assert!(error.contains("a.schema.json has drifted") && error.contains("b.schema.json: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn a_schema_that_no_format_has_any_more_is_found_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &[("old.schema.json", String::new())]).unwrap();
        let error = check(directory.path(), &[]).unwrap_err();
        assert!(error.contains("old.schema.json belongs to no format"), "{error}");
        write(directory.path(), &[]).unwrap();
        check(directory.path(), &[]).unwrap();
    }
}
