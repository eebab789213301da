//! An observation as Prometheus metrics.

mod encode;
mod families;
mod process;
mod sheet;
mod table;

pub use encode::{openmetrics, text};
pub use families::{families, textfile_families};
pub use process::ProcessInfo;
pub use sheet::Family;
pub use table::{ALL, Metric, reference};
