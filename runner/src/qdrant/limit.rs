//! A time limit with its setting, so that messages can name the setting to change.

use std::fmt;
use std::time::Duration;

/// A limit on time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Longest time to wait.
    pub duration: Duration,
    /// The key of the setting, if there is one.
    setting: Option<&'static str>,
}

impl Limit {
    /// The value of the setting.
    pub fn set_by(setting: &'static str, duration: Duration) -> Self {
        Self { duration, setting: Some(setting) }
    }

    /// At most `most`, without a setting.
    #[must_use]
    pub fn at_most(self, most: Duration) -> Self {
        if most < self.duration { Self { duration: most, setting: None } } else { self }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.duration))?;
        match self.setting {
            Some(setting) => write!(f, " ({setting}; raise it if that is too short)"),
            None => Ok(()),
        }
    }
}
