//! The API key: read from a file or a variable, never printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Qdrant's API key. Neither `Debug` nor `Display` shows it.
#[derive(Clone)]
pub struct ApiKey(SecretString);

/// Why a text is not a valid API key. Never contains the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// It is empty.
    #[error("the API key is empty")]
    Empty,
    /// A character that HTTP headers do not allow, or that hints at another kind of file.
    #[error("the API key has {what} at position {position}; give only the key, in one line")]
    InvisibleCharacter {
        /// Position in bytes, counted from 1.
        position: usize,
        /// Which kind of character.
        what: &'static str,
    },
    /// Quotes, which only a shell would remove.
    #[error("the API key {0} with a quote, which would be sent as part of it; give the key without quotes")]
    Quoted(&'static str),
    /// A line of an env file where only the key should be.
    #[error("the API key begins with QDRANT_API_KEY, the name of a variable; give only the key")]
    Named,
}

impl ApiKey {
    /// Uses a key as written.
    ///
    /// # Errors
    /// When it is empty, has characters other than visible ASCII, or has extra text around it.
    pub fn new(text: &str) -> Result<Self, ApiKeyError> {
        if text.is_empty() {
            return Err(ApiKeyError::Empty);
        }
        let is_quote = |character: char| matches!(character, '"' | '\'' | '`');
        if let Some((position, odd)) =
            text.char_indices().find(|(_, character)| !character.is_ascii_graphic())
        {
            return Err(ApiKeyError::InvisibleCharacter { position: position + 1, what: kind_of(odd) });
        }
        if text.starts_with(is_quote) || text.ends_with(is_quote) {
            return Err(ApiKeyError::Quoted(if text.starts_with(is_quote) { "begins" } else { "ends" }));
        }
        if text.starts_with("QDRANT_API_KEY") {
            return Err(ApiKeyError::Named);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// Uses the content of a key file, whose last line may end in a newline.
    ///
    /// # Errors
    /// As for [`ApiKey::new`]; a second line is an invisible character.
    pub fn from_file_content(content: &str) -> Result<Self, ApiKeyError> {
        let line = content.strip_suffix('\n').unwrap_or(content);
        Self::new(line.strip_suffix('\r').unwrap_or(line))
    }

    /// The key, only for the request header.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A character that no key has, in words.
fn kind_of(character: char) -> &'static str {
    match character {
        ' ' => "a space",
        '\t' => "a tab",
        '\n' | '\r' => "a line break",
        '\u{feff}' => "a byte order mark",
        _ if character.is_ascii_control() => "a control character",
        _ => "a character outside ASCII",
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
    fn what_a_header_cannot_carry_is_named_without_repeating_the_key() {
        for (content, said) in [
            ("zq 9", "a space at position 3"),
            ("zq9\n\n", "a line break at position 4"),
            ("zq9\nzq9", "a line break at position 4"),
            ("zq9\t", "a tab at position 4"),
            ("zqü9", "a character outside ASCII at position 3"),
            ("zq9\0", "a control character at position 4"),
            (" zq9", "a space at position 1"),
            ("\u{feff}zq9", "a byte order mark at position 1"),
        ] {
            let error = ApiKey::from_file_content(content).unwrap_err().to_string();
            assert!(error.contains(said), "{content:?}: {error}");
            assert!(!error.contains("zq"));
        }
        for content in ["", "\n", "\r\n"] {
            assert_eq!(ApiKey::from_file_content(content).unwrap_err(), ApiKeyError::Empty);
        }
    }

    #[test]
    fn what_stands_around_a_key_is_named_without_repeating_the_key() {
        for (content, said) in [
            ("\"zq9\"\n", "begins with a quote"),
            ("'zq9'", "begins with a quote"),
            ("\"zq9", "begins with a quote"),
            ("zq9'", "ends with a quote"),
            ("QDRANT_API_KEY=zq9\n", "begins with QDRANT_API_KEY, the name of a variable"),
        ] {
            let error = ApiKey::from_file_content(content).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("zq9"), "{content:?}: {error}");
        }
        assert!(ApiKey::new("zq\"9'x").is_ok());
    }

    #[test]
    fn the_key_is_in_neither_debug_nor_display() {
        let key = ApiKey::new("s3cret").unwrap();
        assert_eq!(format!("{key} {key:?} {key:#?}"), "******** ApiKey(********) ApiKey(********)");
    }
}
