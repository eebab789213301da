//! What is fuzzed of the exporter: its configuration, and whatever clients send. As in the shared crate's module of this name.

use qdrant_backup_shared::fuzzing::Target;

pub use crate::web::fuzzing::{request, request_head, web_configuration};

/// All of this crate.
pub const TARGETS: &[Target] =
    &[("request", request), ("request_head", request_head), ("web_configuration", web_configuration)];
