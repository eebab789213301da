//! One call of the program that writes: its catalog, status, and leftovers on the server.

mod call;
pub mod leftovers;
pub mod status_store;
pub mod warnings;

pub use call::{Begun, Finished, Purpose, Session, SessionError, overall};
