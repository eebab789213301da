//! The cron or systemd entry that starts `qdrant-backup run`. It is generated from the files of the package.

pub mod calendar;
mod command_line;
mod cron;
pub mod fields;
mod installed;
mod systemd;

pub use command_line::CommandLine;
pub use cron::{Kept, cron_file};
pub use fields::CronFields;
pub use installed::{
    CRON, Installed, Place, SERVICE, SERVICE_DROP_IN, TIMER, TIMER_DROP_IN, cron_runs, is_packaged,
    is_started_by,
};
pub use systemd::{Form, Service, timer};
