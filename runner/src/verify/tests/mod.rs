//! Backups made of genuine snapshots, damaged in every way that comes to mind.

mod corruption;
mod defects;
mod outcomes;
mod stored;
mod structure;
