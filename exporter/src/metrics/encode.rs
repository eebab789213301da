//! The two text formats.

use std::borrow::Cow;
use std::fmt::Write;

use super::sheet::Family;

/// The families in the text format 0.0.4.
pub fn text(families: &[Family]) -> String {
    encode(families, |name, help| (name, help.into()))
}

/// The families in OpenMetrics 1.0.0: as the other format, but a counter's family is called without `_total`,
/// quotes in a help text are escaped, and the end is marked.
pub fn openmetrics(families: &[Family]) -> String {
    encode(families, |name, help| (name.strip_suffix("_total").unwrap_or(name), escaped(help))) + "# EOF\n"
}

fn encode(
    families: &[Family],
    head: impl Fn(&'static str, &'static str) -> (&'static str, Cow<'static, str>),
) -> String {
    let mut text = String::new();
    for Family { metric, samples } in families {
        let (name, help) = head(metric.name, metric.help);
        let kind = metric.kind.as_str();
        push(&mut text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, value) in samples {
            text.push_str(metric.name);
            let mut before = '{';
            for (label, value) in metric.labels.iter().zip(labels) {
                push(&mut text, format_args!("{before}{label}=\"{}\"", escaped(value)));
                before = ',';
            }
            text.push_str(if labels.is_empty() { " " } else { "} " });
            push(&mut text, format_args!("{value}\n"));
        }
    }
    text
}

fn escaped(value: &str) -> Cow<'_, str> {
    if value.contains(['\\', '"', '\n']) {
        value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").into()
    } else {
        value.into()
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    text.write_fmt(what).unwrap_or_default();
}
