//! End-to-end tests of the built exporter: what it answers, whom, and that nobody can stop it.

#![cfg_attr(
    not(feature = "outside"),
    allow(dead_code, unused_imports, reason = "the tests that need other programs or root use the rest")
)]

mod answers;
#[cfg(feature = "outside")]
mod browser;
mod crowd;
#[cfg(feature = "outside")]
mod dashboard;
mod flags;
mod lifecycle;
#[cfg(feature = "outside")]
mod other_user;
#[cfg(feature = "outside")]
mod prometheus;
mod situations;
mod web_config;
