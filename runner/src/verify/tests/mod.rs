//! Backups of genuine snapshots, damaged in many ways.

mod corruption;
mod defects;
mod outcomes;
mod stored;
mod structure;
