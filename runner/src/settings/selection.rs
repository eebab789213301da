//! Which collections a backup is about.

use globset::{Glob, GlobSet};
use qdrant_backup_shared::config_file::keys::{EXCLUDE, INCLUDE, INCLUDE_FILES};
use qdrant_backup_shared::config_file::{Knob, Located};
use serde_json::json;

use super::layers::Layers;

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
    pub include: Option<Globs>,
    /// What to leave out, even if included.
    pub exclude: Globs,
}

impl Selection {
    /// Compiles the globs; what is wrong with one is a problem on its own line.
    pub(super) fn choose(layers: &mut Layers<'_>) -> Self {
        if let Some(include) = layers.config.get(&INCLUDE).filter(|include| include.value.is_empty()) {
            let source = layers.config_source(INCLUDE.key(), include.line);
            layers.problems.push(
                source.problem("an empty list includes nothing; remove the line to include everything"),
            );
        }
        let include = choose_globs(layers, &INCLUDE);
        if include.is_none() {
            layers.values.show(INCLUDE.key(), json!(["*"]));
        }
        let exclude = choose_globs(layers, &EXCLUDE).unwrap_or_else(Globs::none);
        Self { include, exclude }
    }

    /// Whether a collection is to be backed up.
    pub fn selects(&self, collection: &str) -> bool {
        let included = self.include.as_ref().is_none_or(|globs| globs.matches(collection));
        included && !self.exclude.matches(collection)
    }
}

fn choose_globs(layers: &mut Layers<'_>, knob: &Knob<Vec<Located<String>>>) -> Option<Globs> {
    let located = layers.config.get(knob)?;
    match Globs::compile(located.value.iter().map(|pattern| pattern.value.clone()).collect()) {
        Ok(globs) => Some(globs),
        Err(refused) => {
            for (position, reason) in refused {
                let line = located.value.get(position).map_or(located.line, |pattern| pattern.line);
                let source = layers.config_source(knob.key(), line);
                layers.problems.push(source.problem(reason));
            }
            None
        }
    }
}

/// What is wrong with the patterns of files to back up besides the collections, each on its line.
pub(super) fn check_include_files(layers: &mut Layers<'_>) {
    for pattern in layers.values.get(&INCLUDE_FILES) {
        let problem = if !pattern.value.starts_with('/') {
            Some("not an absolute path".to_owned())
        } else {
            glob::Pattern::new(&pattern.value).err().map(|error| format!("not a glob: {}", error.msg))
        };
        if let Some(problem) = problem {
            let source = layers.config_source(INCLUDE_FILES.key(), pattern.line);
            layers.problems.push(source.problem(problem));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: Option<&[&str]>, exclude: &[&str]) -> Selection {
        let globs =
            |list: &[&str]| Globs::compile(list.iter().map(|&glob| glob.to_owned()).collect()).unwrap();
        Selection { include: include.map(globs), exclude: globs(exclude) }
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
