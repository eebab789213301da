//! Versions of Qdrant, as far as they are compared.

/// Major and minor number of a server's version, as in `1.18.3` or `v1.19.0-dev`; nothing of what is no version.
pub fn minor_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().ok());
    parts.next().flatten().zip(parts.next().flatten())
}
