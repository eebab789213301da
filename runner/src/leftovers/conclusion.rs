//! What is said of a leftover that was to be deleted, and what becomes of it in the status. Decided here for whoever deletes: runs,
//! restores, drills, and persons who say `--yes`.

use qdrant_backup_shared::Status;
use qdrant_backup_shared::status::ServerSnapshot;
use qdrant_backup_shared::text::one_line;

use super::deletion::Deletion;
use crate::qdrant::Error;
use crate::session::Session;

/// At most so many files that the server does not list are remembered.
const UNLISTED: usize = 100;

/// What for it was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A backup tidies up after itself, or after an earlier one.
    Backup,
    /// An uploaded file is not needed any more, or was not for long.
    Upload,
    /// An upload is over, and its collection is there: now the server must list the file.
    JustUploaded,
    /// A person was told of it and says `--yes`.
    Person {
        /// Whether it is a file that the server did not list when it was uploaded.
        unlisted: bool,
    },
}

/// How loud something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loud {
    /// All is as it should be.
    Fine,
    /// Somebody has to know.
    Warning,
    /// What a person asked for was not done.
    Error,
}

/// What becomes of a leftover in the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    /// A later run tries again.
    Stays,
    /// It is dealt with.
    Struck,
    /// It stays where only a person gets at it.
    Unlisted,
}

/// Says how the deletion of `leftover` ended, and changes the status accordingly, without writing it.
pub fn conclude(
    session: &mut Session,
    leftover: &ServerSnapshot,
    ended: &Result<Deletion, Error>,
    occasion: Occasion,
) {
    let (loud, record, text) = conclusion(leftover, ended, occasion);
    let text = one_line(&text);
    match (loud, occasion) {
        (Loud::Fine, Occasion::Person { .. }) => tracing::info!("{text}"),
        (Loud::Fine, Occasion::Backup | Occasion::Upload | Occasion::JustUploaded) => {
            tracing::debug!("{text}");
        }
        (Loud::Warning, _) => session.warn(text),
        (Loud::Error, _) => tracing::error!("{text}"),
    }
    match record {
        Record::Stays => {}
        Record::Struck => session.amend_status(|status| strike(status, leftover)),
        Record::Unlisted => session.amend_status(|status| {
            strike(status, leftover);
            status.unlisted_uploads.push(leftover.clone());
            let surplus = status.unlisted_uploads.len().saturating_sub(UNLISTED);
            status.unlisted_uploads.drain(..surplus);
        }),
    }
}

/// Takes all that is on record of `leftover` off it.
pub fn strike(status: &mut Status, leftover: &ServerSnapshot) {
    for list in
        [&mut status.undeleted_snapshots, &mut status.suspected_leftovers, &mut status.unlisted_uploads]
    {
        list.retain(|entry| entry != leftover);
    }
    status.unanswered_uploads.retain(|upload| upload.file != *leftover);
}

fn conclusion(
    leftover: &ServerSnapshot,
    ended: &Result<Deletion, Error>,
    occasion: Occasion,
) -> (Loud, Record, String) {
    let ServerSnapshot { name, collection, node_url, .. } = leftover;
    match ended {
        Ok(Deletion::Deleted) => {
            (Loud::Fine, Record::Struck, format!("Deleted snapshot {name} of {collection} on the server"))
        }
        // A server that keeps snapshots in S3 stores an upload on its own disk and lists what is in S3.
        Ok(Deletion::Gone) if occasion == Occasion::JustUploaded => (
            Loud::Warning,
            Record::Unlisted,
            format!(
                "the uploaded file {name} stays on the disk of {node_url}, in the snapshot folder of \"{collection}\": the server does \
                 not list it, as servers with snapshots in S3 do not, so it can only be deleted on that disk"
            ),
        ),
        Ok(Deletion::Gone) if occasion == (Occasion::Person { unlisted: true }) => (
            Loud::Warning,
            Record::Struck,
            format!(
                "Snapshot {name} of {collection} is not in the server's list: delete it on the server's disk; it is not remembered any \
                 more"
            ),
        ),
        Ok(Deletion::Gone) => (
            Loud::Fine,
            Record::Struck,
            format!("Snapshot {name} of {collection} is not on the server any more"),
        ),
        Ok(Deletion::Replaced) => {
            let text = match occasion {
                Occasion::Backup => format!(
                    "snapshot {name} of \"{collection}\" on the server is another one than was made for this backup; left alone"
                ),
                Occasion::Upload | Occasion::JustUploaded => format!(
                    "snapshot {name} of \"{collection}\" on the server is another one than ours was; left alone"
                ),
                Occasion::Person { .. } => format!(
                    "Another snapshot of {collection} is called {name} now; left alone, and no longer taken for ours"
                ),
            };
            (Loud::Warning, Record::Struck, text)
        }
        // Whoever says --yes has been told where it lies, and knows better than we can.
        Ok(Deletion::Unreachable) if matches!(occasion, Occasion::Person { .. }) => {
            (Loud::Warning, Record::Struck, format!("{}; no longer on record", unreachable(leftover)))
        }
        Ok(Deletion::Unreachable) => (Loud::Warning, Record::Stays, unreachable(leftover)),
        Err(error) => match occasion {
            Occasion::Backup => (
                Loud::Warning,
                Record::Stays,
                format!("{error}; the snapshot stays on the server until the next run deletes it"),
            ),
            Occasion::Upload | Occasion::JustUploaded => (
                Loud::Warning,
                Record::Stays,
                format!("{error}; the file {name} stays in the server's snapshot folder of \"{collection}\""),
            ),
            Occasion::Person { .. } => (
                Loud::Error,
                Record::Stays,
                format!("{error}; snapshot {name} of {collection} stays on the server"),
            ),
        },
    }
}

/// What to say of a snapshot of ours that only a person can delete.
fn unreachable(snapshot: &ServerSnapshot) -> String {
    format!(
        "{} stays in the server's snapshot folder of \"{}\", which cannot be reached because there is no such collection; delete it \
         there by hand, or a later run deletes it once there is one again",
        snapshot.name, snapshot.collection
    )
}
