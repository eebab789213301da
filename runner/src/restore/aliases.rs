//! The aliases that a restore sets. They are in the manifest, not in snapshots. Pure functions.

use qdrant_backup_shared::CollectionName;

use super::error::RestoreError;
use crate::qdrant::{Alias, AliasChange};

/// The changes that assign each of `wanted` to `target`. Aliases that are already assigned need none.
///
/// # Errors
/// An alias belongs to another collection (unless `force` is set), or has the name of a collection.
pub fn changes(
    wanted: &[String],
    target: &CollectionName,
    existing: &[Alias],
    collections: &[CollectionName],
    force: bool,
) -> (Vec<AliasChange>, Vec<RestoreError>) {
    let (mut changes, mut obstacles) = (Vec::new(), Vec::new());
    for alias in wanted {
        let shown = || qdrant_backup_shared::text::shortened(alias, 120);
        if collections.iter().any(|name| name.as_str() == alias) || alias == target.as_str() {
            obstacles.push(RestoreError::AliasIsCollection { alias: shown() });
            continue;
        }
        let now = existing.iter().find(|entry| entry.alias_name == *alias);
        match now.map(|entry| entry.collection_name.as_str()) {
            Some(same) if same == target.as_str() => {}
            Some(other) if !force => obstacles.push(RestoreError::AliasElsewhere {
                alias: shown(),
                collection: qdrant_backup_shared::text::shortened(other, 120),
            }),
            Some(_) => changes.push(AliasChange { alias: alias.clone(), moves: true }),
            None => changes.push(AliasChange { alias: alias.clone(), moves: false }),
        }
    }
    (changes, obstacles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_made_and_only_moved_by_force() {
        let name = |name: &str| CollectionName::new(name).unwrap();
        let existing = [
            Alias { alias_name: "prod".to_owned(), collection_name: "old".to_owned() },
            Alias { alias_name: "live".to_owned(), collection_name: "docs".to_owned() },
        ];
        let wanted = ["prod", "live", "new", "old"].map(str::to_owned);
        let collections = [name("old"), name("docs")];
        let (made, obstacles) = changes(&wanted, &name("docs"), &existing, &collections, false);
        assert_eq!(made, [AliasChange { alias: "new".to_owned(), moves: false }]);
        let texts: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "alias \"prod\" stands for \"old\"; --force moves it",
                "\"old\" cannot become an alias: a collection has that name"
            ]
        );
        let (made, obstacles) = changes(&wanted[..3], &name("docs"), &existing, &collections, true);
        assert_eq!(made[0], AliasChange { alias: "prod".to_owned(), moves: true });
        assert!(obstacles.is_empty());
    }
}
