//! The backup stream: from the response body to a complete archive under a temporary name, in one pass.
//!
//! ```text
//! body ─┬─► count, SHA-256, look inside   (one thread)
//!       └─► compress, count, SHA-256, write   (another)
//! ```
//! Both threads use the same reference-counted pieces. Only the bounded queues need memory, for a snapshot of any size.

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
