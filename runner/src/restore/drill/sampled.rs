//! Evaluates sampled points that differ from the backup. Pure functions.
//!
//! The samples were read before and after the snapshot, not from it. If the collection is being written to, a point
//! can be deleted or changed and restored in between, so a few differences prove nothing.

use qdrant_backup_shared::manifest::Source;

use crate::qdrant::sample::{Mismatch, POINTS};

/// The comparison of a sample with a restored collection.
#[derive(Debug, Clone, Copy)]
pub struct Sampled<'a> {
    /// How many points were sampled.
    pub sampled: usize,
    /// The points that differ.
    pub mismatches: &'a [Mismatch],
    /// The number of restored points, if it is exact.
    pub restored: Option<u64>,
    /// The counts from the time of the backup.
    pub source: &'a Source,
    /// Whether all of them matched in an earlier drill of the same backup.
    pub matched_before: bool,
}

impl Sampled<'_> {
    /// Whether the backup is bad: the mismatches cannot be caused by writes at that time.
    pub fn condemns(&self) -> bool {
        if self.mismatches.is_empty() {
            return false;
        }
        if self.matched_before || self.was_still() {
            return true;
        }
        let missing = self.missing();
        let differing = self.mismatches.len() - missing;
        // Points that the count lacks too were deleted at that moment. The count is evaluated separately.
        let unexplained = missing.saturating_sub(self.lacking());
        2 * (differing + unexplained) > self.sampled
    }

    /// The finding as a sentence, if it proves nothing.
    pub fn words(&self) -> String {
        let missing = self.missing();
        format!(
            "{} of {} sampled points differ from those read before the backup ({missing} missing, {} \
             different); the collection was being written to, so this proves nothing",
            self.mismatches.len(),
            self.sampled,
            self.mismatches.len() - missing
        )
    }

    /// Whether there is no sign of writes: both counts and the restored one are the same, and every
    /// point that was seen before the snapshot was there and the same after it.
    fn was_still(&self) -> bool {
        let Some(restored) = self.restored else { return false };
        let all = usize::try_from(restored).map_or(POINTS, |count| count.min(POINTS));
        [self.source.points_count_before, self.source.points_count_after] == [Some(restored); 2]
            && self.sampled == all
    }

    /// Number of missing points, compared with the count.
    fn lacking(&self) -> usize {
        let counts = [self.source.points_count_before, self.source.points_count_after];
        let least = counts.into_iter().flatten().min().unwrap_or(0);
        let lacking = self.restored.map_or(0, |restored| least.saturating_sub(restored));
        usize::try_from(lacking).unwrap_or(usize::MAX)
    }

    fn missing(&self) -> usize {
        self.mismatches.iter().filter(|mismatch| matches!(mismatch, Mismatch::Missing { .. })).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condemns(counts: (u64, u64, u64), sampled: usize, missing: usize, differing: usize) -> bool {
        let (before, after, restored) = counts;
        let source = Source {
            points_count_before: Some(before),
            points_count_after: Some(after),
            ..Source::default()
        };
        let id = || "1".to_owned();
        let mut mismatches = vec![Mismatch::Missing { id: id() }; missing];
        mismatches.extend(vec![Mismatch::Differs { id: id() }; differing]);
        let found = Sampled {
            sampled,
            mismatches: &mismatches,
            restored: Some(restored),
            source: &source,
            matched_before: false,
        };
        assert!(mismatches.is_empty() || Sampled { matched_before: true, ..found }.condemns());
        found.condemns()
    }

    #[test]
    fn one_point_condemns_where_nothing_was_written() {
        assert!(condemns((1000, 1000, 1000), 16, 0, 1));
        assert!(condemns((1000, 1000, 1000), 16, 1, 0));
        assert!(condemns((3, 3, 3), 3, 0, 1));
        assert!(!condemns((3, 3, 3), 3, 0, 0));
    }

    #[test]
    fn a_few_points_prove_nothing_where_something_was_written() {
        assert!(!condemns((1000, 1000, 900), 16, 3, 2), "another number was restored");
        assert!(!condemns((1000, 1010, 1000), 16, 1, 1), "another number was counted");
        assert!(!condemns((1000, 1000, 1000), 15, 1, 1), "a sampled point was changed meanwhile");
        assert!(!condemns((1000, 1000, 980), 16, 16, 0), "deleted and put back: the count lacks them too");
    }

    #[test]
    fn most_of_the_sample_condemns_whoever_was_writing() {
        assert!(condemns((1000, 1000, 900), 16, 0, 9));
        assert!(condemns((1000, 1010, 1000), 16, 16, 0));
        assert!(condemns((1000, 1000, 995), 16, 14, 0), "five of them are explained");
        assert!(!condemns((1000, 1010, 1000), 16, 4, 4));
    }
}
