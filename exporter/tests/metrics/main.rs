//! What the exporter finds and reports in directories of every kind.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod caches;
mod cases;
mod churn;
mod damage;
#[path = "../../../shared/tests/directories/mod.rs"]
mod directories;
mod formats;
mod golden;
mod random;
mod settings;
mod situations;
#[cfg(feature = "outside")]
mod tools;
mod verdict;
mod watched;
