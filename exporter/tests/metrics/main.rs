//! What the exporter finds in directories of every kind, and what it says of them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails its test")]

mod caches;
mod churn;
mod damage;
mod formats;
mod golden;
mod place;
mod random;
mod situations;
mod tools;
