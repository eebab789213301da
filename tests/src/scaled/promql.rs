//! PromQL expressions: shortens ranges, thresholds in seconds and metrics that are durations. Timestamps stay.

use super::Scale;

/// The metric whose value is a duration.
const LENGTH: &str = "qdrant_backup_schedule_interval_seconds";

/// Thresholds in seconds.
const SECONDS: &[&str] = &["300", "600", "1800", "604800"];

/// Numbers that are not durations, and the one second by which two records of a backup's time may differ.
const FACTORS: &[&str] = &["0", "1", "2", "0.25", "0.5", "1.2"];

/// Functions, operators and labels.
const WORDS: &[&str] = &[
    "absent",
    "and",
    "collection",
    "collector",
    "group_left",
    "ignoring",
    "job",
    "last_over_time",
    "level",
    "max",
    "max_over_time",
    "operation",
    "or",
    "place",
    "predict_linear",
    "sum",
    "time",
    "unless",
    "up",
    "vector",
    "without",
];

/// The expression with all durations divided.
pub(super) fn scaled(expr: &str, scale: Scale) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        let run = |part: fn(char) -> bool| rest.find(|c| !part(c)).unwrap_or(rest.len());
        let length = match first {
            '"' => 2 + rest[1..].find('"').ok_or("a text does not end")?,
            '[' => {
                let end = rest.find(']').ok_or("a range does not end")?;
                out.push_str(&format!("[{}]", scale.duration(&rest[1..end])?));
                rest = &rest[end + 1..];
                continue;
            }
            '0'..='9' => {
                let length = run(|c| c.is_ascii_alphanumeric() || c == '.');
                out.push_str(&number(&rest[..length], scale)?);
                rest = &rest[length..];
                continue;
            }
            c if is_word(c) => {
                let length = run(is_word);
                let word = &rest[..length];
                if word == LENGTH {
                    rest = divided(rest, &mut out, scale)?;
                    continue;
                }
                known(word)?;
                length
            }
            c if c.is_whitespace() || "(){},=!<>+-*/".contains(c) => c.len_utf8(),
            other => return Err(format!("{other:?} is not known here")),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    Ok(out)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn known(word: &str) -> Result<(), String> {
    let is_length = word.ends_with("_seconds") && !word.ends_with("_timestamp_seconds");
    match word {
        _ if WORDS.contains(&word) => Ok(()),
        // Recorded series are computed from values that are already shortened.
        _ if word.starts_with("qdrant_backup:") => Ok(()),
        _ if word.starts_with("qdrant_backup_") && !is_length => Ok(()),
        _ => Err(format!("{word} is not known here; is it a length of time?")),
    }
}

fn number(text: &str, scale: Scale) -> Result<String, String> {
    if FACTORS.contains(&text) {
        return Ok(text.to_owned());
    }
    match text.parse::<f64>() {
        Ok(seconds) if SECONDS.contains(&text) => Ok(format!("{:?}", seconds / scale.0 as f64)),
        Ok(_) | Err(_) => Err(format!("it is unknown whether {text} is a duration")),
    }
}

/// Appends the selector of [`LENGTH`] at the start of `rest` to `out`, divided; if it has a range, with the call
/// around it. Returns the rest.
fn divided<'a>(rest: &'a str, out: &mut String, scale: Scale) -> Result<&'a str, String> {
    const CALL: &str = "last_over_time(";
    let mut end = LENGTH.len();
    if rest[end..].starts_with('{') {
        end += 1 + rest[end..].find('}').ok_or("a selector does not end")?;
    }
    let (selector, after) = rest.split_at(end);
    let Some(range) = after.strip_prefix('[') else {
        out.push_str(&format!("({selector} / {})", scale.0));
        return Ok(after);
    };
    let (range, after) = range.split_once("])").ok_or("a range of lengths is no call's only argument")?;
    if !out.ends_with(CALL) {
        return Err(format!("a range of {LENGTH} is not in {CALL}…)"));
    }
    out.truncate(out.len() - CALL.len());
    out.push_str(&format!("({CALL}{selector}[{}]) / {})", scale.duration(range)?, scale.0));
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_divided_and_points_in_time_are_not() {
        for (expr, expected) in [
            ("2 * last_over_time(INTERVAL[1h])", "2 * (last_over_time(INTERVAL[60000ms]) / 60)"),
            (
                "up > ignoring (job) group_left () INTERVAL{operation=\"backup\"}",
                "up > ignoring (job) group_left () (INTERVAL{operation=\"backup\"} / 60)",
            ),
            ("INTERVAL unless up", "(INTERVAL / 60) unless up"),
            (
                "time() - qdrant_backup_run_heartbeat_timestamp_seconds > 600",
                "time() - qdrant_backup_run_heartbeat_timestamp_seconds > 10.0",
            ),
            ("predict_linear(up[3d], 604800) < 0", "predict_linear(up[4320000ms], 10080.0) < 0"),
            ("up{job!=\"600 [1h]\"} * 1.2 >= 0.5 - 1", "up{job!=\"600 [1h]\"} * 1.2 >= 0.5 - 1"),
        ] {
            let full = |text: &str| text.replace("INTERVAL", LENGTH);
            assert_eq!(scaled(&full(expr), Scale(60)).unwrap(), full(expected));
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for expr in [
            "qdrant_backup_retention_seconds > 1",
            "rate(qdrant_backup_runs_total[1h])",
            "up > 900",
            "up > 1e3",
            "up @ 5",
            "up offset 5m",
            "max_over_time(up[1h:1m])",
            "up[1h",
            "up{job=\"a",
            "max_over_time(qdrant_backup_schedule_interval_seconds[1h])",
            "last_over_time(qdrant_backup_schedule_interval_seconds[1h] )",
        ] {
            assert!(scaled(expr, Scale(60)).is_err(), "{expr}");
        }
    }
}
