//! The entry by which cron or systemd starts `qdrant-backup run`: rendered from the files that the package ships, so that
//! there is one text of each.

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
