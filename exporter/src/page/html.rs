//! The page: one document without outside resources, light and dark, readable on a phone and without eyes.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qdrant_backup_shared::text::visible;
use sha2::{Digest, Sha256};

use super::chart;
use super::escape::{escape, outcome, safe};
use super::explain;
use super::offsite;
use super::parts::{BackupReport, CollectionReport, LastRun, OperationReport};
use super::report::Report;
use super::verdict::{Kind, Severity};
use super::words;

const STYLE: &str = include_str!("style.css");

/// Seconds until the page looks again.
const REFRESH: u32 = 30;

/// Nothing may be loaded, run or framed; only this page's own style counts.
pub fn content_security_policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// The page. The metrics are at `telemetry`.
pub fn html(report: &Report, telemetry: &str) -> String {
    let title = match report.verdict.severity {
        Severity::Fine | Severity::Notice => "Qdrant backups: fine",
        Severity::Warning => "Qdrant backups: warning",
        Severity::Unknown => "Qdrant backups: unknown",
        Severity::Critical => "Qdrant backups: critical",
    };
    let host = report.hostname.as_deref().map(|host| format!(" of {}", safe(host))).unwrap_or_default();
    let body = [
        format!(
            "<header><h1>Qdrant backups{host}</h1><p class=\"soft\">as of <time datetime=\"{}\">{}</time></p></header>",
            report.taken_at.to_rfc3339(),
            words::moment(report.taken_at)
        ),
        format!("<main>{}", verdict(report)),
        collections(report),
        report.last_run.as_ref().map(|run| last_run(run, report)).unwrap_or_default(),
        operations(report),
        offsite::places(report),
        storage(report),
        problems(report),
        explanations(report),
        format!(
            "</main><footer><a href=\"{}\">metrics</a> · <a href=\"/api/v1/status\">JSON</a> · \
             qdrant-backup-exporter {} · looks again every {REFRESH} s</footer>",
            escape(telemetry),
            safe(&report.exporter_version)
        ),
    ]
    .concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"{REFRESH}\"><link rel=\"icon\" href=\"data:,\">\
         <title>{title}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
}

fn verdict(report: &Report) -> String {
    let verdict = &report.verdict;
    let class = match verdict.severity {
        Severity::Fine => "fine",
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Unknown => "unknown",
        Severity::Critical => "critical",
    };
    let mut html = format!(
        "<section class=\"verdict {class}\" role=\"status\" aria-label=\"verdict\"><p>{}</p>",
        safe(&verdict.headline)
    );
    if !verdict.findings.is_empty() {
        html.push_str("<ul>");
        for finding in &verdict.findings {
            let text = if finding.text == verdict.headline { "About this" } else { &finding.text };
            let name = finding.kind.name();
            push(&mut html, format_args!("<li>{}: <a href=\"#{name}\">what this means</a></li>", safe(text)));
        }
        html.push_str("</ul>");
    }
    html + "</section>"
}

fn collections(report: &Report) -> String {
    if report.collections.is_empty() {
        return "<h2>Collections</h2><p>None is known.</p>".to_owned();
    }
    let copies = if report.places.is_empty() { "" } else { "<th scope=\"col\">Copies</th>" };
    let mut html = format!(
        "<h2>Collections</h2><table class=\"cards\"><caption>Each collection's newest backup that can be \
        relied on, and the sizes of the last ones</caption><thead><tr><th scope=\"col\">Collection</th>\
        <th scope=\"col\">Age</th><th scope=\"col\" class=\"number\">Size</th><th scope=\"col\" class=\"number\">Points</th>\
        <th scope=\"col\">Verified</th><th scope=\"col\">Backups</th>{copies}<th scope=\"col\">Sizes</th></tr></thead><tbody>"
    );
    for collection in &report.collections {
        html.push_str(&row(collection, report));
    }
    html + "</tbody></table>"
}

fn row(collection: &CollectionReport, report: &Report) -> String {
    let newest = collection.newest.as_ref();
    let unknown = || "–".to_owned();
    let age = match newest {
        Some(newest) => format!(
            "<time datetime=\"{}\">{}</time><br><span class=\"soft\">{}</span>",
            newest.started_at.to_rfc3339(),
            words::ago(newest.started_at, report.taken_at),
            words::moment(newest.started_at)
        ),
        None => "<span class=\"bad-text\">no good backup</span>".to_owned(),
    };
    let on_server = match collection.on_server {
        Some(true) => "",
        Some(false) => "<br><span class=\"warn-text\">no longer on the server</span>",
        None => "<br><span class=\"soft\">not known whether on the server</span>",
    };
    let failure = collection.failure.as_ref().map(|failure| {
        format!("<br><span class=\"bad-text\">last attempt failed: {}</span>", safe(&failure.message))
    });
    format!(
        "<tr><th scope=\"row\">{}{on_server}{}</th><td data-label=\"Age\">{age}</td>\
         <td data-label=\"Size\" class=\"number\">{}</td><td data-label=\"Points\" class=\"number\">{}</td>\
         <td data-label=\"Verified\">{}</td><td data-label=\"Backups\">{}</td>{}<td data-label=\"Sizes\">{}</td></tr>",
        safe(&visible(collection.collection.as_str())),
        failure.unwrap_or_default(),
        newest.map_or_else(unknown, |newest| words::bytes(newest.size_bytes)),
        newest.and_then(|newest| newest.points).map_or_else(unknown, words::count),
        newest.map_or_else(unknown, |newest| verified(newest, report)),
        backups(collection),
        offsite::cell(collection, report),
        chart::sizes(&collection.history),
    )
}

fn verified(newest: &BackupReport, report: &Report) -> String {
    match (&newest.verified_level, newest.verified_at) {
        (Some(level), Some(at)) => format!(
            "<span class=\"good-text\">{}</span> <span class=\"soft\">{}</span>",
            safe(level.as_str()),
            words::ago(at, report.taken_at)
        ),
        _ => "<span class=\"warn-text\">not verified</span>".to_owned(),
    }
}

fn backups(collection: &CollectionReport) -> String {
    let mut html = format!("{} good", words::count(collection.good_backups));
    for (number, what) in [
        (collection.verification_failed_backups, "failed verification"),
        (collection.incomplete_backups, "incomplete"),
    ] {
        if number > 0 {
            push(
                &mut html,
                format_args!("<br><span class=\"bad-text\">{} {what}</span>", words::count(number)),
            );
        }
    }
    html
}

fn last_run(run: &LastRun, report: &Report) -> String {
    let mut html = format!(
        "<h2>Last run</h2><p>{} ended {} ({}) after {}: {}</p>",
        safe(&run.command),
        words::ago(run.completed_at, report.taken_at),
        words::moment(run.completed_at),
        words::duration(run.duration_seconds),
        outcome(&run.outcome)
    );
    if !run.stages.is_empty() {
        html.push_str(
            "<table><caption>Its stages, all collections together</caption><thead><tr><th scope=\"col\">Stage</th>\
             <th scope=\"col\" class=\"number\">Time</th><th scope=\"col\" class=\"number\">Received</th></tr></thead><tbody>",
        );
        for stage in &run.stages {
            push(
                &mut html,
                format_args!(
                    "<tr><th scope=\"row\">{}: {}</th><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
                    safe(stage.operation.as_str()),
                    safe(stage.stage.as_str()),
                    words::duration(stage.duration_seconds),
                    stage.bytes.map(words::bytes).unwrap_or_default()
                ),
            );
        }
        html.push_str("</tbody></table>");
    }
    html + &list("Warnings of the last run", &run.warnings)
}

fn operations(report: &Report) -> String {
    if report.operations.is_empty() {
        return String::new();
    }
    let mut html = "<h2>Operations</h2><table class=\"cards\"><thead><tr><th scope=\"col\">Operation</th>\
        <th scope=\"col\">Last attempt</th><th scope=\"col\">Last success</th><th scope=\"col\">Ended as</th>\
        <th scope=\"col\" class=\"number\">Runs</th><th scope=\"col\" class=\"number\">Failures</th>\
        <th scope=\"col\">Expected</th></tr></thead><tbody>"
        .to_owned();
    for operation in &report.operations {
        html.push_str(&operation_row(operation, report));
    }
    html + "</tbody></table>"
}

fn operation_row(operation: &OperationReport, report: &Report) -> String {
    let ago = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or_else(|| "never".to_owned(), |at| words::ago(at, report.taken_at))
    };
    format!(
        "<tr><th scope=\"row\">{}</th><td data-label=\"Last attempt\">{}</td><td data-label=\"Last success\">{}</td>\
         <td data-label=\"Ended as\">{}</td><td data-label=\"Runs\" class=\"number\">{}</td>\
         <td data-label=\"Failures\" class=\"number\">{}</td><td data-label=\"Expected\">{}</td></tr>",
        safe(operation.operation.as_str()),
        ago(operation.last_attempt_at),
        ago(operation.last_success_at),
        operation.last_outcome.as_ref().map_or_else(|| "–".to_owned(), outcome),
        words::count(operation.runs_total),
        words::count(operation.failures_total),
        operation.schedule_interval_seconds.map_or_else(
            || "no schedule known".to_owned(),
            |interval| format!("every {}", words::duration(interval))
        )
    )
}

fn storage(report: &Report) -> String {
    let mut html = "<h2>Storage</h2><dl><dt>Free</dt><dd>".to_owned();
    match &report.storage {
        Some(storage) => {
            let percent = |part: u64| u128::from(part) * 100 / u128::from(storage.size_bytes.max(1));
            let free = percent(storage.avail_bytes).min(100);
            push(
                &mut html,
                format_args!(
                    "{} of {} ({free} %)<svg class=\"room\" role=\"img\" aria-label=\"{free} percent free\" viewBox=\"0 0 100 4\" \
                     preserveAspectRatio=\"none\"><rect class=\"room\" width=\"100\" height=\"4\"></rect>\
                     <rect class=\"used\" width=\"{}\" height=\"4\"></rect></svg>",
                    words::bytes(storage.avail_bytes),
                    words::bytes(storage.size_bytes),
                    100 - free
                ),
            );
        }
        None => html.push_str("<span class=\"warn-text\">not known</span>"),
    }
    #[expect(clippy::cast_precision_loss, reason = "shown in days")]
    let retention = report.retention_seconds.map_or_else(
        || "not by age, or not known".to_owned(),
        |seconds| format!("backups are kept for {}", words::duration(seconds as f64)),
    );
    push(&mut html, format_args!("</dd><dt>Retention</dt><dd>{retention}</dd></dl>"));
    html
}

fn problems(report: &Report) -> String {
    list("What cannot be read", &report.problems)
}

/// What each kind of finding means: the links of the verdict lead here, and so to no other server.
fn explanations(report: &Report) -> String {
    let mut kinds: Vec<Kind> = Vec::new();
    for finding in &report.verdict.findings {
        if !kinds.contains(&finding.kind) {
            kinds.push(finding.kind);
        }
    }
    if kinds.is_empty() {
        return String::new();
    }
    let mut html = "<h2>What this means</h2><p class=\"soft\">From docs/exporter.md. With the package, the documents are in \
        /usr/share/doc/qdrant-backup/docs; recovery.md there gets data back.</p>"
        .to_owned();
    for kind in kinds {
        push(&mut html, format_args!("<h3 id=\"{0}\">{0}</h3>", kind.name()));
        for paragraph in explain::paragraphs(kind) {
            push(&mut html, format_args!("<p>{paragraph}</p>"));
        }
    }
    html
}

fn list(title: &str, lines: &[String]) -> String {
    const SHOWN: usize = 20;
    if lines.is_empty() {
        return String::new();
    }
    let mut html = format!("<h2>{title}</h2><ul>");
    for line in lines.iter().take(SHOWN) {
        push(&mut html, format_args!("<li>{}</li>", safe(line)));
    }
    if lines.len() > SHOWN {
        push(&mut html, format_args!("<li>and {} more</li>", lines.len() - SHOWN));
    }
    html + "</ul>"
}

/// Writing to a string cannot fail.
fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).unwrap_or(());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        assert_eq!(escape("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    }

    #[test]
    fn the_policy_allows_only_our_style() {
        let policy = content_security_policy();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"));
    }
}
