//! End-to-end tests of the built exporter: what it answers, whom, and that nobody can stop it.

mod answers;
mod browser;
mod crowd;
mod dashboard;
mod flags;
mod lifecycle;
mod other_user;
mod prometheus;
mod situations;
mod web_config;
