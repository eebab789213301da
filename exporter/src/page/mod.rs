//! The status page: the state of the backups in words, for people, and the same as JSON.
//!
//! A pure function makes the [`Report`] from an observation and the time; `verdict` judges it and `html` renders it.
//! Unknown values are never shown as good.

mod chart;
mod explain;
mod html;
mod parts;
mod report;
mod verdict;
mod words;

pub use html::{content_security_policy, html};
#[cfg(feature = "schema")]
pub use report::schema;
pub use report::{Report, json};
pub use verdict::{Finding, Kind, Severity, Verdict};
