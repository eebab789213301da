//! The status page: the state of the backups in words, for people, and the same as JSON.
//!
//! [`Report`] is made from an observation and the time by a pure function; `verdict` judges, `html` shows. Nothing
//! that is unknown is ever shown as fine.

mod chart;
mod explain;
mod html;
mod parts;
mod report;
#[cfg(feature = "schema")]
pub mod schema;
mod verdict;
mod words;

pub use html::{content_security_policy, html};
pub use report::{Report, json};
pub use verdict::{Finding, Kind, Severity, Verdict};
