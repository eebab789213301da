//! What the end-to-end tests share: the Qdrant stand-in, and the built programs called as their users would.

pub mod alertmanager;
pub mod cluster;
pub mod daemon;
pub mod dashboard;
pub mod directory;
pub mod exporter;
pub mod history;
pub mod http;
pub mod nodes;
pub mod offsite;
pub mod place;
pub mod plant;
pub mod programs;
pub mod prometheus;
pub mod qdrant_stand_in;
pub mod repository;
pub mod running;
pub mod scaled;
pub mod scene;
pub mod server;
pub mod users;
pub mod webhook;
pub mod week;

pub use alertmanager::Alertmanager;
pub use cluster::Cluster;
pub use directory::Directory;
pub use exporter::Exporter;
pub use history::History;
pub use nodes::Nodes;
pub use place::{Place, Ran, Stored};
pub use plant::Planted;
pub use prometheus::Prometheus;
pub use running::{Running, eventually, eventually_within};
pub use scene::Scene;
pub use server::Server;
pub use webhook::Webhook;
