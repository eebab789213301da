//! End-to-end tests of the built exporter: its answers, access control, and resistance to denial of service.

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
