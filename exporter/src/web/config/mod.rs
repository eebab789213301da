//! `--web.config.file`: TLS, basic auth, headers and rate limit, in the format of Prometheus' exporter-toolkit.
//!
//! `section` and `file` read the text, `tls` makes a TLS configuration of it, `source` does both again when the files
//! change, and `live` has that done while the program runs. Nothing here answers a request.

mod file;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod live;
mod section;
mod source;
mod tls;

pub use file::{PasswordHash, RateLimit};
pub use live::Live;

#[cfg(any(test, feature = "fuzzing"))]
pub use file::WebConfig;
