//! A timed run of a command, and statistics of several runs.

use std::{path::Path, time::Instant};

use crate::{
    sh::{Cmd, Context, Result},
    tools,
};

/// Time and memory of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) peak_bytes: u64,
}

/// Runs the command under GNU time, which measures its peak memory including its children.
///
/// `scratch` is a directory for the output of GNU time.
pub(super) fn measure(scratch: &Path, with: impl FnOnce(Cmd) -> Cmd) -> Result<Sample> {
    tools::debian("time", "/usr/bin/time")?;
    let report = scratch.join("time");
    let command = with(Cmd::new("/usr/bin/time").args(["--format", "%M", "--output"]).arg(&report));
    let started = Instant::now();
    command.read()?;
    let seconds = started.elapsed().as_secs_f64();
    let text = std::fs::read_to_string(&report).context(report.display())?;
    let kibibytes: u64 = text.trim().parse().context(format!("what GNU time says, {text:?}"))?;
    Ok(Sample { seconds, peak_bytes: kibibytes * 1024 })
}

/// The median. With an even number of values, the mean of the middle two. Zero if there are none.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }
}
