//! Checks whether a server's version supports a backup of another version. Pure functions.

use crate::qdrant::minor_version;

/// Why it cannot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionSkew {
    /// The backup does not contain its server's version.
    #[error(
        "the backup does not say which version of Qdrant it is from, so it is unknown whether {target} accepts it"
    )]
    Unknown {
        /// The server's version.
        target: String,
    },
    /// A text is not a version.
    #[error("{text:?} cannot be compared as a version of Qdrant")]
    NoVersion {
        /// Version that cannot be read.
        text: String,
    },
    /// Older, or too much newer.
    #[error(
        "the backup is from Qdrant {source_version}, but the server is {target}; Qdrant supports the same or the next minor version"
    )]
    Distance {
        /// The version that the backup is from.
        source_version: String,
        /// The server's version.
        target: String,
    },
}

/// Checks that `target` is the same or the next minor version of `source`, as supported by Qdrant.
///
/// # Errors
/// When it is not, or is unknown.
pub fn check_version(source: Option<&str>, target: &str) -> Result<(), VersionSkew> {
    let source = source.ok_or_else(|| VersionSkew::Unknown { target: target.to_owned() })?;
    let (from, to) = (minor(source)?, minor(target)?);
    if from.0 == to.0 && (to.1 == from.1 || Some(to.1) == from.1.checked_add(1)) {
        return Ok(());
    }
    Err(VersionSkew::Distance { source_version: source.to_owned(), target: target.to_owned() })
}

fn minor(version: &str) -> Result<(u32, u32), VersionSkew> {
    let no_version = || VersionSkew::NoVersion { text: qdrant_backup_shared::text::shortened(version, 40) };
    minor_version(version).ok_or_else(no_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_and_the_next_minor_version_will_do() {
        for target in ["1.18.0", "1.18.3", "1.19.0", "1.19.0-dev", "v1.18.3"] {
            assert_eq!(check_version(Some("1.18.3"), target), Ok(()), "{target}");
        }
        for target in ["1.17.9", "1.20.0", "2.18.3", "0.18.3", "2.19.0"] {
            assert!(
                matches!(check_version(Some("1.18.3"), target), Err(VersionSkew::Distance { .. })),
                "{target}"
            );
        }
        assert!(matches!(check_version(None, "1.18.3"), Err(VersionSkew::Unknown { .. })));
        assert!(matches!(check_version(Some("dev"), "1.18.3"), Err(VersionSkew::NoVersion { .. })));
    }
}
