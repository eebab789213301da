//! Single points: what differs between a backup and a collection, bringing back just that, and moving points as lines of JSON.
//!
//! A backup's points are read from a scratch collection, page by page in the order of ids, so that what is in memory is a few pages,
//! however many points there are.

mod bring_back;
mod by_id;
mod compare;
mod difference;
mod error;
mod fit;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod id;
mod ids_file;
mod input;
mod merge;
mod output;
mod page_size;
mod pages;
mod point;
mod progress;
mod source;
mod spool;
mod tally;
mod transfer;
mod walk;

pub use bring_back::{
    AnnouncePlan, BringBackContext, BroughtBack, PointsPlan, Wanted, WhichPoints, bring_back,
};
pub use compare::{CompareContext, Comparison, Outputs, compare};
pub use difference::Rules;
pub use error::PointsError;
pub use ids_file::read as read_ids;
pub use input::Input;
pub use output::Output;
pub use pages::Pages;
pub use point::Point;
pub use source::SourceOptions;
pub use transfer::{ExportContext, ImportContext, export_points, import_points};
pub use walk::{Found, walk};
