//! Selection of collections.

use qdrant_backup_shared::CollectionName;

use super::globs::Globs;

/// Selects collections: those given by name, otherwise those that match globs, otherwise all.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    named: Vec<CollectionName>,
    /// Included collections. `None` means all.
    include: Option<Globs>,
    /// Excluded collections, even if included.
    exclude: Globs,
}

impl Selection {
    /// Collections that match `include` (`None` means all) and not `exclude`.
    pub fn by_globs(include: Option<Globs>, exclude: Globs) -> Self {
        Self { named: Vec::new(), include, exclude }
    }

    /// These collections. All, if the list is empty.
    pub fn by_names(names: Vec<CollectionName>) -> Self {
        Self::default().naming(names)
    }

    /// The same globs with `names`, which take precedence.
    #[must_use]
    pub fn naming(mut self, names: Vec<CollectionName>) -> Self {
        self.named.clear();
        for name in names {
            if !self.named.contains(&name) {
                self.named.push(name);
            }
        }
        self
    }

    /// Whether collections were given by name.
    pub fn is_named(&self) -> bool {
        !self.named.is_empty()
    }

    /// The collections given by name, if any.
    pub fn names(&self) -> &[CollectionName] {
        &self.named
    }

    /// Whether the globs select a collection, regardless of names.
    pub fn selects(&self, collection: &str) -> bool {
        let included = self.include.as_ref().is_none_or(|globs| globs.matches(collection));
        included && !self.exclude.matches(collection)
    }

    /// The included names that are not globs.
    pub fn included_names(&self) -> impl Iterator<Item = &str> {
        let patterns = self.include.iter().flat_map(Globs::patterns).map(String::as_str);
        patterns.filter(|pattern| !pattern.contains(['*', '?', '[', '{', '\\']))
    }

    /// Whether a collection is selected.
    pub fn includes(&self, collection: &CollectionName) -> bool {
        if self.is_named() { self.named.contains(collection) } else { self.selects(collection.as_str()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: Option<&[&str]>, exclude: &[&str]) -> Selection {
        let globs =
            |list: &[&str]| Globs::compile(list.iter().map(|&glob| glob.to_owned()).collect()).unwrap();
        Selection::by_globs(include.map(globs), globs(exclude))
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
    fn what_is_named_goes_before_the_globs() {
        let name = |text: &str| CollectionName::new(text).unwrap();
        let globs = selection(Some(&["wiki_*"]), &[]);
        assert!(globs.includes(&name("wiki_en")) && !globs.includes(&name("docs")));
        let named = globs.naming(vec![name("docs"), name("docs")]);
        assert_eq!(named.names(), [name("docs")]);
        assert!(named.includes(&name("docs")) && !named.includes(&name("wiki_en")));
        assert!(named.selects("wiki_en"), "the configuration still selects it");
        assert!(Selection::by_names(Vec::new()).includes(&name("any")));
    }
}
