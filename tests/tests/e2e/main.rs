//! End-to-end tests of the built programs.

mod backup;
mod looking;
