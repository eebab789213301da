//! The web server: who may come in, what is asked, and the answers.
//!
//! `server` accepts connections, `connection` serves one, `visitors` bounds how many there are and how long each
//! may dawdle. `gate` decides who is answered, `routes` what is answered. Whatever clients do, memory stays bounded
//! and the next scrape is answered.

mod answer;
mod auth;
mod complaints;
mod config;
mod connection;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod gate;
mod listen;
mod negotiate;
mod queue;
mod rate;
mod routes;
mod server;
mod turns;
mod visitors;

pub use config::{Live, LiveError};
pub use listen::{ListenError, listen};
pub use routes::{Paths, PathsError};
pub use server::{Server, Site};
