//! `--web.config.file`: TLS, basic auth, headers and rate limit, in the format of Prometheus' exporter-toolkit.
//!
//! `file` and `sections` read the text, `tls` makes a TLS configuration of it, `source` does both again when the files
//! change, and `live` has that done while the program runs. Nothing here answers a request.

mod client_certificates;
mod file;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod in_force;
mod live;
mod names;
mod section;
mod sections;
mod source;
mod tls;
mod validity;

pub use file::WebConfig;
pub use in_force::{InForce, LiveError};
pub use live::Live;
pub use sections::{PasswordHash, RateLimit};
