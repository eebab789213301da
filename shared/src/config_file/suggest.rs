//! "Did you mean": the known word nearest to a misspelled one.

/// The candidate that `word` is most likely a misspelling of. At most a third of the letters may differ, and at most three. Case
/// is ignored.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words are not misspellings, and the computation needs quadratic time.
    const LONGEST_WORD: usize = 64;
    let word: Vec<char> = word.to_lowercase().chars().take(LONGEST_WORD + 1).collect();
    if word.len() > LONGEST_WORD {
        return None;
    }
    let allowed = (word.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete or replace to turn one word into the other (Levenshtein).
fn distance(word: &[char], candidate: &str) -> usize {
    let mut previous: Vec<usize> = (0..=word.len()).collect();
    for (row, letter) in candidate.chars().enumerate() {
        let mut diagonal = row;
        let mut left = row + 1;
        for (other, above) in word.iter().zip(1..) {
            let replaced = diagonal + usize::from(*other != letter);
            diagonal = previous[above];
            let best = replaced.min(diagonal + 1).min(left + 1);
            previous[above - 1] = left;
            left = best;
        }
        previous[word.len()] = left;
    }
    previous[word.len()]
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

    #[test]
    fn the_distance_counts_single_letter_edits() {
        let letters = |word: &str| word.chars().collect::<Vec<_>>();
        assert_eq!(distance(&letters("kitten"), "sitting"), 3);
        assert_eq!(distance(&letters(""), "abc"), 3);
        assert_eq!(distance(&letters("abc"), ""), 3);
        assert_eq!(distance(&letters("abc"), "abc"), 0);
        assert_eq!(distance(&letters("flaw"), "lawn"), 2);
    }
}
