//! The shipped alerting files with all durations divided by one number, so that a test of hours takes seconds.
//!
//! Only durations and the addresses of receivers change. An unknown construct in a shipped file is an error, so that
//! the tests never use other rules than the shipped ones.

mod alertmanager;
mod promql;
mod rules;
mod yaml;

pub use alertmanager::alertmanager;
pub use rules::rules;

/// The factor by which durations are shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale(pub u64);

impl Scale {
    /// Shortens a duration in Prometheus' notation with a single unit.
    ///
    /// # Errors
    /// When it is not a duration, or would be shorter than a millisecond.
    pub fn duration(self, text: &str) -> Result<String, String> {
        self.milliseconds(text).map(written)
    }

    /// Like [`Scale::duration`], and at least `least` milliseconds unless it is zero.
    fn duration_of_at_least(self, least: u64, text: &str) -> Result<String, String> {
        self.milliseconds(text).map(|scaled| written(if scaled == 0 { 0 } else { scaled.max(least) }))
    }

    fn milliseconds(self, text: &str) -> Result<u64, String> {
        let odd = || format!("{text:?} is no duration of one unit");
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(odd)?;
        let number: u64 = text[..digits].parse().map_err(|_| odd())?;
        let unit = match &text[digits..] {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(odd()),
        };
        let scaled = number * unit / self.0;
        if scaled == 0 && number > 0 {
            return Err(format!("nothing is left of {text} when it is divided by {}", self.0));
        }
        Ok(scaled)
    }
}

fn written(milliseconds: u64) -> String {
    if milliseconds == 0 { "0s".to_owned() } else { format!("{milliseconds}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_divided() {
        let scale = Scale(120);
        for (text, scaled) in
            [("5m", "2500ms"), ("1h", "30000ms"), ("30s", "250ms"), ("1d", "720000ms"), ("0m", "0s")]
        {
            assert_eq!(scale.duration(text).unwrap(), scaled);
        }
        assert_eq!(scale.duration_of_at_least(1_000, "30s").unwrap(), "1000ms");
        assert_eq!(scale.duration_of_at_least(1_000, "0s").unwrap(), "0s");
    }

    #[test]
    fn what_is_no_duration_is_an_error() {
        for text in ["", "5", "m", "1h30m", "5 m", "1w"] {
            assert!(Scale(120).duration(text).is_err(), "{text}");
        }
        assert!(Scale(100_000).duration("1s").is_err());
    }

    /// Checks that the shipped files can be scaled, so a new construct in them is reported here first.
    #[test]
    fn the_shipped_files_are_understood() {
        let shipped = |path: &str| {
            std::fs::read_to_string(
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts").join(path),
            )
            .unwrap()
        };
        let text = shipped("qdrant-backup.rules.yml");
        let scaled = rules(&text, Scale(120)).unwrap();
        for there in ["> 5.0", "* (last_over_time(", "[30000ms]", r#""for":"2500ms""#, "[1d]"] {
            assert!(scaled.contains(there), "{there}: {scaled}");
        }
        assert_eq!(scaled.matches("\"alert\":").count(), text.matches("- alert:").count());
        assert_eq!(scaled.matches("\"record\":").count(), text.matches("- record:").count());
        let scaled = alertmanager(&shipped("alertmanager.yml"), Scale(120), "http://here").unwrap();
        for there in
            ["http://here/backup-critical", r#""group_interval":"2500ms""#, "qdrant_backup.text", "equal"]
        {
            assert!(scaled.contains(there), "{there}: {scaled}");
        }
        for gone in ["smtp", "example.org", "email"] {
            assert!(!scaled.contains(gone), "{gone}: {scaled}");
        }
    }
}
