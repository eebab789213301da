//! Counts the restored points and evaluates the number. The archive has the right digest and the collection is ready, so a count
//! alone is only a failure if it is far too small, or differs from an earlier restore of the same backup.

use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::manifest::Source;
use qdrant_backup_shared::operation::Operation;
use qdrant_backup_shared::verification::RestoredPoints;
use qdrant_backup_shared::{CollectionName, PointsCount};

use super::error::RestoreError;
use super::order::Put;
use crate::qdrant::{Client, Error};
use crate::session::Session;
use crate::verify;

/// A count may be wrong for a moment: number of equal unexpected counts in a row that are needed.
const SAME: u32 = 5;
/// Maximum number of counts.
const LOOKS: u32 = 20;
/// So few points may be missing where the number was the same before and after, or a tenth: points that were being replaced.
const FEW: u64 = 16;
const BETWEEN_COUNTS: Duration = Duration::from_millis(300);

/// The points in a restored collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The number of points, if the server reports it.
    pub points: Option<PointsCount>,
    /// Why the number is uncertain, as a sentence.
    pub doubt: Option<String>,
}

impl Counted {
    /// The number of points, if it is exact.
    pub fn exactly(&self) -> Option<u64> {
        self.points.filter(|count| count.exact).map(|count| count.points)
    }
}

/// Evaluation of a number of points.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It is correct.
    Fits,
    /// It differs, but that proves nothing.
    Doubtful(String),
    /// Most points are missing.
    Lost { expected: u64 },
    /// An earlier restore of the same backup found another number.
    Differs { found: u64, at: DateTime<Utc> },
}

/// A count, and the numbers to compare with.
struct Finding<'a> {
    got: PointsCount,
    /// Whether it was stable.
    steady: bool,
    by: Operation,
    source: &'a Source,
    known: Option<&'a RestoredPoints>,
}

/// Counts the points of the target. The first number for a backup is stored in its verification record, and later restores are
/// compared with it. `caught_up` is whether the server has processed everything.
///
/// # Errors
/// [`RestoreError::PointsLost`], [`RestoreError::PointsDiffer`], and as every request.
pub async fn count(
    session: &mut Session,
    client: &Client,
    put: &Put<'_>,
    caught_up: bool,
) -> Result<Counted, RestoreError> {
    let source = &put.manifest.source;
    let counted = steady_count(session, client, put.target, |got| expected(got, source, put.known)).await;
    let (got, still) = match counted {
        Err(error) if error.is_refusal() => {
            let doubt = format!("{error}; the number of points in \"{}\" was not checked", put.target);
            session.warn(&doubt);
            return Ok(Counted { points: None, doubt: Some(doubt) });
        }
        other => other?,
    };
    let finding = Finding { got, steady: still && caught_up, by: put.by.clone(), source, known: put.known };
    let points = got.points;
    let doubt = match judge(&finding) {
        Verdict::Fits => None,
        Verdict::Doubtful(doubt) => Some(doubt),
        Verdict::Lost { expected } => return Err(RestoreError::PointsLost { expected, got: points }),
        Verdict::Differs { found, at } => return Err(RestoreError::PointsDiffer { found, at, got: points }),
    };
    if finding.is_to_be_noted() {
        let points =
            RestoredPoints { count: points, at: session.now(), by: put.by.clone(), sample_matched_at: None };
        // A user with only read access to the backups can still restore them.
        if let Err(error) = verify::note_points(session.layout(), put.manifest, points) {
            session.warn(format!("{error}; later restores will not be compared with this one"));
        }
    }
    if let Some(doubt) = &doubt {
        session.warn(format!("\"{}\": {doubt}", put.target));
    }
    Ok(Counted { points: Some(got), doubt })
}

/// The number of points, and whether it is `expected` or at least stable.
async fn steady_count(
    session: &mut Session,
    client: &Client,
    target: &CollectionName,
    expected: impl Fn(u64) -> bool,
) -> Result<(PointsCount, bool), Error> {
    let mut got = client.while_it_lives(|| session.heartbeat(), client.count(target)).await?;
    let mut same = 1;
    for _ in 1..LOOKS {
        if !got.exact || expected(got.points) || same == SAME {
            break;
        }
        client.pause(BETWEEN_COUNTS).await?;
        let next = client.while_it_lives(|| session.heartbeat(), client.count(target)).await?;
        same = if next == got { same + 1 } else { 1 };
        got = next;
    }
    Ok((got, got.exact && (expected(got.points) || same == SAME)))
}

/// Whether no second count is needed.
fn expected(got: u64, source: &Source, known: Option<&RestoredPoints>) -> bool {
    match known {
        Some(known) => got == known.count,
        None => source.points_count_before == Some(got) && source.points_count_after == Some(got),
    }
}

fn judge(finding: &Finding<'_>) -> Verdict {
    let Finding { got, steady, source, .. } = *finding;
    if !got.exact {
        return judge_about(finding);
    }
    let got = got.points;
    let counts = [source.points_count_before, source.points_count_after];
    let (least, most) = (counts.into_iter().flatten().min(), counts.into_iter().flatten().max());
    let within = least.is_some_and(|least| least <= got) && most.is_some_and(|most| got <= most);
    if let Some(known) = finding.known {
        if got == known.count || finding.corrects(known, within) {
            return Verdict::Fits;
        }
        if !steady && got >= known.count.div_ceil(2) {
            return Verdict::Doubtful(format!(
                "it has {got} points now, but an earlier restore of this backup had {}: it is being written \
                 to, or the server has not processed everything yet",
                known.count
            ));
        }
        return Verdict::Differs { found: known.count, at: known.at };
    }
    let Some(least) = least else { return judge_about(finding) };
    // The number changes by half during a snapshot only if the collection is emptied and refilled, and hardly at all if it is the
    // same before and after.
    let fewest = if counts[0] == counts[1] { least.saturating_sub((least / 10).max(FEW)) } else { 0 };
    if got < fewest.max(least.div_ceil(2)) {
        return Verdict::Lost { expected: least };
    }
    if within {
        return Verdict::Fits;
    }
    let shown = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let [before, after] = counts.map(shown);
    let words = if got < least {
        "unless it was being written to then, points are missing"
    } else {
        "it was being written to then, or has been since"
    };
    Verdict::Doubtful(format!(
        "it has {got} points; the counts were {before} before the snapshot and {after} after it: {words}"
    ))
}

/// Evaluation with an approximate number: it is not a limit, but a collection that is empty or lacks more than half was not
/// restored.
fn judge_about(finding: &Finding<'_>) -> Verdict {
    let Finding { got, source, .. } = *finding;
    let counts = [source.points_count_before, source.points_count_after];
    let exact = finding.known.map(|known| known.count).or(counts.into_iter().flatten().min());
    let told = exact.map(PointsCount::exact);
    match told.or(source.points_count_approximate.map(PointsCount::approximate)) {
        Some(told) if got.points < told.points.div_ceil(2) => Verdict::Lost { expected: told.points },
        Some(told) => Verdict::Doubtful(format!(
            "it has {got} points, and the backup has {told}: the server does not count exactly, so a small difference would not show"
        )),
        None => Verdict::Doubtful(format!(
            "it has {got} points, but the backup does not say how many it must have"
        )),
    }
}

impl Finding<'_> {
    /// Whether this is the right number and `known` is not, because `known` was found in a collection that others may write to,
    /// and does not match the counts.
    fn corrects(&self, known: &RestoredPoints, within: bool) -> bool {
        let counts = [self.source.points_count_before, self.source.points_count_after];
        let fitted = counts.iter().flatten().min().is_some_and(|least| *least <= known.count)
            && counts.iter().flatten().max().is_some_and(|most| known.count <= *most);
        self.by == Operation::Drill && known.by != Operation::Drill && self.steady && within && !fitted
    }

    /// Whether later restores are compared with this number.
    fn is_to_be_noted(&self) -> bool {
        self.steady && self.known.is_none_or(|known| known.count != self.got.points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(before: Option<u64>, after: Option<u64>) -> Source {
        Source { points_count_before: before, points_count_after: after, ..Source::default() }
    }

    fn found(by: Operation, count: u64) -> RestoredPoints {
        RestoredPoints { count, at: "2025-07-15T14:30:00Z".parse().unwrap(), by, sample_matched_at: None }
    }

    fn first(before: u64, after: u64, got: u64) -> Verdict {
        let source = source(Some(before), Some(after));
        judge(&Finding {
            got: PointsCount::exact(got),
            steady: true,
            by: Operation::Restore,
            source: &source,
            known: None,
        })
    }

    #[test]
    fn a_first_number_within_the_counts_fits_and_another_one_is_told_in_numbers() {
        for got in [900, 950, 1000] {
            assert_eq!(first(1000, 900, got), Verdict::Fits);
        }
        let Verdict::Doubtful(words) = first(1000, 1000, 900) else { panic!("no doubt") };
        assert!(
            words.contains("900 points; the counts were 1000 before the snapshot and 1000 after"),
            "{words}"
        );
        assert!(matches!(first(1000, 1000, 1100), Verdict::Doubtful(_)), "more are nothing lost");
        assert!(matches!(first(0, 0, 5), Verdict::Doubtful(_)));
        assert_eq!(first(0, 0, 0), Verdict::Fits);
    }

    #[test]
    fn less_than_half_is_a_loss() {
        assert!(matches!(first(1000, 1200, 500), Verdict::Doubtful(_)));
        assert_eq!(first(1000, 1200, 499), Verdict::Lost { expected: 1000 });
        assert_eq!(first(1, 1, 0), Verdict::Lost { expected: 1 });
        assert_eq!(first(3, 3, 1), Verdict::Lost { expected: 3 });
        assert_eq!(first(1000, 1000, 899), Verdict::Lost { expected: 1000 }, "the number did not change");
        assert!(matches!(first(1000, 1001, 899), Verdict::Doubtful(_)));
        assert!(matches!(first(30, 30, 15), Verdict::Doubtful(_)), "few points may have been replaced");
        assert_eq!(first(5, 0, 0), Verdict::Fits, "it was emptied, or filled, meanwhile");
    }

    #[test]
    fn the_number_that_was_found_first_is_the_truth() {
        let source = source(Some(1000), Some(1000));
        let judged = |known: &RestoredPoints, by: Operation, got, steady| {
            judge(&Finding { got: PointsCount::exact(got), steady, by, source: &source, known: Some(known) })
        };
        let known = found(Operation::Drill, 900);
        assert_eq!(judged(&known, Operation::Restore, 900, true), Verdict::Fits);
        for got in [0, 899, 901, 1000] {
            let differs = Verdict::Differs { found: 900, at: known.at };
            assert_eq!(judged(&known, Operation::Restore, got, true), differs, "{got}");
            assert_eq!(judged(&known, Operation::Drill, got, true), differs, "{got}");
        }
        assert!(matches!(judged(&known, Operation::Restore, 905, false), Verdict::Doubtful(_)), "it moves");
        assert!(matches!(judged(&known, Operation::Restore, 100, false), Verdict::Differs { .. }));
    }

    #[test]
    fn a_drill_corrects_what_a_restore_found_in_a_collection_that_others_write_to() {
        let source = source(Some(1000), Some(1000));
        let finding = |known: &RestoredPoints, by, got| {
            let got = PointsCount::exact(got);
            let finding = Finding { got, steady: true, by, source: &source, known: Some(known) };
            (judge(&finding), finding.is_to_be_noted())
        };
        let written_to = found(Operation::Restore, 1003);
        assert_eq!(finding(&written_to, Operation::Drill, 1000), (Verdict::Fits, true));
        assert!(matches!(finding(&written_to, Operation::Restore, 1000).0, Verdict::Differs { .. }));
        assert!(matches!(finding(&written_to, Operation::Drill, 999).0, Verdict::Differs { .. }));
        assert!(matches!(
            finding(&found(Operation::Drill, 1003), Operation::Drill, 1000).0,
            Verdict::Differs { .. }
        ));
    }

    #[test]
    fn only_a_number_that_stands_still_is_noted() {
        let source = source(Some(10), Some(12));
        let noted = |steady, known: Option<&RestoredPoints>| {
            let finding =
                Finding { got: PointsCount::exact(11), steady, by: Operation::Drill, source: &source, known };
            finding.is_to_be_noted()
        };
        assert!(noted(true, None) && !noted(false, None));
        assert!(!noted(true, Some(&found(Operation::Drill, 11))));
    }

    #[test]
    fn only_emptiness_and_gross_loss_show_in_approximate_counts() {
        let judged = |source: &Source, got, known: Option<&RestoredPoints>| {
            judge(&Finding { got, steady: false, by: Operation::Restore, source, known })
        };
        let counted = source(Some(1000), Some(1000));
        let about = Source { points_count_approximate: Some(1000), ..Source::default() };
        for got in [500, 990, 5000].map(PointsCount::approximate) {
            assert!(matches!(judged(&counted, got, None), Verdict::Doubtful(_)), "{got}");
            assert!(matches!(judged(&about, got, None), Verdict::Doubtful(_)), "{got}");
            let known = found(Operation::Drill, 1000);
            assert!(matches!(judged(&counted, got, Some(&known)), Verdict::Doubtful(_)), "{got}");
        }
        for got in [0, 499].map(PointsCount::approximate) {
            assert_eq!(judged(&counted, got, None), Verdict::Lost { expected: 1000 }, "{got}");
            assert_eq!(judged(&about, got, None), Verdict::Lost { expected: 1000 }, "{got}");
        }
        assert_eq!(judged(&about, PointsCount::exact(499), None), Verdict::Lost { expected: 1000 });
        assert!(matches!(judged(&about, PointsCount::exact(990), None), Verdict::Doubtful(_)));
        assert!(matches!(judged(&source(None, None), PointsCount::exact(0), None), Verdict::Doubtful(_)));
    }
}
