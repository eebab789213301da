//! Evaluates a failed drill. Pure functions.

use qdrant_backup_shared::verification::{CheckOutcome, Finding};

use crate::archive::read::ArchiveError;
use crate::restore::RestoreError;

/// Whether the backup is the cause of `error`, not a server or a disk.
pub fn judge(error: &RestoreError) -> (CheckOutcome, Finding) {
    let (outcome, kind) = match error {
        RestoreError::Damaged { .. }
        | RestoreError::Archive(ArchiveError::Missing { .. } | ArchiveError::Corrupt { .. }) => {
            (CheckOutcome::Failed, "archive_corrupt")
        }
        RestoreError::PointsLost { .. } => (CheckOutcome::Failed, "points_missing"),
        RestoreError::PointsDiffer { .. } => (CheckOutcome::Failed, "points_differ"),
        RestoreError::Requires { .. }
        | RestoreError::Unsupported { .. }
        | RestoreError::Archive(ArchiveError::Unsupported { .. }) => {
            (CheckOutcome::Unsupported, "unsupported")
        }
        RestoreError::Shard { cause, .. } => (judge(cause).0, "shard"),
        RestoreError::NeedsShardKeys { .. }
        | RestoreError::NeedsClusterMode { .. }
        | RestoreError::ShardKeysDiffer { .. } => (CheckOutcome::Unsupported, "custom_sharding"),
        RestoreError::Archive(ArchiveError::NotAFile { .. } | ArchiveError::Io { .. })
        | RestoreError::Manifest(_)
        | RestoreError::Readers(_) => (CheckOutcome::Inconclusive, "io"),
        RestoreError::Choice(_)
        | RestoreError::Version(_)
        | RestoreError::TargetExists { .. }
        | RestoreError::TargetExistsByShard { .. }
        | RestoreError::NotAsItWasLeft { .. }
        | RestoreError::NotAsRecorded { .. }
        | RestoreError::Incompatible { .. }
        | RestoreError::TargetIsAlias { .. }
        | RestoreError::TargetIsNoName { .. }
        | RestoreError::TargetIsScratch { .. }
        | RestoreError::TooLarge { .. }
        | RestoreError::SafetyElsewhere { .. }
        | RestoreError::AliasElsewhere { .. }
        | RestoreError::AliasClaimedTwice { .. }
        | RestoreError::AliasIsCollection { .. }
        | RestoreError::LatestIsSafetyBackup { .. }
        | RestoreError::SafetyBackup { .. }
        | RestoreError::Qdrant(_)
        | RestoreError::NotSettled { .. }
        | RestoreError::Internal(_) => (CheckOutcome::Inconclusive, "server"),
    };
    let message = qdrant_backup_shared::text::one_line(&error.to_string());
    (outcome, Finding { kind: kind.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qdrant::Error;

    #[test]
    fn only_the_backups_own_faults_fail_it() {
        let outcome = |error: RestoreError| judge(&error).0;
        assert_eq!(outcome(RestoreError::PointsLost { expected: 2, got: 1 }), CheckOutcome::Failed);
        let damaged = RestoreError::Damaged { file: "x".to_owned(), problem: "y".to_owned() };
        assert_eq!(outcome(damaged), CheckOutcome::Failed);
        let status = Error::Status {
            what: "x".to_owned(),
            status: 500,
            message: "no space".to_owned(),
            retry_after: None,
        };
        assert_eq!(outcome(status.into()), CheckOutcome::Inconclusive);
        assert_eq!(outcome(RestoreError::Requires { what: "x".to_owned() }), CheckOutcome::Unsupported);
        let target = qdrant_backup_shared::CollectionName::new("docs").unwrap();
        let keys = RestoreError::NeedsShardKeys { target, keys: "x".to_owned() };
        assert_eq!(outcome(keys), CheckOutcome::Unsupported);
    }
}
