//! A Qdrant stand-in: a real HTTP server on a real port that answers as the recordings in
//! `tests/data/recordings` do, serves genuine or generated snapshots, and fails on demand.

mod access;
mod answers;
mod body;
mod clock;
mod cluster;
mod collection;
mod collections_api;
mod content;
mod creation;
mod data;
mod download;
mod effect;
mod faults;
mod fill;
mod generated;
mod handler;
mod multipart;
mod points;
mod points_api;
mod request_log;
mod restore;
mod route;
mod server;
mod setup;
mod snapshots_api;
mod state;
mod tar_layout;
mod telemetry;
mod tls;
mod upload;

pub use clock::Clock;
pub use cluster::StandInCluster;
pub use collection::{Collection, Replica, Shard};
pub use content::Content;
pub use data::{GenuineSnapshot, Recording};
pub use effect::{Answer, Cut, Effect};
pub use faults::{Fault, Faults};
pub use fill::FillKind;
pub use generated::GeneratedSnapshot;
pub use points::Points;
pub use request_log::LoggedRequest;
pub use route::Endpoint;
pub use server::StandIn;
pub use setup::Setup;
pub use state::{Node, State, StoredSnapshot};
