//! "Did you mean": the known word that is nearest to a misspelt one.

/// The candidate that `word` is most likely a misspelling of, or none when nothing is near: at most a third of
/// the letters may differ, and at most three. Upper and lower case do not count as different.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nothing that long is a misspelling, and the distance costs time in the square of the length.
    const LONGEST_WORD: usize = 64;
    if word.len() > LONGEST_WORD {
        return None;
    }
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        let keys = ["keep_days", "keep_daily", "keep_last", "url"];
        assert_eq!(closest("keep_dayz", keys), Some("keep_days"));
        assert_eq!(closest("Keep_Days", keys), Some("keep_days"));
        assert_eq!(closest("uri", keys), Some("url"));
        assert_eq!(closest("compression", keys), None);
        assert_eq!(closest("", keys), None);
        assert_eq!(closest(&"k".repeat(100_000), keys), None);
    }
}
