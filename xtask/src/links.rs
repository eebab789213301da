//! Links between the repository's Markdown files: the file must exist, and so must the heading after `#`. External
//! links are not checked, because every run would then depend on other servers.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Component, Path, PathBuf},
};

use crate::{sh::Result, workspace};

/// A step of `cargo xtask test`.
pub(crate) fn check_files() -> Result<()> {
    let mut pages = BTreeMap::new();
    for file in workspace::files()? {
        if file.extension().is_some_and(|extension| extension == "md")
            && let Some(text) = workspace::read_text(&file)?
        {
            pages.insert(file, text);
        }
    }
    let exists = |path: &Path| workspace::root().join(path).exists();
    let broken = broken_links(&pages, exists);
    for line in &broken {
        println!("{line}");
    }
    println!("{} pages checked", pages.len());
    if broken.is_empty() { Ok(()) } else { Err(format!("{} broken links, shown above", broken.len())) }
}

/// Every broken link with its page and line. Paths of pages are relative to the repository's root, also for `exists`.
pub(crate) fn broken_links(pages: &BTreeMap<PathBuf, String>, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for (page, text) in pages {
        for (number, target) in targets(text) {
            if let Some(reason) = fault(page, &target, pages, &exists) {
                broken.push(format!("{}:{number}: {target}: {reason}", page.display()));
            }
        }
    }
    broken
}

/// The text of a page with changed links: `place` returns the new link to a file of the repository, or None to keep
/// only the text. Links within the page and to other servers stay.
pub(crate) fn rewritten(
    page: &Path,
    text: &str,
    place: impl Fn(&Path) -> Result<Option<String>>,
) -> Result<String> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for (number, target) in targets(text) {
        let (path, anchor) = target.split_at(target.find('#').unwrap_or(target.len()));
        if is_elsewhere(&target) || path.is_empty() {
            continue;
        }
        let wrong = |why: String| format!("{}:{number}: {why}", page.display());
        let file =
            resolve(page, path).ok_or_else(|| wrong(format!("{target} leads out of the repository")))?;
        let place = place(&file).map_err(wrong)?;
        let Some(line) = lines.get_mut(number - 1) else { continue };
        *line = match place {
            Some(place) => line.replace(&format!("]({target})"), &format!("]({place}{anchor})")),
            None => without_link(line, &target),
        };
    }
    Ok(lines.join("\n"))
}

/// The line with the text of the link to `target`, without the link.
fn without_link(line: &str, target: &str) -> String {
    let Some((before, after)) = line.split_once(&format!("]({target})")) else { return line.to_owned() };
    let Some((before, text)) = before.rsplit_once('[') else { return line.to_owned() };
    format!("{before}{text}{after}")
}

/// What is wrong with a link, or None.
fn fault(
    page: &Path,
    target: &str,
    pages: &BTreeMap<PathBuf, String>,
    exists: impl Fn(&Path) -> bool,
) -> Option<String> {
    if is_elsewhere(target) {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let Some(file) = resolve(page, path) else { return Some("leads out of the repository".to_owned()) };
    if !exists(&file) {
        return Some("no such file".to_owned());
    }
    let anchor = anchor?;
    let Some(text) = pages.get(&file) else { return Some("only Markdown pages have headings".to_owned()) };
    (!anchors(text).iter().any(|known| known == anchor)).then(|| "no such heading".to_owned())
}

/// Whether the link begins with a scheme such as `https:` or `mailto:`.
fn is_elsewhere(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// The path relative to the repository's root. None if it is outside.
fn resolve(page: &Path, link: &str) -> Option<PathBuf> {
    if link.is_empty() {
        return Some(page.to_owned());
    }
    let link = link.replace("%20", " ");
    let joined = match link.strip_prefix('/') {
        Some(from_top) => PathBuf::from(from_top),
        None => page.parent().unwrap_or(Path::new("")).join(link),
    };
    let mut resolved = PathBuf::new();
    for component in joined.components() {
        match component {
            Component::Normal(name) => resolved.push(name),
            Component::ParentDir => {
                if !resolved.pop() {
                    return None;
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(resolved)
}

/// The lines outside fenced code blocks with their numbers, with code spans blanked out.
fn prose_lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fence: Option<String> = None;
    (1..).zip(text.lines()).filter_map(move |(number, line)| {
        let trimmed = line.trim_start();
        let marker: String = trimmed.chars().take_while(|c| *c == '`' || *c == '~').collect();
        match &fence {
            Some(open) => {
                if marker.starts_with(open.as_str()) {
                    fence = None;
                }
                None
            }
            None if marker.len() >= 3 => {
                fence = Some(marker);
                None
            }
            None => Some((number, without_code_spans(line))),
        }
    })
}

fn without_code_spans(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let closed = if parts.len() % 2 == 1 { parts.len() } else { parts.len() - 1 };
    let kept = parts.iter().enumerate().filter(|(index, _)| index % 2 == 0 || *index >= closed);
    kept.map(|(_, part)| *part).collect::<Vec<_>>().join("``")
}

/// Every link target of a page with its line: `[text](target)`, images, and `[name]: target`.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut targets = Vec::new();
    for (number, line) in prose_lines(text) {
        for (at, _) in line.match_indices("](") {
            if let Some(target) = first_word(&line[at + 2..], ')') {
                targets.push((number, target));
            }
        }
        if line.starts_with('[')
            && let Some((_, definition)) = line.split_once("]: ")
            && let Some(target) = first_word(definition, ' ')
        {
            targets.push((number, target));
        }
    }
    targets
}

/// The target at the start of `text`, without its title and angle brackets.
fn first_word(text: &str, end: char) -> Option<String> {
    let text = text.trim_start();
    let target = match text.strip_prefix('<') {
        Some(bracketed) => bracketed.split('>').next()?,
        None => text.split(|c: char| c == end || c.is_whitespace()).next()?,
    };
    (!target.is_empty()).then(|| target.to_owned())
}

/// The anchors of a page: those that Git forges generate from headings, and `<a id="...">`.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut anchors = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (number, prose) in prose_lines(text) {
        for mark in ["id=\"", "name=\""] {
            anchors.extend(
                prose.split(mark).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned),
            );
        }
        // The heading itself is read with its code spans, because their words are part of the anchor.
        let line = lines.get(number - 1).copied().unwrap_or_default();
        let level = line.chars().take_while(|c| *c == '#').count();
        if (1..=6).contains(&level)
            && let Some(title) = line[level..].strip_prefix(' ')
        {
            let slug = slug(title.trim().trim_end_matches('#').trim_end());
            let count = seen.entry(slug.clone()).or_default();
            anchors.push(if *count == 0 { slug } else { format!("{slug}-{count}") });
            *count += 1;
        }
    }
    anchors
}

fn slug(title: &str) -> String {
    let shown = link_texts(title);
    shown
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The title with each `[text](target)` replaced by its text.
fn link_texts(title: &str) -> String {
    let mut shown = String::new();
    let mut rest = title;
    while let Some((before, after)) = rest.split_once("](") {
        shown.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(pages: &[(&str, &str)], others: &[&str]) -> Vec<String> {
        let pages: BTreeMap<PathBuf, String> =
            pages.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        broken_links(&pages, |path| {
            pages.contains_key(path) || others.iter().any(|other| path == Path::new(other))
        })
    }

    #[test]
    fn links_to_files_and_headings_that_exist_are_fine() {
        let readme = "# Top\n[a](docs/a.md) [b](docs/a.md#how-it-works \"title\") [c](#top) ![p](<docs/p q.png>)\n\
                      [ref]: docs/a.md\n[d](docs) [e](https://example.org/x#y) [m](mailto:a@example.org)\n";
        let a = "## How it works\n[up](../README.md#top) [top](/README.md)\n";
        assert_eq!(
            broken(&[("README.md", readme), ("docs/a.md", a)], &["docs/p q.png", "docs"]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_missing_file_heading_or_outside_path_is_named_with_its_line() {
        let text = "# Top\n\n[a](gone.md)\n[b](#nowhere)\n[c](../x)\n[d](LICENSE#top)\n[r]: gone-too.md\n";
        assert_eq!(
            broken(&[("README.md", text)], &["LICENSE"]),
            [
                "README.md:3: gone.md: no such file",
                "README.md:4: #nowhere: no such heading",
                "README.md:5: ../x: leads out of the repository",
                "README.md:6: LICENSE#top: only Markdown pages have headings",
                "README.md:7: gone-too.md: no such file",
            ]
        );
    }

    #[test]
    fn links_are_rewritten_and_nothing_else_is() {
        let text =
            "[a](gone.md#x) [b](../there) [d](#top) [e](https://example.org/) [f](b.md#y)\n`[c](b.md)`\n";
        let place = |file: &Path| match file.to_str() {
            Some("docs/gone.md") => Ok(None),
            Some("there") => Ok(Some("../../there".to_owned())),
            other => Ok(Some(format!("new/{}", other.unwrap_or_default()))),
        };
        assert_eq!(
            rewritten(Path::new("docs/a.md"), text, place).unwrap(),
            "a [b](../../there) [d](#top) [e](https://example.org/) [f](new/docs/b.md#y)\n`[c](b.md)`\n"
        );
    }

    #[test]
    fn code_holds_no_links_and_no_headings() {
        let text = "`[a](gone.md)` and [b](#real)\n```sh\n# not a heading\n[c](gone.md)\n```\n# Real\n[d](#not-a-heading)\n";
        assert_eq!(broken(&[("a.md", text)], &[]), ["a.md:7: #not-a-heading: no such heading"]);
    }

    #[test]
    fn anchors_are_those_that_forges_make() {
        let text =
            "# `cargo xtask`, and more!\n## Same\n## Same\n### See [there](x.md) now\n<a id=\"own\"></a>\n";
        assert_eq!(anchors(text), ["cargo-xtask-and-more", "same", "same-1", "see-there-now", "own"]);
    }
}
