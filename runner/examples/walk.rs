//! Measures the memory and the speed of a walk through two collections of generated points, without a server.
//!
//! `cargo run --release --example walk -- 10000000` walks through this many points on each side. Every tenth point is
//! missing on one side, and another tenth on the other.

use std::io::{self, Write};
use std::time::Instant;

use qdrant_backup_runner::points::{Pages, Point, PointsError, Rules, walk};

/// Generated points, page by page.
struct Made {
    next: u64,
    end: u64,
    /// The last digit of the omitted ids.
    lacks: u64,
}

const PAGE: u64 = 10_000;

impl Pages for Made {
    async fn next(&mut self) -> Result<Option<Vec<Point>>, PointsError> {
        if self.next == self.end {
            return Ok(None);
        }
        let ids = self.next..(self.next + PAGE).min(self.end);
        self.next = ids.end;
        let point = |id: u64| {
            let text =
                format!(r#"{{"id":{id},"payload":{{"n":{}}},"vector":[0.5,0.25,0.125,0.75]}}"#, id % 7);
            Point::of(serde_json::from_str(&text).ok()?).ok()
        };
        Ok(Some(ids.filter(|id| id % 10 != self.lacks).filter_map(point).collect()))
    }
}

/// The peak of resident memory so far, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let end = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let made = |lacks| Made { next: 0, end, lacks };
    let (mut passed, mut at_a_tenth) = (0, 0);
    let count = |points: u64| {
        passed += points;
        if at_a_tenth == 0 && passed > end / 5 {
            at_a_tenth = peak_kib();
        }
    };
    let begun = Instant::now();
    let walked = walk(made(3), made(4), &Rules::default(), count, |_| Ok(())).await;
    let tally = walked.map_err(io::Error::other)?;
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(
        io::stdout(),
        "{} ids in {seconds:.1} s ({:.0} a second); {} missing, {} new, {} equal; peak {at_a_tenth} KiB after a tenth, {} KiB at the end",
        tally.points_seen(),
        tally.points_seen() as f64 / seconds,
        tally.missing.count,
        tally.new.count,
        tally.equal,
        peak_kib()
    )
}
