//! The page of the configuration file, with the keys and the example from docs/configuration.md.

use std::io;

use clap_mangen::roff::{Roff, bold, roman};

use crate::inline::inline;
use crate::page::Edition;

/// The template with its marker lines replaced by parts of the document.
///
/// # Errors
/// When the document has no table of keys or no example, because the page would silently be empty.
pub(crate) fn page(template: &str, document: &str, edition: &Edition) -> io::Result<String> {
    let mut text = Vec::new();
    for line in template.lines() {
        match line {
            "@TITLE@" => title(edition).to_writer(&mut text)?,
            "@KEYS@" => keys(document)?.to_writer(&mut text)?,
            "@EXAMPLE@" => example(document)?.to_writer(&mut text)?,
            _ => text.extend_from_slice(format!("{line}\n").as_bytes()),
        }
    }
    String::from_utf8(text).map_err(io::Error::other)
}

fn title(edition: &Edition) -> Roff {
    let source = format!("qdrant-backup {}", edition.version);
    let title = ["qdrant-backup.yaml", "5", &edition.date, &source, "File Formats"];
    let mut roff = Roff::new();
    roff.control("TH", title);
    roff
}

/// The rows of the table of keys: key, variable, option, default, description.
fn keys(document: &str) -> io::Result<Roff> {
    let mut roff = Roff::new();
    let mut count = 0;
    for row in document.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [key, variable, option, default, meaning] = cells.as_slice() else { continue };
        roff.control("TP", []).text([bold(key.trim_end_matches('`'))]).text(inline(meaning));
        for (what, cell) in [("Variable", variable), ("Option", option), ("Default", default)] {
            if *cell != "–" {
                roff.control("br", []).text([vec![roman(format!("{what}: "))], inline(cell)].concat());
            }
        }
        count += 1;
    }
    if count == 0 { Err(io::Error::other("docs/configuration.md has no table of keys")) } else { Ok(roff) }
}

/// The first block of YAML.
fn example(document: &str) -> io::Result<Roff> {
    let block = document.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let block = block.ok_or_else(|| io::Error::other("docs/configuration.md has no example"))?;
    let mut roff = Roff::new();
    roff.control("nf", []);
    for line in block.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    Ok(roff)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "| key | a | b | c | d |\n|---|---|---|---|---|\n\
        | `qdrant.url` | `QDRANT_URL` | – | `http://x` | Where `it` is. |\n\n```yaml\nqdrant:\n  url: y\n```\n";

    fn edition() -> Edition {
        Edition { date: "2025-07-15".to_owned(), version: "1.2.3" }
    }

    #[test]
    fn every_row_is_a_key_and_the_example_keeps_its_lines() {
        let text = page("@TITLE@\n.SH KEYS\n@KEYS@\n.SH EXAMPLE\n@EXAMPLE@\n", DOCUMENT, &edition()).unwrap();
        assert!(text.contains(".TP\n\\fBqdrant.url\\fR\nWhere \\fBit\\fR is.\n.br\nVariable: "), "{text}");
        assert!(text.contains("Default: \\fBhttp://x\\fR\n") && !text.contains("Option"), "{text}");
        assert!(text.contains(".nf\nqdrant:\n  url: y\n.fi\n"), "{text}");
    }

    #[test]
    fn a_document_without_keys_or_example_is_refused() {
        for marked in ["@KEYS@", "@EXAMPLE@"] {
            assert!(page(marked, "# Configuration\n", &edition()).is_err(), "{marked}");
        }
    }
}
