//! `cargo xtask dashboard`: checks that need Grafana's own libraries. They are half a gigabyte, so this is not part
//! of the tests.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{DASHBOARD, check, model::Dashboard, shipped};
use crate::{
    serving::Serving,
    sh::{Cmd, Context, Result},
    tools, workspace,
};

const SOURCES: &str = "dashboards/render";
const PICTURE: &str = "docs/images/dashboard.png";

/// The page width as in `page.html`, and the heights of a grid row and of the page's header as in `render.tsx`.
const WIDTH: u64 = 1600;
const ROW: u64 = 38;
const HEAD: u64 = 52;

/// Maximum size in bytes, so that the README loads quickly.
const LARGEST: usize = 500_000;

pub(crate) fn run() -> Result<()> {
    check()?;
    let directory = prepare()?;
    types(&directory)?;
    keys(&directory)?;
    draw(&directory)
}

/// A directory next to the built programs with the sources, the dashboard and Grafana's libraries.
fn prepare() -> Result<PathBuf> {
    tools::debian("nodejs", "/usr/bin/node")?;
    tools::debian("npm", "/usr/bin/npm")?;
    tools::debian("fonts-inter", "/usr/share/fonts/opentype/inter/Inter-Regular.otf")?;
    tools::judges()?;
    let directory = workspace::bin_dir("dashboard")?;
    std::fs::create_dir_all(&directory).context(directory.display())?;
    let copy = |from: &Path, name: &str| {
        Cmd::new("cp").cwd(workspace::root()).arg(from).arg(directory.join(name)).read().map(drop)
    };
    let wanted = super::read(&format!("{SOURCES}/package.json"))?;
    let installed = directory.join("installed.json");
    let sources = workspace::root().join(SOURCES);
    for entry in std::fs::read_dir(&sources).context(SOURCES)? {
        let path = entry.context(SOURCES)?.path();
        copy(&path, &path.file_name().unwrap_or_default().to_string_lossy())?;
    }
    copy(Path::new(DASHBOARD), "dashboard.json")?;
    if std::fs::read_to_string(&installed).unwrap_or_default() != wanted {
        // Install scripts are disabled; none is needed.
        let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        Cmd::new("npm").cwd(&directory).args(install).run()?;
        copy(&sources.join("package.json"), "installed.json")?;
    }
    Ok(directory)
}

fn node_tool(directory: &Path, tool: &str) -> Cmd {
    Cmd::new(Path::new("node_modules/.bin").join(tool)).cwd(directory)
}

/// Checks the dashboard against the types of Grafana's schema.
fn types(directory: &Path) -> Result<()> {
    Cmd::new("node").cwd(directory).arg("types.mjs").run()?;
    node_tool(directory, "tsc")
        .args([
            "--noEmit",
            "--strict",
            "--skipLibCheck",
            "--module",
            "esnext",
            "--moduleResolution",
            "bundler",
        ])
        .args(["--target", "es2022", "checked.ts"])
        .run()?;
    println!("the dashboard has the types of @grafana/schema");
    Ok(())
}

/// Checks that the dashboard has no key that Grafana does not know.
fn keys(directory: &Path) -> Result<()> {
    let python = tools::python_with(&[tools::FOUNDATION_SDK])?.join("python");
    Cmd::new(python).shown_as("python").cwd(directory).args(["keys.py", "dashboard.json"]).run()?;
    println!("every key of the dashboard is one that Grafana knows");
    Ok(())
}

/// Renders the dashboard after a week of backups.
fn draw(directory: &Path) -> Result<()> {
    node_tool(directory, "esbuild")
        .args(["render.tsx", "--bundle", "--outfile=render.js", "--loader:.ttf=empty", "--log-level=warning"])
        .arg("--define:process.env.NODE_ENV=\"production\"")
        .run()?;
    workspace::cargo().args(["build", "--workspace", "--bins", "--locked"]).run()?;
    let programs = workspace::bin_dir("debug")?;
    let week = Serving::start(
        "a week of backups",
        Cmd::new(programs.join("week-of-backups")).quiet_envs(&[("QDRANT_BACKUP_BIN_DIR", programs.into())]),
    )?;
    let page = format!("file://{}?prometheus={}", directory.join("page.html").display(), week.url());
    let height = height(&shipped()?);
    let browser = || {
        Cmd::new("chromium")
            .cwd(directory)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--hide-scrollbars"])
            .args(["--virtual-time-budget=30000", "--user-data-dir=browser"])
            .arg(format!("--window-size={WIDTH},{height}"))
    };
    let dom = browser().arg("--dump-dom").arg(&page).read()?;
    problems(&dom)?;
    browser().arg("--screenshot=dashboard.png").arg(&page).read()?;
    let picture = directory.join("dashboard.png");
    let size = std::fs::metadata(&picture).context(picture.display())?.len();
    if size > LARGEST as u64 {
        return Err(format!(
            "{} has {size} bytes, more than the {LARGEST} that a README may have",
            picture.display()
        ));
    }
    Cmd::new("cp").cwd(workspace::root()).arg(&picture).arg(PICTURE).read()?;
    println!("wrote {PICTURE}, {WIDTH} x {height}, {size} bytes");
    Ok(())
}

/// The page height that shows the whole dashboard.
fn height(dashboard: &Dashboard) -> u64 {
    let end = |panel: &Value| panel["gridPos"]["y"].as_u64().zip(panel["gridPos"]["h"].as_u64());
    let rows = dashboard.top().filter_map(end).map(|(y, h)| y + h).max();
    HEAD + ROW * rows.unwrap_or_default()
}

/// The errors on the page: an error, an unknown unit, or a panel without data.
fn problems(dom: &str) -> Result<()> {
    let said = dom.split("id=\"problems\">").nth(1).and_then(|rest| rest.split("</script>").next());
    let said = said.ok_or("the page did not come to its end")?;
    let problems: Vec<String> = serde_json::from_str(said).context("what the page says")?;
    if problems.is_empty() {
        Ok(())
    } else {
        Err(format!("the dashboard is not drawn: {}", problems.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_has_problems_or_did_not_end_is_an_error() {
        assert_eq!(problems("<script id=\"problems\">[]</script></body>"), Ok(()));
        assert!(
            problems("<script id=\"problems\">[\"A: no data\"]</script>").unwrap_err().contains("A: no data")
        );
        assert!(problems("<body></body>").is_err());
    }

    #[test]
    fn the_page_is_as_high_as_the_lowest_panel() {
        let panels =
            serde_json::json!({"panels": [{"gridPos": {"y": 2, "h": 3}}, {"gridPos": {"y": 0, "h": 4}}]});
        assert_eq!(height(&Dashboard(panels)), 52 + 5 * 38);
    }
}
