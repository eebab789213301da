//! Which collections a backup is about.

use globset::{Glob, GlobSet};

use super::setting::Setting;

/// Compiled globs over collection names: `*`, `?`, `[a-z]`, `{a,b}`. A `/` is an ordinary character.
#[derive(Debug, Clone)]
pub struct Globs {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Globs {
    /// Compiles globs.
    ///
    /// # Errors
    /// One entry for each glob that is not one: its position in the list and why.
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

    /// No globs: matches nothing.
    pub fn none() -> Self {
        Self { patterns: Vec::new(), set: GlobSet::empty() }
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

/// Globs to include and to exclude.
#[derive(Debug, Clone)]
pub struct Selection {
    /// What to include; `None` is everything.
    pub include: Setting<Option<Globs>>,
    /// What to leave out, even if included.
    pub exclude: Setting<Globs>,
}

impl Selection {
    /// Whether a collection is to be backed up.
    pub fn selects(&self, collection: &str) -> bool {
        let included = self.include.as_ref().is_none_or(|globs| globs.matches(collection));
        included && !self.exclude.matches(collection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: Option<&[&str]>, exclude: &[&str]) -> Selection {
        let globs =
            |list: &[&str]| Globs::compile(list.iter().map(|&glob| glob.to_owned()).collect()).unwrap();
        Selection {
            include: Setting::default_value(include.map(globs)),
            exclude: Setting::default_value(globs(exclude)),
        }
    }

    #[test]
    fn everything_is_selected_unless_excluded() {
        let all = selection(None, &[]);
        for name in ["docs", "", ".hidden", "a/b", "new\nline", "ünïcode"] {
            assert!(all.selects(name), "{name:?}");
        }
        let some = selection(Some(&["wiki_*", "docs"]), &["*_tmp"]);
        assert!(some.selects("docs") && some.selects("wiki_en") && some.selects("wiki_a/b"));
        assert!(!some.selects("docs2") && !some.selects("wiki_tmp") && !some.selects("Docs"));
    }

    #[test]
    fn every_bad_glob_is_named() {
        let refused = Globs::compile(vec!["[a".to_owned(), "ok*".to_owned(), "{b".to_owned()]).unwrap_err();
        assert_eq!(refused.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0, 2]);
        assert!(refused[0].1.starts_with("not a glob: "), "{refused:?}");
    }
}
