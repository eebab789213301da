//! Counts that are not exact, or not known: what they say of a restore.

use qdrant_backup_shared::{CollectionName, Manifest, PointsCount};

use super::error::RestoreError;
use crate::qdrant::Client;
use crate::session::Session;

/// What a first count of a restored collection gave.
pub enum Counted {
    /// A number that can be held against the manifest's, point by point.
    Exactly(u64),
    /// Nothing that can, and no reason to call the restore bad.
    Vaguely(Option<PointsCount>),
}

/// Counts `target` and, where the count or the manifest's is only approximate, judges it: such a number bounds nothing, but a
/// collection that is empty or lacks more than half has not come back.
///
/// # Errors
/// [`RestoreError::PointsLost`], and as every request.
pub async fn count(
    session: &mut Session,
    client: &Client,
    target: &CollectionName,
    manifest: &Manifest,
) -> Result<Counted, RestoreError> {
    let got = match client.count(target).await {
        Ok(got) => got,
        Err(error) if error.is_refusal() => {
            session.warn(format!("{error}; whether \"{target}\" has all points was not compared"));
            return Ok(Counted::Vaguely(None));
        }
        Err(error) => return Err(error.into()),
    };
    judge(session, target, manifest, got)
}

/// What `got` says.
///
/// # Errors
/// [`RestoreError::PointsLost`].
pub fn judge(
    session: &mut Session,
    target: &CollectionName,
    manifest: &Manifest,
    got: PointsCount,
) -> Result<Counted, RestoreError> {
    let told = manifest.points_told();
    if got.exact && told.is_none_or(|told| told.exact) {
        return Ok(Counted::Exactly(got.points));
    }
    match told {
        Some(told) if is_gross(told.points, got.points) => {
            Err(RestoreError::PointsLost { expected: told.points, got: got.points })
        }
        Some(told) => {
            session.warn(format!(
                "\"{target}\" has {got} points and the backup {told}: the server does not count exactly, so a small difference would not show"
            ));
            Ok(Counted::Vaguely(Some(got)))
        }
        None => {
            session
                .warn(format!("the backup does not say how many points it has; \"{target}\" has {got} now"));
            Ok(Counted::Vaguely(Some(got)))
        }
    }
}

/// Whether so much is missing that no way of counting explains it.
fn is_gross(expected: u64, got: u64) -> bool {
    got < expected.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_emptiness_and_gross_loss_show_in_approximate_counts() {
        assert!(!is_gross(0, 0) && !is_gross(1000, 990) && !is_gross(1000, 500) && !is_gross(1000, 5000));
        assert!(is_gross(1, 0) && is_gross(1000, 0) && is_gross(1000, 499));
    }
}
