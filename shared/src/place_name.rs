//! Valid names for offsite places.

/// Maximum length of a name, in characters.
const NAME_MAX: usize = 32;

/// Whether this is a valid name. It is used in file names, restic tags and metrics.
pub fn is_place_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['-', '_'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_places_are_plain() {
        for good in ["s3", "nas", "b2-eu_1", "0"] {
            assert!(is_place_name(good), "{good}");
        }
        for bad in ["", "S3", "a b", "a,b", "-a", "../x", "ä", &"a".repeat(33)] {
            assert!(!is_place_name(bad), "{bad}");
        }
    }
}
