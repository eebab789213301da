//! The two text formats.

use std::borrow::Cow;
use std::fmt::Write;

use prometheus::TextEncoder;
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use super::sheet::Family;
use super::table::Kind;

/// The families in the text format 0.0.4.
pub fn text(families: &[Family]) -> String {
    let families: Vec<MetricFamily> = families.iter().map(prometheus_family).collect();
    let mut text = String::new();
    match TextEncoder::new().encode_utf8(&families, &mut text) {
        Ok(()) => text,
        // Only a family without a name or a sample is refused, and `Sheet` makes none. Without `up`, the
        // alert on the exporter fires.
        Err(error) => format!("# {error}\n"),
    }
}

fn prometheus_family(family: &Family) -> MetricFamily {
    let Family { metric, samples } = family;
    let samples = samples.iter().map(|(labels, value)| {
        let pairs = metric.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.clone());
            pair
        });
        let mut sample = proto::Metric::from_label(pairs.collect());
        match metric.kind {
            Kind::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(*value);
                sample.set_gauge(gauge);
            }
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(*value);
                sample.set_counter(counter);
            }
        }
        sample
    });
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Gauge => MetricType::GAUGE,
        Kind::Counter => MetricType::COUNTER,
    });
    family.mut_metric().extend(samples);
    family
}

/// The families in OpenMetrics 1.0.0, which the library does not write: as the other format, but a counter's family is called
/// without `_total`, quotes in a help text are escaped, and the end is marked.
pub fn openmetrics(families: &[Family]) -> String {
    let mut text = String::new();
    for Family { metric, samples } in families {
        let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        let (help, kind) = (escaped(metric.help), metric.kind.as_str());
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
    text + "# EOF\n"
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
