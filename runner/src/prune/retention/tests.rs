//! Example-based and property-based tests of retention.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::operation::Fate;

use super::*;
use crate::choice::Globs;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn backup(at: DateTime<Utc>, standing: Standing) -> Candidate {
    let verified = false;
    Candidate {
        id: BackupId::at(at),
        started_at: at,
        standing,
        verified,
        hold: None,
        copied: false,
        depends_on: Vec::new(),
    }
}

fn good(text: &str) -> Candidate {
    backup(time(text), Standing::Good)
}

fn failed(text: &str) -> Candidate {
    backup(time(text), Standing::Failed)
}

fn count(count: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(count)
}

fn days(count_: u32) -> Policy {
    Policy { keep_days: count(count_), ..Policy::default() }
}

fn last(count_: u32) -> Policy {
    Policy { keep_last: count(count_), ..Policy::default() }
}

/// Long after everything in these tests, except for backups from the future.
fn now() -> DateTime<Utc> {
    time("2040-01-01T00:00:00Z")
}

fn kept_at(policy: &Policy, backups: &[Candidate], now: DateTime<Utc>) -> BTreeSet<BackupId> {
    let decisions = decide(policy, backups, now).unwrap();
    assert_eq!(decisions.len(), backups.len());
    assert!(decisions.values().all(|decision| !decision.reasons.is_empty()));
    decisions.into_iter().filter(|(_, decision)| decision.fate == Fate::Keep).map(|(id, _)| id).collect()
}

fn kept(policy: &Policy, backups: &[Candidate]) -> Vec<String> {
    kept_at(policy, backups, now()).iter().map(ToString::to_string).collect()
}

fn reasons(policy: &Policy, backups: &[Candidate], of: &Candidate) -> String {
    decide(policy, backups, now()).unwrap()[&of.id].reasons.join("; ")
}

fn daily(from: &str, count: i64) -> Vec<Candidate> {
    (0..count).map(|day| backup(time(from) + TimeDelta::days(day), Standing::Good)).collect()
}

#[test]
fn no_rule_is_an_error_and_not_keep_none() {
    let error = decide(&Policy::default(), &daily("2025-07-01T02:00:00Z", 3), now()).unwrap_err();
    assert!(error.to_string().starts_with("no retention rule is set: "));
    assert_eq!(Policies::new(Policy::default(), Vec::new()).unwrap_err(), NoRule);
}

#[test]
fn the_first_glob_that_matches_replaces_the_general_rules_wholly() {
    let globs = |glob: &str| Globs::compile(vec![glob.to_owned()]).unwrap();
    let overrides = vec![(globs("logs-*"), last(2)), (globs("*"), last(9))];
    let policies = Policies::new(days(7), overrides[..1].to_vec()).unwrap();
    let of = |policies: &Policies, name: &str| policies.of(&CollectionName::new(name).unwrap()).clone();
    assert_eq!(of(&policies, "logs-a"), last(2));
    assert_eq!(of(&policies, "docs"), days(7));
    let policies = Policies::new(days(7), overrides).unwrap();
    assert_eq!(of(&policies, "logs-a"), last(2));
    assert_eq!(of(&policies, "docs"), last(9));
}

#[test]
fn age_counts_from_the_newest_good_backup_so_a_week_of_failures_expires_nothing() {
    let mut backups = daily("2025-07-01T02:00:00Z", 7);
    assert_eq!(kept(&days(7), &backups).len(), 7);
    for day in 8..=15 {
        backups.push(failed(&format!("2025-07-{day:02}T02:00:00Z")));
    }
    assert_eq!(kept(&days(7), &backups).len(), 15, "failures neither expire nor age anything");
    backups.push(good("2025-07-16T02:00:00Z"));
    let kept = kept(&days(7), &backups);
    assert_eq!(kept.first().unwrap(), "2025-07-09-02-00-00", "failures within the days stay, older ones go");
    assert_eq!(kept.len(), 8);
}

#[test]
fn exactly_so_many_days_is_within_them() {
    let backups = [good("2025-07-01T02:00:00Z"), good("2025-07-01T01:59:59Z"), good("2025-07-08T02:00:00Z")];
    assert_eq!(kept(&days(7), &backups), ["2025-07-01-02-00-00", "2025-07-08-02-00-00"]);
    assert_eq!(
        reasons(&days(7), &backups, &backups[1]),
        "expired: more than 7 d older than the newest good backup, and no rule keeps it"
    );
    let soon = [good("2025-07-01T02:00:00Z"), good("2025-07-01T02:00:20Z"), good("2025-07-01T02:59:30Z")];
    assert_eq!(
        reasons(&last(1), &soon, &soon[1]),
        "expired: more than 59 min older than the newest good backup, and no rule keeps it"
    );
    let seconds = &soon[..2];
    let said = "expired: less than 1 min older than the newest good backup, and no rule keeps it";
    assert_eq!(reasons(&last(1), seconds, &seconds[0]), said);
}

#[test]
fn a_clock_that_is_ahead_when_pruning_expires_nothing() {
    let backups = daily("2025-07-01T02:00:00Z", 7);
    let soon = kept_at(&days(6), &backups, time("2025-07-07T03:00:00Z"));
    assert_eq!(soon, kept_at(&days(6), &backups, time("2099-01-01T00:00:00Z")));
    assert_eq!(soon.len(), 7);
}

#[test]
fn a_backup_from_the_future_is_kept_and_pushes_nothing_out() {
    let mut backups = daily("2025-07-01T02:00:00Z", 7);
    backups.push(good("2031-01-01T00:00:00Z"));
    let now = time("2025-07-07T03:00:00Z");
    for policy in [days(6), last(7), Policy { keep_yearly: count(1), ..days(6) }] {
        assert_eq!(kept_at(&policy, &backups, now).len(), 8, "{policy:?}");
    }
    let kept = kept_at(&last(1), &backups, now);
    assert!(kept.contains(&backups[6].id), "the newest of the past is a floor of its own");
    assert_eq!(kept.len(), 2);
}

#[test]
fn a_clock_that_was_set_back_expires_nothing() {
    // Made before the clock was set back, so now it is in the future.
    let backups = daily("2025-07-01T02:00:00Z", 7);
    assert_eq!(kept_at(&last(1), &backups, time("2024-01-01T00:00:00Z")).len(), 7);
    // The first backup after that is the only one that counts for the rules.
    let mut backups = backups;
    backups.push(good("2024-01-01T00:00:00Z"));
    assert_eq!(kept_at(&last(1), &backups, time("2024-01-01T00:00:00Z")).len(), 8);
}

#[test]
fn days_end_at_midnight_utc_and_years_with_them() {
    let policy = Policy { keep_daily: count(2), ..Policy::default() };
    let backups = [
        good("2024-12-31T00:00:00Z"),
        good("2024-12-31T23:59:59Z"),
        good("2025-01-01T00:00:00Z"),
        good("2025-01-01T12:00:00Z"),
    ];
    assert_eq!(kept(&policy, &backups), ["2024-12-31-23-59-59", "2025-01-01-12-00-00"]);
    assert_eq!(reasons(&policy, &backups, &backups[1]), "daily 2024-12-31");
    assert_eq!(reasons(&policy, &backups, &backups[3]), "newest good; daily 2025-01-01");
    let policy = Policy { keep_yearly: count(5), ..Policy::default() };
    assert_eq!(kept(&policy, &backups), ["2024-12-31-23-59-59", "2025-01-01-12-00-00"]);
    let policy = Policy { keep_monthly: count(1), ..Policy::default() };
    assert_eq!(kept(&policy, &backups), ["2025-01-01-12-00-00"]);
}

#[test]
fn a_leap_day_is_a_day_of_its_own_and_of_february() {
    let backups = [
        good("2024-02-28T02:00:00Z"),
        good("2024-02-29T02:00:00Z"),
        good("2024-03-01T02:00:00Z"),
        good("2025-02-28T02:00:00Z"),
        good("2025-03-01T02:00:00Z"),
    ];
    let daily = Policy { keep_daily: count(5), ..Policy::default() };
    assert_eq!(kept(&daily, &backups).len(), 5);
    let monthly = Policy { keep_monthly: count(4), ..Policy::default() };
    assert_eq!(
        kept(&monthly, &backups),
        ["2024-02-29-02-00-00", "2024-03-01-02-00-00", "2025-02-28-02-00-00", "2025-03-01-02-00-00"]
    );
    // 2024-02-29 to 2024-03-01 is one day, 2024-02-28 to 2024-03-01 two.
    assert_eq!(kept(&days(1), &backups[..3]), ["2024-02-29-02-00-00", "2024-03-01-02-00-00"]);
    assert_eq!(kept(&days(365), &backups).len(), 3, "2024-03-01 to 2025-03-01 is 365 days");
}

#[test]
fn weeks_are_those_of_iso_8601_also_where_the_year_changes() {
    let policy = Policy { keep_weekly: count(9), ..Policy::default() };
    // 2020 has a week 53, which includes the first three days of 2021.
    let backups = [
        good("2020-12-27T23:00:00Z"),
        good("2020-12-28T01:00:00Z"),
        good("2021-01-01T01:00:00Z"),
        good("2021-01-03T23:00:00Z"),
        good("2021-01-04T01:00:00Z"),
    ];
    assert_eq!(
        kept(&policy, &backups),
        ["2020-12-27-23-00-00", "2021-01-03-23-00-00", "2021-01-04-01-00-00"]
    );
    assert_eq!(reasons(&policy, &backups, &backups[3]), "weekly 2020-W53");
    // 2024-12-30 is in the first week of 2025, and 2024-W01 is another week.
    let backups = [good("2024-01-01T01:00:00Z"), good("2024-12-30T01:00:00Z"), good("2025-01-05T01:00:00Z")];
    assert_eq!(kept(&policy, &backups), ["2024-01-01-01-00-00", "2025-01-05-01-00-00"]);
    assert_eq!(reasons(&policy, &backups, &backups[2]), "newest good; weekly 2025-W01");
}

#[test]
fn hours_are_counted_by_the_clock() {
    let policy = Policy { keep_hourly: count(2), ..Policy::default() };
    let backups = [
        good("2025-07-15T12:10:00Z"),
        good("2025-07-15T13:00:00Z"),
        good("2025-07-15T13:59:59Z"),
        good("2025-07-16T13:00:00Z"),
    ];
    assert_eq!(kept(&policy, &backups), ["2025-07-15-13-59-59", "2025-07-16-13-00-00"]);
    assert_eq!(reasons(&policy, &backups, &backups[2]), "hourly 2025-07-15 13:00");
}

#[test]
fn rules_count_good_backups_only() {
    let backups = [
        good("2025-07-01T02:00:00Z"),
        good("2025-07-02T02:00:00Z"),
        failed("2025-07-03T01:00:00Z"),
        good("2025-07-03T00:30:00Z"),
        failed("2025-07-04T02:00:00Z"),
    ];
    assert_eq!(
        kept(&last(2), &backups),
        ["2025-07-02-02-00-00", "2025-07-03-00-30-00", "2025-07-03-01-00-00", "2025-07-04-02-00-00"],
        "bad ones that are newer than the newest good one stay as well"
    );
    let policy = Policy { keep_daily: count(1), ..Policy::default() };
    assert_eq!(
        kept(&policy, &backups),
        ["2025-07-03-00-30-00", "2025-07-03-01-00-00", "2025-07-04-02-00-00"]
    );
}

#[test]
fn bad_ones_older_than_the_newest_good_one_expire_by_age_or_at_once() {
    let backups = [failed("2025-07-01T02:00:00Z"), good("2025-07-02T02:00:01Z")];
    assert_eq!(kept(&last(5), &backups), ["2025-07-02-02-00-01"]);
    assert_eq!(kept(&days(2), &backups).len(), 2);
    let said = reasons(&last(5), &backups, &backups[0]);
    assert!(said.starts_with("expired, failed verification: more than 1 d older"), "{said}");
}

#[test]
fn without_any_good_backup_nothing_expires() {
    let mut backups = vec![failed("2020-07-01T02:00:00Z"), failed("2025-07-02T02:00:00Z")];
    backups.push(backup(time("2019-01-01T00:00:00Z"), Standing::Incomplete));
    assert_eq!(kept(&Policy { keep_days: count(1), ..last(1) }, &backups).len(), 3);
}

#[test]
fn the_newest_verified_stays_however_old() {
    let mut backups = daily("2025-07-01T02:00:00Z", 30);
    backups[3].verified = true;
    backups[1].verified = true;
    assert_eq!(kept(&last(1), &backups), ["2025-07-04-02-00-00", "2025-07-30-02-00-00"]);
    assert_eq!(reasons(&last(1), &backups, &backups[3]), "newest verified");
    // Verified once but incomplete now, so it is not reliable.
    backups[3].standing = Standing::Incomplete;
    assert_eq!(kept(&last(1), &backups), ["2025-07-02-02-00-00", "2025-07-30-02-00-00"]);
}

#[test]
fn held_unknown_and_needed_backups_stay() {
    let mut backups = daily("2025-07-01T02:00:00Z", 6);
    backups[0].hold = Some("before the migration".to_owned());
    backups[1].standing = Standing::Unknown { requirement: "chunks".to_owned() };
    backups[5].depends_on = vec![backups[4].id];
    backups[4].depends_on = vec![backups[2].id, BackupId::at(time("1999-01-01T00:00:00Z"))];
    let kept = kept(&last(1), &backups);
    assert_eq!(kept.len(), 5, "{kept:?}");
    assert!(!kept.contains(&"2025-07-04-02-00-00".to_owned()));
    assert_eq!(reasons(&last(1), &backups, &backups[0]), "held: before the migration");
    assert_eq!(
        reasons(&last(1), &backups, &backups[1]),
        "requires \"chunks\", which this version does not know"
    );
    assert_eq!(reasons(&last(1), &backups, &backups[2]), "needed by 2025-07-05-02-00-00");
    assert_eq!(reasons(&last(1), &backups, &backups[4]), "needed by 2025-07-06-02-00-00");
}

#[test]
fn backups_that_need_each_other_are_no_endless_loop() {
    let mut backups = daily("2025-07-01T02:00:00Z", 2);
    backups[0].depends_on = vec![backups[1].id];
    backups[1].depends_on = vec![backups[0].id, backups[1].id];
    assert_eq!(kept(&last(1), &backups).len(), 2);
}

fn rule() -> impl Strategy<Value = Option<NonZeroU32>> {
    prop_oneof![2 => Just(0), 3 => 1..6_u32, 1 => 6..400_u32].prop_map(NonZeroU32::new)
}

prop_compose! {
    fn any_policy()(rules in proptest::array::uniform7(rule())) -> Policy {
        let [keep_days, keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly] = rules;
        Policy { keep_days, keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly }
    }
}

fn policy() -> impl Strategy<Value = Policy> {
    any_policy().prop_filter("some rule", Policy::has_rule)
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        6 => Just(Standing::Good),
        2 => Just(Standing::Failed),
        1 => Just(Standing::Incomplete),
        1 => Just(Standing::Unknown { requirement: "x".to_owned() }),
        1 => Just(Standing::Untold { why: "its record cannot be read".to_owned() }),
    ]
}

/// Distances in seconds: minutes, days, months, years, so that every rule makes a difference.
fn distance() -> impl Strategy<Value = i64> {
    prop_oneof![1..7_200_i64, 3_600..200_000_i64, 80_000..5_000_000_i64, 20_000_000..50_000_000_i64]
}

prop_compose! {
    fn candidate()(distance in distance(), standing in standing(), verified in any::<bool>(), held in 0..20_u8,
                   depends_on in proptest::collection::vec(0..20_usize, 0..2), depends in 0..4_u8)
                   -> (i64, Candidate, Vec<usize>) {
        let mut backup = backup(DateTime::UNIX_EPOCH, standing);
        backup.verified = verified && matches!(backup.standing, Standing::Good | Standing::Incomplete);
        backup.hold = (held == 0).then(String::new);
        (distance, backup, if depends == 0 { depends_on } else { Vec::new() })
    }
}

prop_compose! {
    /// A history from the end of 2019 on, which includes week 53, leap days and ends of years.
    fn history()(drafts in proptest::collection::vec(candidate(), 0..40)) -> Vec<Candidate> {
        let mut at = time("2019-12-20T23:00:00Z");
        let mut backups = Vec::new();
        for (distance, backup, _) in &drafts {
            at += TimeDelta::seconds(*distance);
            backups.push(Candidate { id: BackupId::at(at), started_at: at, ..backup.clone() });
        }
        let ids: Vec<BackupId> = backups.iter().map(|backup| backup.id).collect();
        for (backup, (_, _, depends_on)) in backups.iter_mut().zip(&drafts) {
            backup.depends_on = depends_on.iter().filter_map(|index| ids.get(*index)).copied().collect();
        }
        backups
    }
}

prop_compose! {
    /// A history, and a time within it or after it.
    fn looked_at()(backups in history(), after in any::<proptest::sample::Index>(), late in any::<bool>())
                   -> (Vec<Candidate>, DateTime<Utc>) {
        let now = if late || backups.is_empty() { time("2120-01-01T00:00:00Z") } else { after.get(&backups).started_at };
        (backups, now)
    }
}

fn rules(policy: &mut Policy) -> [&mut Option<NonZeroU32>; 7] {
    [
        &mut policy.keep_days,
        &mut policy.keep_last,
        &mut policy.keep_hourly,
        &mut policy.keep_daily,
        &mut policy.keep_weekly,
        &mut policy.keep_monthly,
        &mut policy.keep_yearly,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_newest_good_and_the_newest_verified_are_never_pruned(policy in policy(), (backups, now) in looked_at()) {
        let kept = kept_at(&policy, &backups, now);
        // Whatever the clock says: at this time, and at the time of the last backup.
        for known in [now, DateTime::<Utc>::MAX_UTC] {
            let good = || backups.iter().rev().filter(|backup| backup.is_good() && backup.started_at <= known);
            for floor in [good().next(), good().find(|backup| backup.verified)].into_iter().flatten() {
                prop_assert!(kept.contains(&floor.id));
            }
        }
    }

    #[test]
    fn what_must_never_be_pruned_is_not(policy in policy(), (backups, now) in looked_at()) {
        let kept = kept_at(&policy, &backups, now);
        let newest_good = backups.iter().rev().find(|backup| backup.is_good() && backup.started_at <= now);
        for backup in &backups {
            let unknown = matches!(backup.standing, Standing::Unknown { .. } | Standing::Untold { .. });
            let newer = newest_good.is_none_or(|newest| backup.started_at > newest.started_at);
            if unknown || newer || backup.hold.is_some() {
                prop_assert!(kept.contains(&backup.id), "{backup:?}");
            }
            if kept.contains(&backup.id) {
                prop_assert!(backup.depends_on.iter().all(|needed| kept.contains(needed)));
            }
        }
    }

    #[test]
    fn a_larger_number_keeps_a_superset(policy in policy(), (backups, now) in looked_at(), which in 0..7_usize, more in 1..50_u32) {
        let mut larger = policy.clone();
        if let Some(rule) = rules(&mut larger).into_iter().nth(which) {
            *rule = NonZeroU32::new(rule.map_or(0, NonZeroU32::get) + more);
        }
        prop_assert!(kept_at(&policy, &backups, now).is_subset(&kept_at(&larger, &backups, now)));
    }

    #[test]
    fn pruning_what_was_pruned_deletes_nothing_more(policy in policy(), (backups, now) in looked_at()) {
        let kept = kept_at(&policy, &backups, now);
        let left: Vec<Candidate> = backups.into_iter().filter(|backup| kept.contains(&backup.id)).collect();
        prop_assert_eq!(kept_at(&policy, &left, now), kept);
    }

    #[test]
    fn the_order_of_the_listing_does_not_matter(policy in policy(), (backups, now) in looked_at(),
                                                 shuffled in any::<proptest::sample::Index>()) {
        let decided = decide(&policy, &backups, now).unwrap();
        let mut other = backups.clone();
        other.reverse();
        prop_assert_eq!(&decide(&policy, &other, now).unwrap(), &decided);
        if !other.is_empty() {
            let middle = shuffled.index(other.len());
            other.rotate_left(middle);
            other.swap(0, middle);
        }
        prop_assert_eq!(&decide(&policy, &other, now).unwrap(), &decided);
    }

    #[test]
    fn the_time_of_pruning_does_not_matter_once_all_is_past(policy in policy(), backups in history(), later in 0..1_000_000_000_i64) {
        let now = time("2120-01-01T00:00:00Z");
        prop_assert_eq!(kept_at(&policy, &backups, now), kept_at(&policy, &backups, now + TimeDelta::seconds(later)));
    }

    #[test]
    fn failures_after_the_last_good_backup_expire_nothing(policy in policy(), backups in history(), failures in 1..10_i64) {
        let before = kept_at(&policy, &backups, DateTime::<Utc>::MAX_UTC);
        let last = backups.last().map_or_else(now, |backup| backup.started_at);
        let mut more = backups.clone();
        more.extend((1..=failures).map(|day| backup(last + TimeDelta::days(day), Standing::Failed)));
        let after = kept_at(&policy, &more, DateTime::<Utc>::MAX_UTC);
        prop_assert!(before.is_subset(&after));
        prop_assert_eq!(after.len(), before.len() + usize::try_from(failures).unwrap());
    }
}

#[test]
fn what_was_read_back_elsewhere_need_not_be_the_verified_one_that_stays_here() {
    let mut older = good("2025-07-01T00:00:00Z");
    older.verified = true;
    let newest = good("2025-07-03T00:00:00Z");
    let kept = |older: &Candidate| kept_at(&last(1), &[older.clone(), newest.clone()], now());
    assert!(kept(&older).contains(&older.id), "it is the only one that was verified");
    older.copied = true;
    assert_eq!(kept(&older), [newest.id].into());
}

#[test]
fn what_is_only_elsewhere_stays_known_and_counts_for_no_rule() {
    let elsewhere = backup(time("2025-07-05T00:00:00Z"), Standing::Elsewhere { places: "nas".to_owned() });
    let (older, newest) = (good("2025-07-01T00:00:00Z"), good("2025-07-03T00:00:00Z"));
    let kept = kept_at(&last(1), &[elsewhere.clone(), older, newest.clone()], now());
    assert_eq!(kept, [elsewhere.id, newest.id].into(), "the newest that is here is the newest");
}
