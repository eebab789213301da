//! The web server: who may come in, what is asked, and the answers.
//!
//! `server` accepts and serves connections, `limits` says how many there may be and how long each may take. `gate`
//! decides who is answered, `routes` what is answered.

mod answer;
mod auth;
mod complaints;
mod config;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod limits;
mod negotiate;
mod routes;
mod server;

pub use config::Live;
pub use routes::check_telemetry_path;
pub use server::{Server, listen};
