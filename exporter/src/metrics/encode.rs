//! The two text formats.

use std::fmt::Write;

use prometheus::TextEncoder;
use prometheus::proto::{LabelPair, MetricFamily, MetricType};

/// The families in the text format 0.0.4.
pub fn text(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    match TextEncoder::new().encode_utf8(families, &mut text) {
        Ok(()) => text,
        // Only a family without a name or a sample is refused, and `families` makes none. Without `up`, the
        // alert on the exporter fires.
        Err(error) => format!("# {error}\n"),
    }
}

/// The families in OpenMetrics 1.0.0: as the other format, but a counter's family is called without `_total`,
/// quotes in a help text are escaped, and the end is marked. Knows gauges and counters only.
pub fn openmetrics(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    for family in families {
        let name = family.name();
        let counter = family.get_field_type() == MetricType::COUNTER;
        let (kind, family_name) =
            if counter { ("counter", name.strip_suffix("_total").unwrap_or(name)) } else { ("gauge", name) };
        push(&mut text, format_args!("# HELP {family_name} {}\n", escaped(family.help())));
        push(&mut text, format_args!("# TYPE {family_name} {kind}\n"));
        for sample in family.get_metric() {
            let value =
                if counter { sample.get_counter().get_value() } else { sample.get_gauge().get_value() };
            text.push_str(name);
            push_labels(&mut text, sample.get_label());
            push(&mut text, format_args!(" {value}\n"));
        }
    }
    text.push_str("# EOF\n");
    text
}

fn push_labels(text: &mut String, labels: &[LabelPair]) {
    let mut before = '{';
    for label in labels {
        push(text, format_args!("{before}{}=\"{}\"", label.name(), escaped(label.value())));
        before = ',';
    }
    if !labels.is_empty() {
        text.push('}');
    }
}

fn escaped(value: &str) -> std::borrow::Cow<'_, str> {
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
