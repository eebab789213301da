//! `cargo xtask campaign`: runs the fault campaigns, which are part of every test run, and writes the page that
//! reports them.
//!
//! Each campaign counts its cases and writes the counts to a file (`tests/src/campaign.rs`). This command inserts
//! them into docs/reliability.md between the markers of that campaign, together with the list of defenses that
//! `cargo xtask mutants` removes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::mutants::DEFENSES;
use crate::sh::{Context, Result};
use crate::workspace;

const PAGE: &str = "docs/reliability.md";

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Run only the tests whose names contain one of these, such as `disk` [default: all]
    #[arg(value_name = "CAMPAIGN")]
    names: Vec<String>,
    /// Run every case, which takes hours; the page is not changed
    #[arg(long, conflicts_with = "page_only")]
    full: bool,
    /// Run no campaign; only rewrite the list of defenses
    #[arg(long, conflicts_with = "names")]
    page_only: bool,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    let mut page = with_defenses(&read()?)?;
    if !opts.page_only {
        let directory = workspace::bin_dir("campaign")?;
        empty(&directory)?;
        let tests = workspace::cargo()
            .args([
                "test",
                "--workspace",
                "--locked",
                "--all-features",
                "--test",
                "campaign",
                "--",
                "--nocapture",
            ])
            .args(&opts.names)
            .env("QDRANT_BACKUP_CAMPAIGN_DIR", &directory);
        if opts.full {
            return tests.env("QDRANT_BACKUP_CAMPAIGN", "full").run();
        }
        tests.env_remove("QDRANT_BACKUP_CAMPAIGN").run()?;
        for (campaign, counts) in counts(&directory)? {
            page = filled(&page, &campaign, &list(&counts))?;
        }
    }
    put(&page)?;
    println!("wrote {PAGE}");
    Ok(())
}

/// A step of `cargo xtask test`: checks that the list of defenses is current.
pub(crate) fn page_is_current() -> Result<()> {
    let page = read()?;
    if with_defenses(&page)? != page {
        return Err(format!("{PAGE} has drifted; `cargo xtask campaign --page-only` writes it anew"));
    }
    println!("{PAGE} is current");
    Ok(())
}

fn with_defenses(page: &str) -> Result<String> {
    let mut table = "| defense | without it | noticed by |\n|---|---|---|\n".to_owned();
    for defense in DEFENSES {
        let tests = defense.tests.join("`, `");
        table.push_str(&format!("| {} | {} | `{tests}` |\n", defense.name, defense.claim));
    }
    filled(page, "defenses", &table)
}

/// The page with `text` between the markers of `name`.
fn filled(page: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- counts of {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let lost = || format!("{PAGE} has lost its marks for {name}");
    let (before, rest) = page.split_once(&begin).ok_or_else(lost)?;
    let (_, after) = rest.split_once(&end).ok_or_else(lost)?;
    Ok(format!("{before}{begin}{text}{end}{after}"))
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let line = |(what, count): (&String, &u64)| format!("| {what} | {count} |\n");
    let lines: String = counts.iter().map(line).collect();
    format!("| tried | cases |\n|---|---|\n{lines}")
}

/// The counts of each campaign that ran.
fn counts(directory: &Path) -> Result<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).context(directory.display())? {
        let path = entry.context(directory.display())?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).context(path.display())?;
        all.insert(name, serde_json::from_str(&text).context(path.display())?);
    }
    Ok(all)
}

fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).context(directory.display())?;
    }
    fs::create_dir_all(directory).context(directory.display())
}

fn read() -> Result<String> {
    fs::read_to_string(workspace::root().join(PAGE)).context(PAGE)
}

#[expect(clippy::disallowed_methods, reason = "a file of the work tree, which git keeps, not a backup")]
fn put(page: &str) -> Result<()> {
    fs::write(workspace::root().join(PAGE), page).context(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_replace_what_is_between_the_marks_of_their_campaign() {
        let page = "a\n<!-- counts of disk -->\nold\n<!-- end of disk -->\nb\n";
        let counts = BTreeMap::from([("faults".to_owned(), 7)]);
        let text = filled(page, "disk", &list(&counts)).unwrap();
        assert_eq!(
            text,
            "a\n<!-- counts of disk -->\n| tried | cases |\n|---|---|\n| faults | 7 |\n<!-- end of disk -->\nb\n"
        );
        assert!(filled(page, "crash", "").is_err());
    }
}
