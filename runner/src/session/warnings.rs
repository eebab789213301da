//! The warnings of a run. Only the first ones are kept, so that a repeated problem does not fill memory, status and report. The
//! log has all of them.

/// Maximum number of different warnings.
const KEPT: usize = 100;

/// Warnings in the order of first occurrence.
#[derive(Debug, Default)]
pub struct Warnings {
    kept: Vec<(String, u64)>,
    left_out: u64,
}

impl Warnings {
    /// Keeps `warning`, or only counts it if it is repeated or above the limit.
    pub fn add(&mut self, warning: String) {
        if let Some((_, times)) = self.kept.iter_mut().find(|(kept, _)| *kept == warning) {
            *times += 1;
        } else if self.kept.len() < KEPT {
            self.kept.push((warning, 1));
        } else {
            self.left_out += 1;
        }
    }

    /// One line each, and one for omitted warnings.
    pub fn lines(&self) -> Vec<String> {
        let kept = self.kept.iter().map(|(warning, times)| match times {
            1 => warning.clone(),
            times => format!("{warning} ({times} times)"),
        });
        let more =
            (self.left_out > 0).then(|| format!("and {} more warnings, only in the log", self.left_out));
        kept.chain(more).collect()
    }
}

impl From<Vec<String>> for Warnings {
    fn from(warnings: Vec<String>) -> Self {
        let mut all = Self::default();
        warnings.into_iter().for_each(|warning| all.add(warning));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_warnings_are_counted_and_the_first_ones_kept() {
        let mut warnings = Warnings::default();
        for number in 0..10_000 {
            warnings.add("the connection broke".to_owned());
            warnings.add(format!("number {number}"));
        }
        let lines = warnings.lines();
        assert_eq!(lines.len(), KEPT + 1);
        assert_eq!(lines[0], "the connection broke (10000 times)");
        assert_eq!(lines[1], "number 0");
        assert_eq!(lines[KEPT], "and 9901 more warnings, only in the log");
    }
}
