//! The backup stream: from the response's body to a finished, still nameless archive, in one pass.
//!
//! ```text
//! body ─┬─► count, SHA-256, look inside   (one thread)
//!       └─► compress, count, SHA-256, write   (another)
//! ```
//! Both threads work on the same reference-counted pieces; the bounded queues between them are all the
//! memory that a snapshot of any size takes.

mod blocks;
mod disk;
mod encoder;
mod feed;
mod gzip;
mod hashing;
mod receive;
mod throttle;
mod zstd;

pub use encoder::{Compression, Encoder};
pub use hashing::{Tally, TallyWriter};
pub use receive::{Progress, Received, StreamError, Target, io_kind, receive};
pub use throttle::Throttle;
