//! The web server: access control, routes and answers.
//!
//! `server` accepts and serves connections, and `limits` restricts their number and duration. `gate` decides whether
//! a request is answered, and `routes` answers it.

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
