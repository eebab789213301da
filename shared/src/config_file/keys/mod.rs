//! All settings: one declaration each, in the order of the documentation.
//!
//! To add a setting, add a declaration here and its line in the list of its section. Code reads it from the settings by this
//! declaration. Parsing, layers, options, `config show`, "did you mean" and the documentation all use this table.

mod backup;
mod offsite;
mod overrides;
mod retention;
mod rules;
mod runs;
mod server;

pub use self::backup::*;
pub use self::offsite::OFFSITE;
pub use self::overrides::RetentionOverride;
pub use self::retention::*;
pub use self::rules::*;
pub use self::runs::*;
pub use self::server::*;
use super::knob::Declared;

/// A section's name, and its settings.
pub type Section = (&'static str, &'static [&'static dyn Declared]);

/// Every section.
pub static SECTIONS: &[Section] = &[
    ("qdrant", server::QDRANT),
    ("backup", backup::BACKUP),
    ("schedule", backup::SCHEDULE),
    ("retention", retention::RETENTION),
    ("offsite", offsite::PLACES),
    ("verify", runs::VERIFY),
    ("restore", runs::RESTORE),
    ("drill", runs::DRILL),
    ("run", runs::RUN),
    ("hooks", runs::HOOKS),
    ("log", runs::LOG),
];

/// Every setting.
pub fn all() -> impl Iterator<Item = &'static dyn Declared> {
    SECTIONS.iter().flat_map(|(_, settings)| settings.iter().copied())
}

/// Every variable of the environment and of the env file.
pub fn variables() -> impl Iterator<Item = &'static str> {
    all().filter_map(|setting| setting.about().variable)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::super::knob::Otherwise;
    use super::super::{ConfigFile, Place, Written};
    use super::*;

    #[test]
    fn every_declaration_is_in_the_list_of_its_section() {
        let sources = [
            include_str!("server.rs"),
            include_str!("backup.rs"),
            include_str!("offsite.rs"),
            include_str!("retention.rs"),
            include_str!("rules.rs"),
            include_str!("runs.rs"),
        ];
        let declared: usize = sources.iter().map(|source| source.matches("\npub static ").count()).sum();
        assert_eq!(all().count(), declared);
        let keys: BTreeSet<&str> = all().map(|setting| setting.about().key).collect();
        assert_eq!(keys.len(), declared, "a key is declared twice");
        for (section, settings) in SECTIONS {
            for setting in *settings {
                assert_eq!(setting.about().section(), *section, "{}", setting.about().key);
            }
        }
    }

    #[test]
    fn every_default_can_be_read_and_what_has_none_is_nothing() {
        for setting in all() {
            let about = setting.about();
            match about.otherwise {
                Otherwise::Value(text) => {
                    let written = Written::Word(text.as_ref());
                    let read = setting.read_from(Place::Default, written).map(|read| read.shown);
                    assert_eq!(read, Ok(setting.unset().shown), "{}", about.key);
                }
                Otherwise::Unset(_) => {
                    let shown = setting.unset().shown;
                    assert!([Value::Null, json!([])].contains(&shown), "{}: {shown}", about.key);
                }
            }
        }
    }

    #[test]
    fn every_setting_says_what_it_means_and_has_an_example_that_is_read() {
        for setting in all() {
            let about = setting.about();
            assert!(about.meaning.ends_with('.') && !about.meaning.contains('|'), "{}", about.key);
            assert_ne!(about.example().is_empty(), !about.secret, "{}", about.key);
        }
        let read = ConfigFile::parse("backup.yaml".as_ref(), &super::super::reference::example()).unwrap();
        assert!(all().all(|setting| read.written(setting.about().key).is_none() == setting.about().secret));
    }
}
