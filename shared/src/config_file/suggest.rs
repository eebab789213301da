//! "Did you mean": the known word nearest to a misspelled one.

/// The candidate that `word` is most likely a misspelling of. At most a third of the letters may differ, and at most three. Case
/// is ignored.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words are not misspellings, and the computation needs quadratic time.
    const LONGEST_WORD: usize = 64;
    if word.len() > LONGEST_WORD {
        return None;
    }
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate))
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
        assert_eq!(closest("ulr", keys), Some("url"), "two letters that are exchanged are one mistake");
        assert_eq!(closest("compression", keys), None);
        assert_eq!(closest("", keys), None);
        assert_eq!(closest(&"k".repeat(100_000), keys), None);
    }
}
