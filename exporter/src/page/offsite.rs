//! The places for copies on the page: a table of them, and a column among the collections. Nothing where there are none.

use super::escape::{outcome, safe};
use super::parts::{CollectionReport, PlaceReport};
use super::report::Report;
use super::words;

/// Each place.
pub(super) fn places(report: &Report) -> String {
    if report.places.is_empty() {
        return String::new();
    }
    let rows: String = report.places.iter().map(|place| row(place, report)).collect();
    format!(
        "<h2>Copies</h2><table class=\"cards\"><thead><tr><th scope=\"col\">Place</th><th scope=\"col\">Last success</th>\
         <th scope=\"col\">Ended as</th><th scope=\"col\">Read back</th><th scope=\"col\" class=\"number\">Added</th></tr></thead>\
         <tbody>{rows}</tbody></table>"
    )
}

fn row(place: &PlaceReport, report: &Report) -> String {
    let ago = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or_else(|| "never".to_owned(), |at| words::ago(at, report.taken_at))
    };
    let failure = place
        .failure
        .as_ref()
        .map(|failure| format!("<br><span class=\"bad-text\">{}</span>", safe(&failure.message)));
    let read = if place.is_damaged {
        format!("<span class=\"bad-text\">damaged</span> {}", ago(place.last_check_at))
    } else {
        ago(place.last_check_at)
    };
    format!(
        "<tr><th scope=\"row\">{}{}</th><td data-label=\"Last success\">{}</td><td data-label=\"Ended as\">{}</td>\
         <td data-label=\"Read back\">{read}</td><td data-label=\"Added\" class=\"number\">{}</td></tr>",
        safe(&place.place),
        failure.unwrap_or_default(),
        ago(place.last_success_at),
        place.last_outcome.as_ref().map_or_else(|| "–".to_owned(), outcome),
        words::bytes(place.added_bytes_total)
    )
}

/// One collection's copies.
pub(super) fn cell(collection: &CollectionReport, report: &Report) -> String {
    if report.places.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = collection
        .copies
        .iter()
        .map(|copies| match copies.newest_at {
            Some(at) => format!(
                "{}: {} <span class=\"soft\">{}</span>",
                safe(&copies.place),
                words::count(copies.backups),
                words::ago(at, report.taken_at)
            ),
            None => format!("{}: <span class=\"warn-text\">none</span>", safe(&copies.place)),
        })
        .collect();
    format!("<td data-label=\"Copies\">{}</td>", lines.join("<br>"))
}
