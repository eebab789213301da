//! The two text formats.

use std::borrow::Cow;
use std::fmt::Write;

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::sheet::Family;

/// The families in the text format 0.0.4.
pub fn text(families: &[Family]) -> String {
    let families: Vec<MetricFamily> = families.iter().map(prometheus_family).collect();
    let mut text = String::new();
    match TextEncoder::new().encode_utf8(&families, &mut text) {
        Ok(()) => text,
        // Only a family without a name or a sample causes an error, and `Sheet` makes none. Without `up`, the alert
        // fires.
        Err(error) => format!("# {error}\n"),
    }
}

fn prometheus_family(Family { metric, samples }: &Family) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    let is_counter = metric.kind == "counter";
    family.set_field_type(if is_counter { MetricType::COUNTER } else { MetricType::GAUGE });
    for (labels, value) in samples {
        let pairs = metric.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.clone());
            pair
        });
        let mut sample = Metric::from_label(pairs.collect());
        if is_counter {
            let mut counter = Counter::default();
            counter.set_value(*value);
            sample.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(*value);
            sample.set_gauge(gauge);
        }
        family.mut_metric().push(sample);
    }
    family
}

/// The families in OpenMetrics 1.0.0, which the library does not support: the same as the other format, but a
/// counter's family has no `_total` in its name, quotes in a help text are escaped, and the end is marked. Writing to
/// a string cannot fail.
pub fn openmetrics(families: &[Family]) -> String {
    let mut text = String::new();
    for Family { metric, samples } in families {
        let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        let (help, kind) = (escaped(metric.help), metric.kind);
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").unwrap_or_default();
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
    text + "# EOF\n"
}

fn escaped(value: &str) -> Cow<'_, str> {
    if value.contains(['\\', '"', '\n']) {
        value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").into()
    } else {
        value.into()
    }
}
