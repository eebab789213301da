//! Soak tests: a short one with a fixed seed, and one of any length (`cargo xtask soak`).

use std::time::Duration;

use e2e::random::seed;
use e2e::soak::soak;

const SHORT: Duration = Duration::from_secs(20);
const SEED: u64 = 20_251_129;

#[test]
fn nothing_is_lost_while_everything_happens_at_once() {
    soak(SHORT, SEED);
}

#[test]
#[ignore = "as long as QDRANT_BACKUP_SOAK_MINUTES says: cargo xtask soak"]
fn nothing_is_lost_in_a_long_time_either() {
    let minutes = std::env::var("QDRANT_BACKUP_SOAK_MINUTES").expect("QDRANT_BACKUP_SOAK_MINUTES");
    soak(Duration::from_secs(60 * minutes.parse::<u64>().expect("a number of minutes")), seed());
}
