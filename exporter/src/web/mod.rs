//! The web server: who may come in, what is asked, and the answers.
//!
//! `server` accepts connections, `connection` serves one, `limits` says how many there may be and how long each may take.
//! `gate` decides who is answered, `routes` what is answered.

mod answer;
mod auth;
mod complaints;
mod config;
mod connection;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod gate;
mod limits;
mod listen;
mod negotiate;
mod queue;
mod rate;
mod routes;
mod server;

pub use config::Live;
pub use listen::listen;
pub use routes::check_telemetry_path;
pub use server::Server;
