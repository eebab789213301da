//! Draws a directory with sizes.

use std::path::Path;

use crate::sh::{Context, Result};

/// One entry of a directory.
#[derive(Debug)]
struct Entry {
    name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    File { size_bytes: u64 },
    Directory { entries: Vec<Entry> },
    Other { what: String },
}

/// The directory as a tree, one line per entry, sorted by name.
pub(crate) fn draw(directory: &Path) -> Result<String> {
    Ok(render(&directory.display().to_string(), &read(directory)?))
}

/// The total size of all files below a directory.
pub(crate) fn size_bytes(directory: &Path) -> Result<u64> {
    fn sum(entries: &[Entry]) -> u64 {
        let size = |entry: &Entry| match &entry.kind {
            Kind::File { size_bytes } => *size_bytes,
            Kind::Directory { entries } => sum(entries),
            Kind::Other { .. } => 0,
        };
        entries.iter().map(size).sum()
    }
    Ok(sum(&read(directory)?))
}

/// The size in the largest binary unit in which it is at least one.
pub(crate) fn human_size(size_bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if size_bytes < 1024 {
        return format!("{size_bytes} B");
    }
    let mut size = size_bytes as f64;
    let mut unit = "B";
    for larger in UNITS {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    format!("{size:.1} {unit}")
}

fn read(directory: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory).context(directory.display())? {
        let entry = entry.context(directory.display())?;
        let path = entry.path();
        let metadata = path.symlink_metadata().context(path.display())?;
        let kind = if metadata.is_dir() {
            Kind::Directory { entries: read(&path)? }
        } else if metadata.is_file() {
            Kind::File { size_bytes: metadata.len() }
        } else if let Ok(target) = path.read_link() {
            Kind::Other { what: format!("-> {}", target.display()) }
        } else {
            Kind::Other { what: "not a regular file".to_owned() }
        };
        entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), kind });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn render(title: &str, entries: &[Entry]) -> String {
    let mut lines = vec![(title.to_owned(), String::new())];
    add_lines("", entries, &mut lines);
    let width = lines.iter().skip(1).map(|(left, _)| left.chars().count()).max().unwrap_or(0);
    let mut drawing = String::new();
    for (left, right) in lines {
        let line = if right.is_empty() { left } else { format!("{left:<width$}  {right:>10}") };
        drawing.push_str(&line);
        drawing.push('\n');
    }
    drawing
}

fn add_lines(indent: &str, entries: &[Entry], lines: &mut Vec<(String, String)>) {
    for (index, Entry { name, kind }) in entries.iter().enumerate() {
        let (branch, below) =
            if index + 1 == entries.len() { ("└── ", "    ") } else { ("├── ", "│   ") };
        match kind {
            Kind::File { size_bytes } => {
                lines.push((format!("{indent}{branch}{name}"), human_size(*size_bytes)))
            }
            Kind::Other { what } => lines.push((format!("{indent}{branch}{name} {what}"), String::new())),
            Kind::Directory { entries } => {
                lines.push((format!("{indent}{branch}{name}/"), String::new()));
                add_lines(&format!("{indent}{below}"), entries, lines);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, size_bytes: u64) -> Entry {
        Entry { name: name.to_owned(), kind: Kind::File { size_bytes } }
    }

    #[test]
    fn entries_are_drawn_below_their_directory_with_sizes_aligned() {
        let docs = Kind::Directory { entries: vec![file("a.gz", 2048), file("a.json", 12)] };
        let drawing =
            render("backups", &[Entry { name: "docs".to_owned(), kind: docs }, file("repository.json", 300)]);
        assert_eq!(
            drawing,
            "backups\n\
             ├── docs/\n\
             │   ├── a.gz            2.0 KiB\n\
             │   └── a.json             12 B\n\
             └── repository.json       300 B\n"
        );
    }

    #[test]
    fn a_real_directory_is_read_in_order_of_name() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("b")).unwrap();
        std::fs::File::create(directory.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", directory.path().join("c")).unwrap();
        let drawing = draw(directory.path()).unwrap();
        let lines: Vec<&str> = drawing.lines().skip(1).map(str::trim_end).collect();
        assert_eq!(lines, ["├── a              0 B", "├── b/", "└── c -> a"]);
    }

    #[test]
    fn sizes_are_in_the_largest_unit_that_fits() {
        assert_eq!(human_size(0), "0 B");
        assert_eq!(human_size(1023), "1023 B");
        assert_eq!(human_size(1024), "1.0 KiB");
        assert_eq!(human_size(5 << 30), "5.0 GiB");
        assert_eq!(human_size(u64::MAX), "16777216.0 TiB");
    }
}
