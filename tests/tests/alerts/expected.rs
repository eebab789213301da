//! The expected content of notifications.

use serde_json::Value;

/// An alert as its receiver must get it. `…` matches any text, because ages differ.
#[derive(Clone, Copy)]
pub struct Expected {
    /// Its name, after `QdrantBackup`.
    pub alert: &'static str,
    pub severity: &'static str,
    /// Labels besides name, severity, job and instance.
    pub labels: &'static [(&'static str, &'static str)],
    pub summary: &'static str,
    pub description: &'static str,
    pub last_good_backup: &'static str,
    pub command: &'static str,
}

/// An alert in a notification.
#[derive(Debug, Clone)]
pub struct Notified {
    pub receiver: String,
    pub is_firing: bool,
    labels: Value,
    annotations: Value,
    starts_at: Value,
    ends_at: Value,
}

impl Notified {
    /// The alerts of a notification posted to `receiver`.
    pub fn all(receiver: &str, notification: &Value) -> Vec<Self> {
        assert_eq!(notification["receiver"], receiver);
        let one = |alert: &Value| Self {
            receiver: receiver.to_owned(),
            is_firing: alert["status"] == "firing",
            labels: alert["labels"].clone(),
            annotations: alert["annotations"].clone(),
            starts_at: alert["startsAt"].clone(),
            ends_at: alert["endsAt"].clone(),
        };
        notification["alerts"].as_array().expect("alerts").iter().map(one).collect()
    }

    pub fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or_default()
    }

    fn annotation(&self, name: &str) -> &str {
        self.annotations[name].as_str().unwrap_or_default()
    }

    /// A description for test failures: the alert, its state, its times and its receiver.
    pub fn in_short(&self) -> String {
        let state = if self.is_firing { "fires" } else { "is over" };
        let (name, labels) = (self.label("alertname"), &self.labels);
        format!("{name} {state}, {} to {}, {}: {labels}", self.starts_at, self.ends_at, self.receiver)
    }

    /// The lines that the shipped template renders for it, except the one with its start time.
    pub fn lines(&self) -> [String; 5] {
        let severity = self.label("severity").to_uppercase();
        [
            format!("{severity} {}: {}", self.label("alertname"), self.annotation("summary")),
            format!("  {}", self.annotation("description")),
            format!("  Last good backup: {}", self.annotation("last_good_backup")),
            format!("  Look: {}", self.annotation("command")),
            format!("  What to do: {}", self.annotation("runbook_url")),
        ]
    }
}

impl Expected {
    /// Its full name.
    pub fn name(&self) -> String {
        format!("QdrantBackup{}", self.alert)
    }

    /// The receiver for this severity.
    pub fn receiver(&self) -> String {
        format!("backup-{}", if self.severity == "none" { "watchdog" } else { self.severity })
    }

    /// Whether the labels match.
    pub fn is(&self, notified: &Notified) -> bool {
        notified.label("alertname") == self.name()
            && self.labels.iter().all(|(name, value)| notified.label(name) == *value)
    }

    /// Fails the test unless this was sent to the right receiver.
    #[track_caller]
    pub fn assert_is_said(&self, notified: &Notified) {
        assert_eq!(notified.receiver, self.receiver(), "{notified:?}");
        assert_eq!(notified.label("severity"), self.severity);
        let name = self.name();
        let runbook_url = format!("https://qdrant-backup.example/docs/runbook.md#{}", name.to_lowercase());
        for (annotation, expected) in [
            ("summary", self.summary),
            ("description", self.description),
            ("last_good_backup", self.last_good_backup),
            ("command", self.command),
            ("runbook_url", &runbook_url),
        ] {
            let said = notified.annotation(annotation);
            assert!(fits(said, expected), "{name} says {said:?} as {annotation}, not {expected:?}");
        }
    }
}

/// Whether `text` matches `expected`, in which one `…` stands for any nonempty text.
fn fits(text: &str, expected: &str) -> bool {
    match expected.split_once('…') {
        None => text == expected,
        Some((start, end)) => {
            text.len() > start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

#[test]
fn a_gap_stands_for_something() {
    assert!(fits("1.5s old", "… old") && fits("a b", "a b"));
    assert!(!fits(" old", "… old") && !fits("1.5s new", "… old") && !fits("a b c", "a b"));
}
