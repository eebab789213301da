//! A small picture of the sizes of the last backups: bars, oldest left, as SVG inside the page.

use std::fmt::Write;

use super::escape::escape;
use super::parts::BackupReport;
use super::words;

const HEIGHT: u64 = 32;
const BAR: u64 = 6;
const STEP: u64 = 8;

/// What is elsewhere, as it should be.
const OFFSITE_ONLY: &str = "offsite_only";

fn is_bad(backup: &BackupReport) -> bool {
    !["good", OFFSITE_ONLY].contains(&backup.condition.as_str())
}

/// The picture; nothing for no backups. Its text says what it shows for whoever does not see it.
pub(super) fn sizes(history: &[BackupReport]) -> String {
    let Some(newest) = history.last() else { return String::new() };
    let sizes = || history.iter().map(|backup| backup.size_bytes);
    let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    let bad = history.iter().filter(|backup| is_bad(backup)).count();
    let mut label = format!(
        "sizes of the last {}: from {} to {}, the newest {}",
        words::number_of(history.len(), "backup"),
        words::bytes(least),
        words::bytes(most),
        words::bytes(newest.size_bytes)
    );
    if bad > 0 {
        label.push_str(&format!("; {bad} of them cannot be relied on"));
    }
    let width = STEP * history.len() as u64;
    let mut svg = format!(
        "<svg class=\"sizes\" role=\"img\" aria-label=\"{}\" width=\"{width}\" height=\"{HEIGHT}\" viewBox=\"0 0 {width} {HEIGHT}\">",
        escape(&label)
    );
    for (x, backup) in (0_u64..).step_by(8).zip(history) {
        // At least a line, so that an empty backup is seen too. Halves keep the product in range.
        let share = u128::from(backup.size_bytes) * u128::from(HEIGHT) / u128::from(most.max(1));
        let height = u64::try_from(share).unwrap_or(HEIGHT).clamp(2, HEIGHT);
        let class = if is_bad(backup) { "bad" } else { "good" };
        // Writing to a string cannot fail.
        write!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"{BAR}\" height=\"{height}\"><title>{}: {}{}</title></rect>",
            HEIGHT - height,
            words::moment(backup.started_at),
            words::bytes(backup.size_bytes),
            if class == "bad" {
                ", cannot be relied on"
            } else if backup.condition == OFFSITE_ONLY {
                ", only offsite"
            } else {
                ""
            },
        )
        .unwrap_or(());
    }
    svg.push_str("</svg>");
    svg
}
