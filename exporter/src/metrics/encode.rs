//! The two text formats.

use std::borrow::Cow;
use std::fmt::Write;

use super::sheet::Family;

/// The families in the text format 0.0.4.
pub fn text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        push(&mut text, family, family.metric.name, family.metric.help);
    }
    text
}

/// The families in OpenMetrics 1.0.0: as in the other format, but a counter's family is called without `_total`, quotes in a
/// help text are escaped, and the end is marked.
pub fn openmetrics(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let name = family.metric.name;
        push(&mut text, family, name.strip_suffix("_total").unwrap_or(name), &escaped(family.metric.help));
    }
    text + "# EOF\n"
}

/// Adds a family that is called `name`. Writing to a string cannot fail.
fn push(text: &mut String, Family { metric, samples }: &Family, name: &str, help: &str) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", metric.kind).unwrap_or_default();
    for (labels, value) in samples {
        text.push_str(metric.name);
        let mut before = "{";
        for (label, value) in metric.labels.iter().zip(labels) {
            text.extend([before, label, "=\"", &escaped(value), "\""]);
            before = ",";
        }
        text.push_str(if labels.is_empty() { " " } else { "} " });
        writeln!(text, "{value}").unwrap_or_default();
    }
}

fn escaped(value: &str) -> Cow<'_, str> {
    if value.contains(['\\', '"', '\n']) {
        value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").into()
    } else {
        value.into()
    }
}
