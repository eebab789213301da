//! The API key: read from a file or a variable, kept out of every output.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Qdrant's API key. Neither `Debug` nor `Display` shows it.
#[derive(Clone)]
pub struct ApiKey(SecretString);

/// Why something cannot be an API key. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Nothing there.
    #[error("the API key is empty")]
    Empty,
    /// A character that an HTTP header cannot carry, or that hints at another kind of file.
    #[error(
        "the API key has a space, a control character or a character outside ASCII at position {position}"
    )]
    InvisibleCharacter {
        /// Position in bytes, counted from 1.
        position: usize,
    },
}

impl ApiKey {
    /// Takes a key as it stands.
    ///
    /// # Errors
    /// Empty, or not only visible ASCII.
    pub fn new(text: &str) -> Result<Self, ApiKeyError> {
        if text.is_empty() {
            return Err(ApiKeyError::Empty);
        }
        match text.bytes().position(|byte| !byte.is_ascii_graphic()) {
            Some(position) => Err(ApiKeyError::InvisibleCharacter { position: position + 1 }),
            None => Ok(Self(SecretString::from(text))),
        }
    }

    /// Takes the content of a key file, whose last line may end in a newline.
    ///
    /// # Errors
    /// As for [`ApiKey::new`]; a second line is an invisible character.
    pub fn from_file_content(content: &str) -> Result<Self, ApiKeyError> {
        let line = content.strip_suffix('\n').unwrap_or(content);
        Self::new(line.strip_suffix('\r').unwrap_or(line))
    }

    /// The key itself, for the request header and nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(********)")
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_newline_is_not_part_of_the_key() {
        for content in ["key-1", "key-1\n", "key-1\r\n"] {
            assert_eq!(ApiKey::from_file_content(content).unwrap().expose(), "key-1");
        }
    }

    #[test]
    fn what_a_header_cannot_carry_is_refused_without_being_repeated() {
        for content in ["zq 9", "zq9\n\n", "zq9\nzq9", "zq9\t", "zqü9", "zq9\0", " zq9", "\u{feff}zq9"] {
            let error = ApiKey::from_file_content(content).unwrap_err();
            assert!(matches!(error, ApiKeyError::InvisibleCharacter { .. }), "{content:?}");
            assert!(!error.to_string().contains("zq"));
        }
        for content in ["", "\n", "\r\n"] {
            assert_eq!(ApiKey::from_file_content(content).unwrap_err(), ApiKeyError::Empty);
        }
    }

    #[test]
    fn the_key_is_in_neither_debug_nor_display() {
        let key = ApiKey::new("s3cret").unwrap();
        assert_eq!(format!("{key} {key:?} {key:#?}"), "******** ApiKey(********) ApiKey(********)");
    }
}
