//! Output on stdout, and formatting for people.

use std::io::{self, Write};

use chrono::{DateTime, TimeDelta, Utc};
use comfy_table::{CellAlignment, ColumnConstraint, Table, TableStyle, Width};
use qdrant_backup_shared::text;
use rustix::fs::{OFlags, fstat, stat};

/// Prints `text` and a newline to stdout. A closed pipe, as in `qdrant-backup list | head`, is not a failure.
///
/// # Errors
/// When stdout cannot be written for another reason, such as a full disk.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let result = stdout
        .write_all(text::lines(text).as_bytes())
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(full(&error)),
        Ok(()) => Ok(()),
    }
}

/// An error of stdout that says so.
pub fn full(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("standard output cannot be written: {error}"))
}

/// Whether stdout was closed when the program started: `/dev/null` is then in its place, open for reading, too.
pub fn is_closed() -> bool {
    let stdout = io::stdout();
    let opened = rustix::fs::fcntl_getfl(&stdout).unwrap_or(OFlags::WRONLY);
    let (Ok(stdout), Ok(null)) = (fstat(&stdout), stat("/dev/null")) else { return false };
    opened.contains(OFlags::RDWR) && (stdout.st_mode, stdout.st_rdev) == (null.st_mode, null.st_rdev)
}

/// Maximum number of rows formatted at a time, because formatting needs much more memory than the text.
const ROWS_AT_A_TIME: usize = 500;

/// A table without lines. `right` lists the columns with numbers.
pub fn table(header: &[&str], right: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let part = |rows: &[Vec<String>]| {
        let mut table = Table::new();
        table.load_style(TableStyle::new()).add_row(header.iter().copied()).add_rows(rows);
        table
    };
    let mut widths = vec![0; header.len()];
    for rows in rows.chunks(ROWS_AT_A_TIME) {
        for (widest, width) in widths.iter_mut().zip(part(rows).column_max_content_widths()) {
            *widest = width.max(*widest);
        }
    }
    let mut lines: Vec<String> = Vec::new();
    let mut add = |rows: &[Vec<String>]| {
        let mut table = part(rows);
        for (number, width) in widths.iter().enumerate().filter(|(_, width)| **width > 0) {
            let Some(column) = table.column_mut(number) else { continue };
            let width = width.saturating_add(column.padding_width());
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            if right.contains(&number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        // Its first line is the header.
        let again = usize::from(!lines.is_empty());
        lines.extend(table.to_string().lines().skip(again).map(|line| line.trim_end().to_owned()));
    };
    if rows.is_empty() {
        add(&rows);
    }
    rows.chunks(ROWS_AT_A_TIME).for_each(&mut add);
    lines.join("\n")
}

/// The age in the two largest units: `2 d 3 h`, `45 s`.
pub fn age(since: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - since).num_seconds();
    if seconds < 0 {
        return "in the future".to_owned();
    }
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let largest = units.iter().position(|(length, _)| seconds >= *length).unwrap_or(units.len() - 1);
    let (length, name) = units[largest];
    let first = format!("{} {name}", seconds / length);
    match units.get(largest + 1) {
        Some((next, name)) if seconds % length >= *next => {
            format!("{first} {} {name}", seconds % length / next)
        }
        Some(_) | None => first,
    }
}

/// A duration in the format of [`age`].
pub fn span(duration: std::time::Duration) -> String {
    let epoch = DateTime::UNIX_EPOCH;
    age(epoch, epoch + TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX / 2))
}

/// A time for people, to the second.
pub fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_laid_out_in_parts_looks_as_if_it_were_laid_out_at_once() {
        for count in [0, 1, ROWS_AT_A_TIME, 3 * ROWS_AT_A_TIME + 7] {
            let row = |number: usize| {
                let wide = if number + 1 == count { "ä wide one at the end" } else { "x" };
                vec![number.to_string(), wide.to_owned(), "#".repeat(number % 7), String::new()]
            };
            let header = ["NUMBER", "ä", "", "LAST"];
            let mut whole = Table::new();
            whole.load_style(TableStyle::new()).set_header(header).add_rows((0..count).map(row));
            for column in [0, 2] {
                whole.column_mut(column).unwrap().set_cell_alignment(CellAlignment::Right);
            }
            let whole = whole.to_string();
            let whole = whole.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
            assert_eq!(table(&header, &[0, 2], (0..count).map(row)), whole, "{count} rows");
        }
    }

    #[test]
    fn ages_have_two_units_at_most() {
        let now: DateTime<Utc> = "2025-07-15T14:30:00Z".parse().unwrap();
        let ago = |seconds| age(now - TimeDelta::seconds(seconds), now);
        assert_eq!(ago(0), "0 s");
        assert_eq!(ago(45), "45 s");
        assert_eq!(ago(60), "1 min");
        assert_eq!(ago(3_725), "1 h 2 min");
        assert_eq!(ago(86_400 * 9 + 59), "9 d");
        assert_eq!(ago(-1), "in the future");
    }
}
