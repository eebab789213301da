//! One recorded change of a file system.

use std::fmt;

/// The identity of a file or directory, independent of its name (like an inode number).
pub(crate) type Id = usize;

/// The watched directory.
pub(crate) const ROOT: Id = 0;

/// A change with its time.
#[derive(Debug, Clone)]
pub struct Step {
    /// In microseconds since 1970.
    pub at: i64,
    /// The change.
    pub change: Change,
}

/// A change, or a sync that makes something durable.
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Change {
    /// A file gets a name: its first or an additional one.
    Name {
        directory: Id,
        name: String,
        id: Id,
    },
    /// A new directory.
    MakeDirectory {
        directory: Id,
        name: String,
        id: Id,
    },
    Rename {
        directory: Id,
        from: String,
        to: String,
        id: Id,
    },
    Remove {
        directory: Id,
        name: String,
        id: Id,
    },
    Write {
        id: Id,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLength {
        id: Id,
        length: u64,
    },
    Sync {
        id: Id,
    },
}

impl Change {
    /// The directory whose entries it changes.
    pub fn directory(&self) -> Option<Id> {
        match self {
            Self::Name { directory, .. }
            | Self::MakeDirectory { directory, .. }
            | Self::Rename { directory, .. }
            | Self::Remove { directory, .. } => Some(*directory),
            Self::Write { .. } | Self::SetLength { .. } | Self::Sync { .. } => None,
        }
    }

    /// The file or directory that it changes.
    pub fn id(&self) -> Id {
        match self {
            Self::Name { id, .. }
            | Self::MakeDirectory { id, .. }
            | Self::Rename { id, .. }
            | Self::Remove { id, .. }
            | Self::Write { id, .. }
            | Self::SetLength { id, .. }
            | Self::Sync { id } => *id,
        }
    }
}

impl fmt::Debug for Change {
    /// The change without the data that is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { directory, name, id } => write!(f, "name {directory}/{name} for {id}"),
            Self::MakeDirectory { directory, name, id } => write!(f, "mkdir {directory}/{name} as {id}"),
            Self::Rename { directory, from, to, id } => write!(f, "rename {directory}/{from} to {to} ({id})"),
            Self::Remove { directory, name, id } => write!(f, "remove {directory}/{name} ({id})"),
            Self::Write { id, offset, bytes } => write!(f, "write {id} at {offset}, {} bytes", bytes.len()),
            Self::SetLength { id, length } => write!(f, "truncate {id} to {length}"),
            Self::Sync { id } => write!(f, "sync {id}"),
        }
    }
}
