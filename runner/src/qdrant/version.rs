//! Compares versions of Qdrant.

/// Major and minor number of a server's version, such as `1.18.3` or `v1.19.0-dev`. None if it is not a version.
pub fn minor_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().ok());
    parts.next().flatten().zip(parts.next().flatten())
}
