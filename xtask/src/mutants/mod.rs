//! Whether the campaigns would notice a defense that is gone: each is taken out of the source, one at a time, and a test has
//! to fail.
//!
//! The changed programs are built in a copy of the sources, under `target/mutants`, and the tests as they are run them.

mod defenses;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub(crate) use self::defenses::{DEFENSES, Defense};
use crate::sh::{Cmd, Context, Result};
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Only these (all without a name)
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
    let copy = Copy::make()?;
    let mut lines = Vec::new();
    let mut survived = 0;
    for defense in DEFENSES.iter().filter(wanted) {
        let began = Instant::now();
        let caught = is_caught(&copy, defense)?;
        survived += usize::from(!caught);
        let verdict = if caught { "caught" } else { "SURVIVED" };
        lines.push(format!("{:<28} {verdict:<9} {:>4.0} s", defense.name, began.elapsed().as_secs_f64()));
        println!("== {}", lines.last().map_or("", String::as_str));
    }
    println!("\n{}", lines.join("\n"));
    if survived == 0 {
        Ok(())
    } else {
        Err(format!("no test notices that {survived} of the defenses are gone"))
    }
}

/// Whether one of the tests that are named for it fails with the changed program.
fn is_caught(copy: &Copy, defense: &Defense) -> Result<bool> {
    let changed = defense.remove(&read(&workspace::root().join(defense.file))?)?;
    let programs = copy.build(defense.file, &changed)?;
    // A test that hangs with a program without the defense has noticed it too, but would never say so.
    let outcome = Cmd::new("timeout")
        .cwd(workspace::root())
        .args([
            "900",
            "cargo",
            "test",
            "--workspace",
            "--locked",
            "--all-features",
            "--test",
            defense.program,
            "--",
        ])
        .args(defense.tests)
        .env("QDRANT_BACKUP_BIN_DIR", programs)
        .run();
    Ok(outcome.is_err())
}

/// A copy of the sources, and what is built of them.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Brings the copy up to date. What has not changed is left alone, so that little is built again.
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

    /// Builds the programs with one file changed, which is then as it was, and gives their directory.
    fn build(&self, file: &str, changed: &str) -> Result<PathBuf> {
        let path = self.tree.join(file);
        let original = read(&path)?;
        put(&path, changed.as_bytes())?;
        let built = Cmd::new("cargo")
            .cwd(&self.tree)
            .args(["build", "--quiet", "--workspace", "--bins", "--locked", "--target-dir"])
            .arg(&self.target)
            .run();
        put(&path, original.as_bytes())?;
        built.context("a mutant has to compile")?;
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
