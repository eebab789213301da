//! Alternating measurements of several ways to do the same thing, so that a machine that slows down affects all of
//! them.

use std::path::Path;

use super::sample::{Sample, median};
use crate::{
    sh::{Context, Result},
    tree,
};

/// The result of one run: time and memory, and the number of bytes written to or read from disk.
pub(super) type Run = (Sample, Option<u64>);

/// Runs a way once in this directory.
type Action<'a> = Box<dyn Fn(&Path) -> Result<Run> + 'a>;

/// One way. It runs in its own scratch directory.
pub(super) struct Way<'a> {
    name: String,
    run: Action<'a>,
}

impl<'a> Way<'a> {
    pub(super) fn new(name: impl Into<String>, run: impl Fn(&Path) -> Result<Run> + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// All samples of a way.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) samples: Vec<Sample>,
    pub(super) stored_bytes: Option<u64>,
}

/// Runs every way once as a warm-up, then all of them alternately, `rounds` times.
pub(super) fn take_turns(what: &str, rounds: u32, ways: &[Way<'_>]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = ways
        .iter()
        .map(|way| Row { name: way.name.clone(), samples: Vec::new(), stored_bytes: None })
        .collect();
    for round in 0..=rounds {
        println!(
            "{what}: {}",
            if round == 0 { "to warm up".to_owned() } else { format!("round {round} of {rounds}") }
        );
        for (way, row) in ways.iter().zip(&mut rows) {
            let scratch = tempfile::tempdir().context("temporary directory")?;
            let (sample, stored_bytes) = (way.run)(scratch.path())?;
            if round > 0 {
                row.samples.push(sample);
                row.stored_bytes = stored_bytes;
            }
        }
    }
    Ok(rows)
}

impl Row {
    pub(super) fn seconds(&self) -> impl Iterator<Item = f64> + Clone {
        self.samples.iter().map(|sample| sample.seconds)
    }

    pub(super) fn peak_bytes(&self) -> u64 {
        self.samples.iter().map(|sample| sample.peak_bytes).max().unwrap_or(0)
    }

    /// Its duration relative to `other`: the median of the ratios of each round, because both runs of a round were
    /// measured under about the same load.
    pub(super) fn ratio(&self, other: &Row) -> f64 {
        median(self.seconds().zip(other.seconds()).map(|(ours, theirs)| ours / theirs))
    }
}

/// A Markdown table of the rows, each compared with the first.
pub(super) fn table(rows: &[Row]) -> String {
    let first = rows.first();
    let beside = first.map(|row| row.name.as_str()).unwrap_or_default();
    let mut table = format!(
        "| | seconds | fastest – slowest | beside {beside} | peak memory | on disk |\n|---|---:|---:|---:|---:|---:|\n"
    );
    for row in rows {
        let (fastest, slowest) =
            (row.seconds().fold(f64::INFINITY, f64::min), row.seconds().fold(0.0, f64::max));
        table.push_str(&format!(
            "| {} | {:.3} | {fastest:.3} – {slowest:.3} | {:.2} × | {} | {} |\n",
            row.name,
            median(row.seconds()),
            first.map_or(1.0, |first| row.ratio(first)),
            tree::human_size(row.peak_bytes()),
            row.stored_bytes.map_or_else(|| "–".to_owned(), tree::human_size),
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn row(name: &str, seconds: &[f64]) -> Row {
        let samples = seconds.iter().map(|&seconds| Sample { seconds, peak_bytes: 1 << 20 }).collect();
        Row { name: name.to_owned(), samples, stored_bytes: Some(2048) }
    }

    #[test]
    fn the_table_compares_each_way_with_the_first() {
        let mut rows = [row("curl", &[2.0, 1.0, 3.0]), row("runner", &[1.0, 1.0, 1.0])];
        rows[1].stored_bytes = None;
        let table = table(&rows);
        assert!(table.starts_with("| | seconds | fastest – slowest | beside curl |"), "{table}");
        assert!(table.contains("| curl | 2.000 | 1.000 – 3.000 | 1.00 × | 1.0 MiB | 2.0 KiB |"), "{table}");
        assert!(table.contains("| runner | 1.000 | 1.000 – 1.000 | 0.50 × | 1.0 MiB | – |"), "{table}");
    }

    #[test]
    fn a_ratio_is_the_middle_one_of_those_of_each_round() {
        // The second round was slow for both. The median seconds alone would give 2.0.
        assert_eq!(row("a", &[1.0, 9.0, 2.0]).ratio(&row("b", &[1.0, 10.0, 1.0])), 1.0);
    }

    #[test]
    fn ways_take_turns_and_the_first_turn_does_not_count() {
        let turns = RefCell::new(Vec::new());
        let way = |name: &'static str| {
            let turns = &turns;
            Way::new(name, move |_: &Path| {
                turns.borrow_mut().push(name);
                let seconds = turns.borrow().len() as f64;
                Ok((Sample { seconds, peak_bytes: 1 }, Some(3)))
            })
        };
        let rows = take_turns("test", 2, &[way("a"), way("b")]).unwrap();
        assert_eq!(*turns.borrow(), ["a", "b", "a", "b", "a", "b"]);
        assert_eq!(rows[0].seconds().collect::<Vec<_>>(), [3.0, 5.0]);
        assert_eq!(rows[1].seconds().collect::<Vec<_>>(), [4.0, 6.0]);
        assert_eq!(rows[1].stored_bytes, Some(3));
    }
}
