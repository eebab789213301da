//! Scaffold.

pub mod settings;
