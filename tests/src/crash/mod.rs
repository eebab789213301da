//! Crashes: records which file system calls a run of the program makes, and generates every state that a kill or a
//! power failure can leave.
//!
//! `trace` parses the output of strace, `recorder` converts it to changes of a disk, `disk` tracks which of them are
//! durable, `power` generates the states, and `mutation` removes a defense from a recording. The tests define what
//! must hold in each state.

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
