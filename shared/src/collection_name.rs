//! Collection names, and their encoding as one safe path component.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

/// Maximum length of a path component for a collection name, in bytes.
pub const COMPONENT_MAX_BYTES: usize = 120;

/// Hexadecimal digits of the name's SHA-256 that end a shortened component.
const HASH_DIGITS: usize = 16;

/// Maximum length of a name from a server, in characters. This is Qdrant's limit.
const LISTED_MAX_CHARS: usize = 255;
/// Number of characters shown of an invalid name.
const SHOWN_MAX_CHARS: usize = 80;

const FILES: &str = "/files";

/// A Qdrant collection's name, as the server gave it.
///
/// Names are untrusted: they may contain spaces, dots, control characters and any script, and Qdrant's own rules have changed
/// over time. Only [`CollectionName::component`] may be used in a path, and only the percent-encoded name in a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct CollectionName(String);

/// A text that is not valid as a collection name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a collection name cannot be empty")]
pub struct EmptyCollectionName;

/// A server lists a collection with a name that Qdrant does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server lists a collection with a name that Qdrant does not allow: {shown}: {why}; is this really Qdrant?"
)]
pub struct ImpossibleName {
    shown: String,
    why: &'static str,
}

impl ImpossibleName {
    /// The name for display: escaped, truncated and quoted.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Placeholder for the collection in reports. Because it is quoted, it cannot match another collection's name.
    pub fn stand_in(&self) -> CollectionName {
        CollectionName(self.shown.clone())
    }
}

impl CollectionName {
    /// The collection with this name.
    ///
    /// # Errors
    /// When `name` is empty.
    pub fn new(name: impl Into<String>) -> Result<Self, EmptyCollectionName> {
        let name = name.into();
        if name.is_empty() { Err(EmptyCollectionName) } else { Ok(Self(name)) }
    }

    /// The collection that a server lists as `name`. Names with a special meaning here, such as [`CollectionName::files`], are
    /// refused.
    ///
    /// # Errors
    /// When Qdrant does not allow this name.
    pub fn listed(name: String) -> Result<Self, ImpossibleName> {
        let Some(why) = Self::flaw(&name) else { return Ok(Self(name)) };
        let shown = format!("\"{}\"", crate::text::shortened(&name, SHOWN_MAX_CHARS));
        Err(ImpossibleName { shown, why })
    }

    /// Why Qdrant cannot have a collection with this name. None if it can.
    pub fn flaw(name: &str) -> Option<&'static str> {
        Some(if name.is_empty() {
            "it is empty"
        } else if matches!(name, "." | "..") {
            "it means a directory"
        } else if name.contains('/') {
            "it has a \"/\""
        } else if name.contains(|character: char| character.is_control() && character != '\t') {
            // Real servers have collections with a tab in their name.
            "it has a control character"
        } else if name.chars().nth(LISTED_MAX_CHARS).is_some() {
            "it is longer than 255 characters"
        } else {
            return None;
        })
    }

    /// Used instead of a collection for backups of configuration files. No collection can have this name, because Qdrant does not
    /// allow `/`.
    pub fn files() -> Self {
        Self(FILES.to_owned())
    }

    /// Whether this is [`CollectionName::files`].
    pub fn is_files(&self) -> bool {
        self.0 == FILES
    }

    /// The name on the server.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a path component of at most [`COMPONENT_MAX_BYTES`] bytes, different for different names. Bytes
    /// outside `[A-Za-z0-9._-]` and a leading dot are percent-encoded. A longer result is truncated and ends in `~`
    /// and 16 hexadecimal digits of the name's SHA-256.
    pub fn component(&self) -> String {
        let mut encoded = String::with_capacity(self.0.len());
        // The start of each encoded byte, so that truncation never splits an escape.
        let mut starts = Vec::with_capacity(self.0.len());
        for (index, byte) in self.0.bytes().enumerate() {
            starts.push(encoded.len());
            let plain =
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && index > 0);
            if plain {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
        if encoded.len() <= COMPONENT_MAX_BYTES {
            return encoded;
        }
        let room = COMPONENT_MAX_BYTES - HASH_DIGITS - 1;
        let cut = starts.into_iter().take_while(|start| *start <= room).last().unwrap_or(0);
        encoded.truncate(cut);
        let hash = hex::encode(Sha256::digest(self.0.as_bytes()));
        encoded.push('~');
        encoded.push_str(&hash[..HASH_DIGITS]);
        encoded
    }
}

/// For messages: control characters escaped, so that a name cannot forge a line.
impl fmt::Display for CollectionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&crate::text::one_line(&self.0))
    }
}

impl<'de> Deserialize<'de> for CollectionName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn component(name: &str) -> String {
        CollectionName::new(name).unwrap().component()
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        assert_eq!(component("mixtral_embeddings"), "mixtral_embeddings");
        assert_eq!(component("a.b-c_D9"), "a.b-c_D9");
    }

    #[test]
    fn hostile_names_become_harmless() {
        assert_eq!(component(".."), "%2E.");
        assert_eq!(component(".hidden"), "%2Ehidden");
        assert_eq!(component("a/b"), "a%2Fb");
        assert_eq!(component("mein Käse~%"), "mein%20K%C3%A4se%7E%25");
    }

    #[test]
    fn a_server_cannot_list_what_qdrant_cannot_have() {
        let long = "ä".repeat(255);
        for name in [
            "docs",
            ".hidden",
            "mein Käse v1.2",
            "...",
            "$(id)",
            "tab\there",
            "a\"b'c",
            "a\\b",
            long.as_str(),
        ] {
            assert_eq!(CollectionName::listed(name.to_owned()).unwrap().as_str(), name);
        }
        let longer = "x".repeat(256);
        let impossible =
            ["", ".", "..", "/files", "a/b", "a\nb", "\u{1b}[2J", "\0", "\u{85}", "\u{7f}", longer.as_str()];
        for name in impossible {
            let error = CollectionName::listed(name.to_owned()).unwrap_err();
            assert!(error.to_string().lines().count() == 1 && error.to_string().len() < 300, "{error}");
            assert!(!error.stand_in().is_files());
            assert!(error.shown().starts_with('"') && error.shown().ends_with('"'));
        }
    }

    #[test]
    fn long_names_are_cut_and_told_apart_by_their_hash() {
        let one = component(&"ä".repeat(200));
        let other = component(&format!("{}b", "ä".repeat(200)));
        assert!(one.len() <= COMPONENT_MAX_BYTES && other.len() <= COMPONENT_MAX_BYTES);
        assert_ne!(one, other);
        assert_eq!(one.matches('~').count(), 1);
        let (prefix, hash) = one.split_once('~').unwrap();
        assert_eq!(prefix.len() % 3, 0, "no escape is split: {prefix}");
        assert_eq!(hash.len(), HASH_DIGITS);
    }

    proptest! {
        #[test]
        fn any_name_maps_to_a_safe_component(name in ".{1,300}") {
            let component = component(&name);
            prop_assert!(!component.is_empty() && component.len() <= COMPONENT_MAX_BYTES);
            prop_assert!(!component.starts_with('.'));
            prop_assert!(component.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-%~".contains(&b)));
        }

        #[test]
        fn different_names_map_to_different_components(a in ".{1,200}", b in ".{1,200}") {
            prop_assert_eq!(a == b, component(&a) == component(&b));
        }

        #[test]
        fn near_names_map_to_different_components(stem in "[a-z%~.]{100,130}", a in "[a-z%~./ ]{0,3}", b in "[a-z%~./ ]{0,3}") {
            let (a, b) = (format!("{stem}{a}"), format!("{stem}{b}"));
            prop_assert_eq!(a == b, component(&a) == component(&b));
        }
    }
}
