//! Mutation tests of the defenses: each is removed from the source, one at a time, and a test must fail.
//!
//! The modified programs are built from a copy of the sources in `target/mutants`. The tests are unchanged and run
//! them.

mod defenses;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub(crate) use self::defenses::DEFENSES;
use self::defenses::Defense;
use crate::sh::{Cmd, Context, Result};
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Only these [default: all]
    #[arg(value_name = "DEFENSE")]
    names: Vec<String>,
    /// List the defenses
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    if opts.list {
        for defense in DEFENSES {
            println!("{:<28} {}", defense.name, defense.claim);
        }
        return Ok(());
    }
    let unknown = opts.names.iter().find(|name| !DEFENSES.iter().any(|defense| defense.name == **name));
    if let Some(name) = unknown {
        return Err(format!("there is no defense called {name}; --list shows them"));
    }
    let wanted =
        |defense: &&Defense| opts.names.is_empty() || opts.names.iter().any(|name| name == defense.name);
    let wanted: Vec<&Defense> = DEFENSES.iter().filter(wanted).collect();
    let copy = Copy::make()?;
    // Tests that fail anyway would seem to detect everything.
    let unchanged = copy.build()?;
    let groups: BTreeSet<(&str, &[&str])> =
        wanted.iter().map(|defense| (defense.program, defense.tests)).collect();
    for (program, tests) in groups {
        let failed = failed_tests(&unchanged, program, tests)?;
        if !failed.is_empty() {
            return Err(format!("with all defenses in place, these tests fail: {}", failed.join(", ")));
        }
    }
    let mut lines = Vec::new();
    let mut survived = 0;
    for defense in wanted {
        let began = Instant::now();
        let failed = copy
            .build_without(defense)
            .and_then(|programs| failed_tests(&programs, defense.program, defense.tests));
        let verdict = match failed {
            Ok(failed) if failed.is_empty() => Err("SURVIVED".to_owned()),
            Ok(failed) => Ok(format!("caught by {}", failed.join(", "))),
            // The other defenses are still tested.
            Err(error) => Err(format!("NOT TRIED: {error}")),
        };
        survived += usize::from(verdict.is_err());
        let verdict = verdict.unwrap_or_else(|error| error);
        lines.push(format!("{:<22} {:>4.0} s  {verdict}", defense.name, began.elapsed().as_secs_f64()));
        println!("== {}", lines.last().map_or("", String::as_str));
    }
    println!("\n{}", lines.join("\n"));
    if survived == 0 {
        Ok(())
    } else {
        Err(format!("no test has detected the removal of {survived} defenses"))
    }
}

/// The tests that fail with these programs.
///
/// # Errors
/// When the tests did not run to the end, so that the result is unknown.
fn failed_tests(programs: &Path, program: &str, tests: &[&str]) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    let outcome = Cmd::new("timeout")
        .cwd(workspace::root())
        .args(["900", "cargo", "test", "--workspace", "--locked", "--all-features", "--test", program, "--"])
        .args(tests)
        .env("QDRANT_BACKUP_BIN_DIR", programs)
        .run_reading(|line| {
            let name = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"));
            failed.extend(name.map(str::to_owned));
        });
    if failed.is_empty() { outcome.map(|()| failed) } else { Ok(failed) }
}

/// A copy of the sources with its build directory.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Updates the copy. Unchanged files are left alone to keep builds incremental.
    fn make() -> Result<Self> {
        let root = workspace::bin_dir("mutants")?;
        let copy = Self { tree: root.join("tree"), target: root.join("target") };
        for file in workspace::files()? {
            let source = fs::read(workspace::root().join(&file)).context(file.display())?;
            let to = copy.tree.join(&file);
            if fs::read(&to).ok().as_ref() != Some(&source) {
                put(&to, &source)?;
            }
        }
        Ok(copy)
    }

    /// Builds the programs without a defense, then restores the changed file.
    fn build_without(&self, defense: &Defense) -> Result<PathBuf> {
        let path = self.tree.join(defense.file);
        let original = read(&path)?;
        put(&path, defense.remove(&original)?.as_bytes())?;
        let built = self.build();
        put(&path, original.as_bytes())?;
        built.context(format!("{}: what is left has to compile", defense.name))
    }

    /// Builds the programs, and returns their directory.
    fn build(&self) -> Result<PathBuf> {
        Cmd::new("cargo")
            .cwd(&self.tree)
            .args(["build", "--quiet", "--workspace", "--bins", "--locked", "--target-dir"])
            .arg(&self.target)
            .run()?;
        Ok(self.target.join("debug"))
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).context(path.display())
}

#[expect(clippy::disallowed_methods, reason = "a copy of a source file, not a backup")]
fn put(path: &Path, contents: &[u8]) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).context(directory.display())?;
    }
    fs::write(path, contents).context(path.display())
}
