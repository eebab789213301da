//! Names of the scratch collections that drills use.

use crate::collection_name::CollectionName;

const MARK: &str = "__drill_";
/// Number of digits that identify the repository, and of those that identify the drill.
const DIGITS: usize = 8;
/// Qdrant's limit for a name, in bytes.
const NAME_MAX_BYTES: usize = 255;

/// The name for a scratch collection of `collection`: `<collection>__drill_<repository><drill>`, eight hexadecimal digits
/// each, taken from the two UUIDs. A long name is cut.
pub fn scratch_name(collection: &CollectionName, repository_id: &str, drill_id: &str) -> CollectionName {
    let suffix = format!("{MARK}{}{}", digits(repository_id), digits(drill_id));
    let mut stem = collection.as_str();
    while stem.len() + suffix.len() > NAME_MAX_BYTES {
        let cut = stem.char_indices().next_back().map_or(0, |(start, _)| start);
        stem = &stem[..cut];
    }
    CollectionName::new(format!("{stem}{suffix}")).unwrap_or_else(|_| collection.clone())
}

/// Whether this is the name of a scratch collection of any repository.
pub fn is_scratch(name: &str) -> bool {
    id(name).is_some()
}

/// Whether this is the name of a scratch collection of this repository, left by an interrupted drill. Those of other repositories
/// may be in use.
pub fn is_scratch_of(name: &str, repository_id: &str) -> bool {
    id(name).is_some_and(|id| id.starts_with(&digits(repository_id)))
}

fn id(name: &str) -> Option<&str> {
    let (_, id) = name.rsplit_once(MARK)?;
    let hexadecimal = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (id.len() == 2 * DIGITS && hexadecimal).then_some(id)
}

/// The first digits of a UUID.
fn digits(uuid: &str) -> String {
    let mut digits: String =
        uuid.chars().filter(char::is_ascii_hexdigit).take(DIGITS).collect::<String>().to_lowercase();
    while digits.len() < DIGITS {
        digits.push('0');
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPOSITORY: &str = "0f3a9c21-1111-4222-8333-444455556666";
    const DRILL: &str = "ABCDEF01-1111-4222-8333-444455556666";

    #[test]
    fn scratch_names_are_recognised_and_no_others() {
        let docs = CollectionName::new("docs").unwrap();
        let name = scratch_name(&docs, REPOSITORY, DRILL);
        assert_eq!(name.as_str(), "docs__drill_0f3a9c21abcdef01");
        assert!(is_scratch(name.as_str()) && is_scratch_of(name.as_str(), REPOSITORY));
        assert!(!is_scratch_of(name.as_str(), DRILL), "of another repository");
        for other in [
            "docs",
            "docs__drill_",
            "docs__drill_0f3a9c21",
            "docs__drill_0f3a9c21abcdef0g",
            "docs__drill_0F3A9C21ABCDEF01",
        ] {
            assert!(!is_scratch(other), "{other}");
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let long = CollectionName::new("ä".repeat(127)).unwrap();
        let name = scratch_name(&long, REPOSITORY, DRILL);
        assert!(name.as_str().len() <= NAME_MAX_BYTES && is_scratch(name.as_str()));
    }
}
