//! `docs/metrics.md`, from the table.

use super::table::{ALL, Kind};

const INTRODUCTION: &str = "\
# Metrics

Written by `cargo xtask metrics` from the exporter's own table; a test fails when they drift.

Everything is read from the files at each scrape: nothing is counted in the exporter, so a restart loses nothing. Times are Unix
seconds; how old something is, is computed in PromQL. What is unknown is absent, never 0. A backup's time is when it began,
because that is the age of its data; an operation's success is when it ended. `operation` is backup, verify, prune, drill,
restore or offsite; `place` is a place for copies ([offsite.md](offsite.md)) that is configured. The label `collection` is what Qdrant's own metrics call `id`.

## What is shown when something is wrong

| what | `up` | `scrape_collector_success` | the rest |
|---|---|---|---|
| the runner never ran: a repository, and no status file | 1 | 1 | what is on disk |
| the status file is torn, or of a newer version | 0 | 0 for `status` | what is on disk; `unreadable_files` counts the file |
| the backup directory is missing or unreadable, or no repository and without a backup (a disk that is not mounted) | 0 | 0 for `directory`, and for `status` if its file is not there either | what the status says; nothing about backups, not even that there is none |
| `repository.json` is missing or unreadable, and there are backups | 0 | 0 for `directory` | everything |
| a manifest, a verification record, a collection's directory (also a link that leads nowhere) `last_skipped.json` or `last_refused.json` is unreadable | 1 | 1 | everything else; `unreadable_files` counts it and the log names it once. A backup whose record is unreadable counts neither as good nor as verified |
| a look fails by a fault of the exporter | 0, but for `storage` | 0 | what that part last saw; the log has the fault once |
| the disk does not answer in time | 0 | 0 for that part | that part as it was last seen, nothing if it never was |

Files that have not changed are not read again, nor directories listed again, except that every file is looked at at least every
60 s, because a file that is damaged in place leaves its directory as it was.
";

const TABLE: &str = "
## All metrics

| name | type | labels | meaning |
|---|---|---|---|
";

/// The document.
pub fn reference() -> String {
    let mut text = format!("{INTRODUCTION}{TABLE}");
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let labels = metric.labels.join(", ");
        text.push_str(&format!("| `{}` | {kind} | {labels} | {} |\n", metric.name, metric.help));
    }
    text
}
