//! Single points: compares a backup with a collection, restores points, and exports and imports points as JSON lines.
//!
//! The points of a backup are read from a scratch collection, page by page in the order of ids, so that only a few pages are in
//! memory.

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
