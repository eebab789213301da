//! Scaffold.

pub mod config_file;
