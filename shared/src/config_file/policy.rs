//! The rules of retention, of the settings or of an override.

use std::num::NonZeroU32;

/// Rules of retention, one number each. A rule that is not set keeps nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Keep backups that are at most this many days older than the newest good one.
    pub keep_days: Option<NonZeroU32>,
    /// Keep this many of the newest backups.
    pub keep_last: Option<NonZeroU32>,
    /// Keep the last backup of each hour, for this many hours.
    pub keep_hourly: Option<NonZeroU32>,
    /// Keep the last backup of each day (UTC), for this many days.
    pub keep_daily: Option<NonZeroU32>,
    /// Keep the last backup of each ISO week, for this many weeks.
    pub keep_weekly: Option<NonZeroU32>,
    /// Keep the last backup of each month, for this many months.
    pub keep_monthly: Option<NonZeroU32>,
    /// Keep the last backup of each year, for this many years.
    pub keep_yearly: Option<NonZeroU32>,
}

/// Accessor of a rule's number.
type Slot = fn(&mut Policy) -> &mut Option<NonZeroU32>;

/// Every rule by its name in files.
const RULES: [(&str, Slot); 7] = [
    ("keep_days", |policy| &mut policy.keep_days),
    ("keep_last", |policy| &mut policy.keep_last),
    ("keep_hourly", |policy| &mut policy.keep_hourly),
    ("keep_daily", |policy| &mut policy.keep_daily),
    ("keep_weekly", |policy| &mut policy.keep_weekly),
    ("keep_monthly", |policy| &mut policy.keep_monthly),
    ("keep_yearly", |policy| &mut policy.keep_yearly),
];

impl Policy {
    /// The names of all rules.
    pub fn names() -> impl Iterator<Item = &'static str> {
        RULES.iter().map(|(name, _)| *name)
    }

    /// The number of the rule with this name. `None` if there is no such rule.
    pub fn number_mut(&mut self, name: &str) -> Option<&mut Option<NonZeroU32>> {
        RULES.iter().find(|(rule, _)| *rule == name).map(|(_, slot)| slot(self))
    }

    /// The rules that are set.
    pub fn rules(&self) -> impl Iterator<Item = (&'static str, NonZeroU32)> {
        let mut policy = self.clone();
        RULES.iter().filter_map(move |(name, slot)| Some((*name, (*slot(&mut policy))?)))
    }

    /// Whether any rule is set.
    pub fn has_rule(&self) -> bool {
        self.rules().next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys;
    use super::*;

    #[test]
    fn every_rule_is_a_setting_and_has_the_number_of_its_own_name() {
        assert!(keys::RULES.iter().map(|rule| rule.name()).eq(Policy::names()));
        let mut policy = Policy::default();
        for (number, name) in (1..).zip(Policy::names()) {
            assert!(!policy.rules().any(|(rule, _)| rule == name));
            *policy.number_mut(name).unwrap() = NonZeroU32::new(number);
            assert!(format!("{policy:?}").contains(&format!("{name}: Some({number})")), "{policy:?}");
        }
        assert!(policy.rules().map(|(name, _)| name).eq(Policy::names()));
        assert!(policy.has_rule() && !Policy::default().has_rule());
        assert_eq!(policy.number_mut("keep_all"), None);
    }
}
