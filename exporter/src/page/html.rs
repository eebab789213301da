//! The HTML page: one document without external resources, with light and dark colors, usable on phones and with
//! screen readers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::text::{shortened, visible};
use sha2::{Digest, Sha256};

use super::chart;
use super::explain;
use super::parts::{BackupReport, CollectionReport, LastRun, OperationReport, PlaceReport};
use super::report::Report;
use super::verdict::{Kind, Severity, Verdict};
use super::words;

const STYLE: &str = include_str!("style.css");

/// Seconds until the page reloads.
const REFRESH: u32 = 30;

/// Nothing may be loaded, run or framed; only this page's own style is allowed.
pub fn content_security_policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// The page. `telemetry` is the path of the metrics.
pub fn html(report: &Report, telemetry: &str) -> String {
    let severity =
        if report.verdict.severity == Severity::Notice { Severity::Fine } else { report.verdict.severity };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH);
                link rel="icon" href="data:,";
                title { "Qdrant backups: " (word(severity)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Qdrant backups" @if let Some(host) = &report.hostname { " of " (line(host)) } }
                    p.soft { "as of " time datetime=(report.taken_at.to_rfc3339()) { (words::moment(report.taken_at)) } }
                }
                main {
                    (verdict(&report.verdict))
                    (collections(report))
                    @if let Some(run) = &report.last_run { (last_run(run, report)) }
                    (operations(report))
                    (places(report))
                    (storage(report))
                    (list("What cannot be read", &report.problems))
                    (explanations(&report.verdict))
                }
                footer {
                    a href=(telemetry) { "metrics" } " · " a href="/api/v1/status" { "JSON" }
                    " · qdrant-backup-exporter " (line(&report.exporter_version)) " · refreshes every " (REFRESH) " s"
                }
            }
        }
    };
    page.into_string() + "\n"
}

fn word(severity: Severity) -> String {
    format!("{severity:?}").to_lowercase()
}

/// A name or message on one line, truncated.
fn line(text: &str) -> String {
    shortened(text, 300)
}

/// `text` in an element with this CSS class.
fn styled(class: &str, text: &str) -> Markup {
    html! { span class=(class) { (text) } }
}

/// An outcome in its color.
fn outcome(outcome: Option<&Outcome>) -> Markup {
    match outcome {
        None => html! { "–" },
        Some(Outcome::Success) => styled("good-text", Outcome::Success.as_str()),
        Some(other) => styled("bad-text", &line(other.as_str())),
    }
}

fn ago(at: Option<DateTime<Utc>>, report: &Report) -> String {
    at.map_or_else(|| "never".to_owned(), |at| words::ago(at, report.taken_at))
}

/// A table. The first cell of a row is its heading. Every other cell has the name of its column, for narrow screens
/// where rows are cards. A column whose name begins with # contains numbers.
fn table(caption: &str, columns: &[&str], rows: impl Iterator<Item = Vec<Markup>>) -> Markup {
    let columns: Vec<_> = columns
        .iter()
        .map(|column| (column.trim_start_matches('#'), column.starts_with('#').then_some("number")))
        .collect();
    html! {
        table.cards {
            @if !caption.is_empty() { caption { (caption) } }
            thead { tr { @for (name, class) in &columns { th scope="col" class=[class] { (name) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (index, ((name, class), cell)) in columns.iter().zip(row).enumerate() {
                            @if index == 0 { th scope="row" { (cell) } }
                            @else { td data-label=(name) class=[class] { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

fn list(title: &str, lines: &[String]) -> Markup {
    const SHOWN: usize = 20;
    html! {
        @if !lines.is_empty() {
            h2 { (title) }
            ul {
                @for text in lines.iter().take(SHOWN) { li { (line(text)) } }
                @if lines.len() > SHOWN { li { "and " (lines.len() - SHOWN) " more" } }
            }
        }
    }
}

fn verdict(verdict: &Verdict) -> Markup {
    let class = format!("verdict {}", word(verdict.severity));
    html! {
        section class=(class) role="status" aria-label="verdict" {
            p { (line(&verdict.headline)) }
            @if !verdict.findings.is_empty() {
                ul {
                    @for finding in &verdict.findings {
                        @let text = if finding.text == verdict.headline { "About this" } else { &finding.text };
                        li { (line(text)) ": " a href={ "#" (finding.kind.name()) } { "what this means" } }
                    }
                }
            }
        }
    }
}

fn collections(report: &Report) -> Markup {
    if report.collections.is_empty() {
        return html! { h2 { "Collections" } p { "No collection is known." } };
    }
    let mut columns = vec!["Collection", "Age", "#Size", "#Points", "Verified", "Backups", "Copies", "Sizes"];
    columns.retain(|column| *column != "Copies" || !report.places.is_empty());
    let rows = report.collections.iter().map(|collection| row(collection, report));
    let caption = "The newest good backup of each collection, and the sizes of the latest backups";
    html! { h2 { "Collections" } (table(caption, &columns, rows)) }
}

fn row(collection: &CollectionReport, report: &Report) -> Vec<Markup> {
    let newest = collection.newest.as_ref();
    let or_unknown = |text: Option<String>| html! { (text.unwrap_or_else(|| "–".to_owned())) };
    let mut row = vec![
        html! {
            (line(&visible(collection.collection.as_str())))
            @match collection.on_server {
                Some(true) => {}
                Some(false) => { br; (styled("warn-text", "no longer on the server")) }
                None if collection.excluded => { br; (styled("soft", "not selected for backup")) }
                None => { br; (styled("soft", "unknown whether it is on the server")) }
            }
            @if let Some(failure) = &collection.failure {
                br; (styled("bad-text", &format!("last attempt failed: {}", line(&failure.message))))
            }
        },
        match newest {
            Some(newest) => html! {
                time datetime=(newest.started_at.to_rfc3339()) { (words::ago(newest.started_at, report.taken_at)) }
                br; (styled("soft", &words::moment(newest.started_at)))
            },
            None => styled("bad-text", "no good backup"),
        },
        or_unknown(newest.map(|newest| words::bytes(newest.size_bytes))),
        or_unknown(newest.and_then(|newest| newest.points).map(words::count)),
        newest.map_or_else(|| or_unknown(None), |newest| verified(newest, report)),
        html! {
            (words::count(collection.good_backups)) " good"
            @for (number, what) in [
                (collection.verification_failed_backups, "failed verification"),
                (collection.incomplete_backups, "incomplete"),
            ] {
                @if number > 0 { br; (styled("bad-text", &format!("{} {what}", words::count(number)))) }
            }
        },
    ];
    if !report.places.is_empty() {
        row.push(copies(collection, report));
    }
    row.push(chart::sizes(&collection.history));
    row
}

fn verified(newest: &BackupReport, report: &Report) -> Markup {
    match (&newest.verified_level, newest.verified_at) {
        (Some(level), Some(at)) => {
            html! { (styled("good-text", &line(level.as_str()))) " " (styled("soft", &words::ago(at, report.taken_at))) }
        }
        _ => styled("warn-text", "not verified"),
    }
}

/// The copies of a collection in offsite places.
fn copies(collection: &CollectionReport, report: &Report) -> Markup {
    html! {
        @for (index, copies) in collection.copies.iter().enumerate() {
            @if index > 0 { br; }
            (line(&copies.place)) ": "
            @match copies.newest_at {
                Some(at) => { (words::count(copies.backups)) " " (styled("soft", &words::ago(at, report.taken_at))) }
                None => (styled("warn-text", "none")),
            }
        }
    }
}

fn last_run(run: &LastRun, report: &Report) -> Markup {
    let rows = run.stages.iter().map(|stage| {
        vec![
            html! { (line(stage.operation.as_str())) ": " (line(stage.stage.as_str())) },
            html! { (words::duration(stage.duration_seconds)) },
            html! { (stage.bytes.map(words::bytes).unwrap_or_default()) },
        ]
    });
    html! {
        h2 { "Last run" }
        p {
            (line(&run.command)) " ended " (words::ago(run.completed_at, report.taken_at))
            " (" (words::moment(run.completed_at)) ") after " (words::duration(run.duration_seconds)) ": "
            (outcome(Some(&run.outcome)))
        }
        @if !run.stages.is_empty() {
            (table("Its stages, all collections together", &["Stage", "#Time", "#Received"], rows))
        }
        (list("Warnings of the last run", &run.warnings))
    }
}

fn operations(report: &Report) -> Markup {
    let columns = ["Operation", "Last attempt", "Last success", "Ended as", "#Runs", "#Failures", "Expected"];
    let row = |operation: &OperationReport| {
        let expected = match operation.schedule_interval_seconds {
            Some(interval) => format!("every {}", words::duration(interval)),
            None => "no schedule known".to_owned(),
        };
        vec![
            html! { (line(operation.operation.as_str())) },
            html! { (ago(operation.last_attempt_at, report)) },
            html! { (ago(operation.last_success_at, report)) },
            outcome(operation.last_outcome.as_ref()),
            html! { (words::count(operation.runs_total)) },
            html! { (words::count(operation.failures_total)) },
            html! { (expected) },
        ]
    };
    html! {
        @if !report.operations.is_empty() {
            h2 { "Operations" } (table("", &columns, report.operations.iter().map(row)))
        }
    }
}

/// The offsite places.
fn places(report: &Report) -> Markup {
    let row = |place: &PlaceReport| {
        vec![
            html! {
                (line(&place.place))
                @if let Some(failure) = &place.failure { br; (styled("bad-text", &line(&failure.message))) }
            },
            html! { (ago(place.last_success_at, report)) },
            outcome(place.last_outcome.as_ref()),
            html! { @if place.is_damaged { (styled("bad-text", "damaged")) " " } (ago(place.last_check_at, report)) },
            html! { (words::bytes(place.added_bytes_total)) },
        ]
    };
    let columns = ["Place", "Last success", "Ended as", "Read back", "#Added"];
    html! {
        @if !report.places.is_empty() {
            h2 { "Copies" } (table("", &columns, report.places.iter().map(row)))
        }
    }
}

fn storage(report: &Report) -> Markup {
    #[expect(clippy::cast_precision_loss, reason = "shown in days")]
    let retention = report.retention_seconds.map_or_else(
        || "not by age, or unknown".to_owned(),
        |seconds| format!("backups are kept for {}", words::duration(seconds as f64)),
    );
    html! {
        h2 { "Storage" }
        dl {
            dt { "Free" }
            dd {
                @match &report.storage {
                    Some(storage) => {
                        @let whole = u128::from(storage.size_bytes.max(1));
                        @let free = (u128::from(storage.avail_bytes) * 100 / whole).min(100);
                        (words::bytes(storage.avail_bytes)) " of " (words::bytes(storage.size_bytes)) " (" (free) " %)"
                        svg.room role="img" aria-label={ (free) " percent free" } viewBox="0 0 100 4" preserveAspectRatio="none" {
                            rect.room width="100" height="4" {}
                            rect.used width=(100 - free) height="4" {}
                        }
                    }
                    None => (styled("warn-text", "not known")),
                }
            }
            dt { "Retention" }
            dd { (retention) }
        }
    }
}

/// The meaning of each kind of finding. The links of the verdict lead here, so they need no other server.
fn explanations(verdict: &Verdict) -> Markup {
    let mut kinds: Vec<Kind> = Vec::new();
    for finding in &verdict.findings {
        if !kinds.contains(&finding.kind) {
            kinds.push(finding.kind);
        }
    }
    html! {
        @if !kinds.is_empty() {
            h2 { "What this means" }
            p.soft {
                "From docs/exporter.md. With the package, the documents are in /usr/share/doc/qdrant-backup/docs; \
                 recovery.md there gets data back."
            }
            @for kind in kinds {
                h3 id=(kind.name()) { (kind.name()) }
                @for paragraph in explain::paragraphs(kind) { p { (paragraph) } }
            }
        }
    }
}
