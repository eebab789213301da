//! What an observation says, in the words of Prometheus.

mod encode;
mod families;
mod process;

pub use encode::{openmetrics, text};
pub use families::families;
pub use process::ProcessInfo;
