//! What goes to stdout, and how things are put for a person.

use std::io::{self, Write};

use chrono::{DateTime, TimeDelta, Utc};
use comfy_table::{CellAlignment, Table, TableStyle};

/// Prints `text` and a newline to stdout. A reader that has gone, as in `qdrant-backup list | head`, is no failure.
///
/// # Errors
/// When stdout cannot be written for another reason, such as a full disk.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let result = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// A table without lines. `right` names the columns that hold numbers.
pub fn table(header: &[&str], right: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// How long ago, in the two largest units: `2 d 3 h`, `45 s`.
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

/// A duration, as [`age`] puts it.
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
