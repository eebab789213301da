//! Crashes: what a run of the program asks of its file system is recorded, and every state that a kill or a power failure
//! may leave of it is made.
//!
//! `trace` reads what strace wrote down, `recorder` makes changes of a disk of it, `disk` knows which of them last, `power` makes
//! the states, and `mutation` takes a defence out of a recording. What must hold in each state is the tests' to say.

mod change;
mod disk;
mod mutation;
mod power;
mod recorder;
mod recording;
mod trace;
mod tree;

pub use change::{Change, Step};
pub use mutation::Mutation;
pub use power::states_after;
pub use recording::{Recording, record};
pub use tree::{Blob, Node, Stage, Tree};
