//! A bar chart of the sizes of the last backups, oldest left, as SVG inside the page.

use maud::{Markup, html};
use qdrant_backup_shared::text::number_of;

use super::parts::BackupReport;
use super::words;

const HEIGHT: u64 = 32;
const BAR: u64 = 6;
const STEP: u64 = 8;

/// The style of a bar, and its description.
fn look(backup: &BackupReport) -> (&'static str, &'static str) {
    match backup.condition.as_str() {
        "good" => ("good", ""),
        "offsite_only" => ("good", ", only offsite"),
        _ => ("bad", ", cannot be relied on"),
    }
}

/// The chart. Empty without backups. Its text alternative describes the same data.
pub(super) fn sizes(history: &[BackupReport]) -> Markup {
    let Some(newest) = history.last() else { return Markup::default() };
    let sizes = || history.iter().map(|backup| backup.size_bytes);
    let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    let bad = history.iter().filter(|backup| look(backup).0 == "bad").count();
    let width = STEP * history.len() as u64;
    // At least a line, so that an empty backup is visible too.
    let height = |size: u64| {
        let share = u128::from(size) * u128::from(HEIGHT) / u128::from(most.max(1));
        u64::try_from(share).unwrap_or(HEIGHT).clamp(2, HEIGHT)
    };
    let label = format!(
        "sizes of the last {}: from {} to {}, the newest {}",
        number_of(history.len(), "backup"),
        words::bytes(least),
        words::bytes(most),
        words::bytes(newest.size_bytes)
    );
    html! {
        svg.sizes role="img" aria-label={ (label) @if bad > 0 { "; " (bad) " of them cannot be relied on" } }
            width=(width) height=(HEIGHT) viewBox={ "0 0 " (width) " " (HEIGHT) } {
            @for (x, backup) in (0..).step_by(8).zip(history) {
                @let (x, (class, remark), height): (u64, _, _) = (x, look(backup), height(backup.size_bytes));
                rect class=(class) x=(x) y=(HEIGHT - height) width=(BAR) height=(height) {
                    title { (words::moment(backup.started_at)) ": " (words::bytes(backup.size_bytes)) (remark) }
                }
            }
        }
    }
}
