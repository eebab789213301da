//! The documents as installed: their links lead to installed files instead of files in the repository.

use std::path::Path;

use super::files::{self, Shipped};
use crate::{
    links,
    sh::{Context, Result},
    workspace,
};

/// Link targets that exist only in the sources: the text stays, without a link.
const ONLY_IN_THE_SOURCES: &[&str] = &["CONTRIBUTING.md", "dashboards/render/render.tsx"];

/// The tarball moves this directory as a whole, without the files next to it, so a link that leaves it would be
/// broken.
const TOGETHER: &str = "usr/share";

/// The text of a document as installed.
pub(super) fn installed(shipped: &Shipped) -> Result<String> {
    let text = std::fs::read_to_string(&shipped.source).context(shipped.source.display())?;
    let page = shipped.source.strip_prefix(workspace::root()).context(shipped.source.display())?;
    links::rewritten(page, &text, |file| {
        if ONLY_IN_THE_SOURCES.iter().any(|only| file == Path::new(only)) {
            return Ok(None);
        }
        match files::place(file).filter(|place| place.starts_with(TOGETHER)) {
            Some(place) => Ok(Some(way(Path::new(&shipped.to), &place))),
            None => Err(format!("{} is not installed below {TOGETHER}", file.display())),
        }
    })
}

/// The relative path from a page to a file.
fn way(page: &Path, file: &Path) -> String {
    let from: Vec<_> = page.parent().unwrap_or(Path::new("")).components().collect();
    let to: Vec<_> = file.components().collect();
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = from.iter().skip(common).map(|_| "..".into());
    let down = to.iter().skip(common).map(|part| part.as_os_str().to_string_lossy());
    up.chain(down).collect::<Vec<std::borrow::Cow<'_, str>>>().join("/")
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        path::PathBuf,
    };

    use super::*;
    use crate::dist::files::{Form, tests::listed};

    #[test]
    fn every_link_of_the_installed_documents_leads_to_something_that_is_installed() {
        let (_built, list) = listed();
        let there: BTreeSet<PathBuf> =
            list.iter().flat_map(|shipped| Path::new(&shipped.to).ancestors()).map(Path::to_owned).collect();
        let documents = list.iter().filter(|shipped| shipped.form == Form::Document);
        let pages: BTreeMap<PathBuf, String> =
            documents.map(|shipped| (PathBuf::from(&shipped.to), installed(shipped).unwrap())).collect();
        assert_eq!(links::broken_links(&pages, |path| there.contains(path)), Vec::<String>::new());
        let install = &pages[Path::new("usr/share/doc/qdrant-backup/docs/install.md")];
        assert!(install.contains("](../examples/backup-path.conf)"));
        let runbook = &pages[Path::new("usr/share/doc/qdrant-backup/docs/runbook.md")];
        assert!(runbook.contains("](../../../qdrant-backup/alerts/alertmanager.yml)"));
    }

    #[test]
    fn a_link_to_what_is_not_installed_is_refused() {
        let page = Path::new("docs/a.md");
        let refused = links::rewritten(page, "see [it](../xtask)", |file| Err(file.display().to_string()));
        assert_eq!(refused.unwrap_err(), "docs/a.md:1: xtask");
    }
}
