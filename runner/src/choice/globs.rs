//! Globs for collection names.

use globset::{Glob, GlobSet};

/// Compiled globs for collection names: `*`, `?`, `[a-z]`, `{a,b}`. A `/` is an ordinary character. An empty list matches
/// nothing.
#[derive(Debug, Clone, Default)]
pub struct Globs {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Globs {
    /// Compiles globs.
    ///
    /// # Errors
    /// One entry for each invalid glob: its position in the list and the reason.
    pub fn compile(patterns: Vec<String>) -> Result<Self, Vec<(usize, String)>> {
        let mut globs = Vec::new();
        let mut refused = Vec::new();
        for (position, pattern) in patterns.iter().enumerate() {
            match Glob::new(pattern) {
                Ok(glob) => globs.push(glob),
                Err(error) => refused.push((position, format!("not a glob: {}", error.kind()))),
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        let set = GlobSet::new(globs).map_err(|error| vec![(0, format!("not a glob: {}", error.kind()))])?;
        Ok(Self { patterns, set })
    }

    /// Compiles one glob.
    ///
    /// # Errors
    /// Why it is invalid.
    pub fn one(pattern: &str) -> Result<Self, String> {
        Self::compile(vec![pattern.to_owned()])
            .map_err(|refused| refused.into_iter().map(|(_, why)| why).collect::<Vec<_>>().join("; "))
    }

    /// A name or a glob from the command line. An invalid glob counts as a name.
    ///
    /// # Errors
    /// Why it is neither.
    pub fn of_name_or_glob(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a collection name cannot be empty".to_owned());
        }
        Self::one(text).or_else(|_| Self::one(&escaped(text)))
    }

    /// The globs as written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether any of the globs matches the whole name.
    pub fn matches(&self, name: &str) -> bool {
        self.set.is_match(name)
    }
}

/// A glob that matches only this text.
fn escaped(text: &str) -> String {
    let escape = |character: char| {
        if "*?[]{}!\\".contains(character) { format!("[{character}]") } else { character.to_string() }
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_glob_is_named() {
        let refused = Globs::compile(vec!["[a".to_owned(), "ok*".to_owned(), "{b".to_owned()]).unwrap_err();
        assert_eq!(refused.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0, 2]);
        assert!(refused[0].1.starts_with("not a glob: "), "{refused:?}");
    }

    #[test]
    fn what_is_no_glob_is_a_name_and_matches_itself_alone() {
        assert!(Globs::one("a[b").is_err());
        let named = Globs::of_name_or_glob("a[b*").unwrap();
        assert!(named.matches("a[b*") && !named.matches("a[bc"));
        assert!(Globs::of_name_or_glob("up-*").unwrap().matches("up-1"));
        assert!(Globs::of_name_or_glob("").is_err());
    }
}
