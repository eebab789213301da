//! One call of the program that writes: what it works on, what it notes, and what it leaves on the server.

mod call;
pub mod leftovers;
pub mod status_store;
pub mod warnings;

pub use call::{Begun, Finished, Purpose, Session, SessionError, overall};
