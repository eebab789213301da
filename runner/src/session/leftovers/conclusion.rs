//! The message and the change of the status after the deletion of a leftover, for all callers: runs, restores,
//! drills, and users with `--yes`.

use qdrant_backup_shared::Status;
use qdrant_backup_shared::status::ServerSnapshot;
use qdrant_backup_shared::text::one_line;

use super::deletion::Deletion;
use crate::qdrant::Error;
use crate::session::Session;

/// Maximum number of recorded files that the server does not list.
const UNLISTED: usize = 100;

/// Who requested the deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A run that no longer needs it, or a later one.
    Run,
    /// A run that has just uploaded it to an existing collection: now the server must list the file.
    JustUploaded,
    /// A user with `--yes`.
    Person {
        /// Whether it is a file that the server did not list when it was uploaded.
        unlisted: bool,
    },
}

/// What happens to a leftover in the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    /// A later run tries again.
    Stays,
    /// It is removed.
    Struck,
    /// Only a user can delete it.
    Unlisted,
}

/// Logs the result of deleting `leftover`, and changes the status without writing it.
pub fn conclude(
    session: &mut Session,
    leftover: &ServerSnapshot,
    ended: &Result<Deletion, Error>,
    occasion: Occasion,
) {
    let (record, is_well, text) = conclusion(leftover, ended, occasion);
    let text = one_line(&text);
    let is_asked = matches!(occasion, Occasion::Person { .. });
    match (is_well, is_asked) {
        (true, true) => tracing::info!("{text}"),
        (true, false) => tracing::debug!("{text}"),
        (false, true) if ended.is_err() => tracing::error!("{text}"),
        (false, _) => session.warn(text),
    }
    session.amend_status(|status| match record {
        Record::Stays => {}
        Record::Struck => strike(status, leftover),
        Record::Unlisted => {
            strike(status, leftover);
            status.unlisted_uploads.push(leftover.clone());
            let surplus = status.unlisted_uploads.len().saturating_sub(UNLISTED);
            status.unlisted_uploads.drain(..surplus);
        }
    });
}

/// Removes all records of `leftover`.
pub fn strike(status: &mut Status, leftover: &ServerSnapshot) {
    for list in
        [&mut status.undeleted_snapshots, &mut status.suspected_leftovers, &mut status.unlisted_uploads]
    {
        list.retain(|entry| entry != leftover);
    }
    status.unanswered_uploads.retain(|upload| upload.file != *leftover);
}

/// The change of the record, whether this is normal, and the message.
fn conclusion(
    leftover: &ServerSnapshot,
    ended: &Result<Deletion, Error>,
    occasion: Occasion,
) -> (Record, bool, String) {
    let ServerSnapshot { name, collection, node_url, .. } = leftover;
    match (ended, occasion) {
        (Ok(Deletion::Deleted), _) => {
            (Record::Struck, true, format!("Deleted snapshot {name} of {collection} on the server"))
        }
        // A server with snapshots in S3 stores an upload on its own disk, but lists the files in S3.
        (Ok(Deletion::Gone), Occasion::JustUploaded) => {
            let text = format!(
                "the uploaded file {name} stays on the disk of {node_url}, in the snapshot directory of \
                 \"{collection}\": servers with snapshots in S3 do not list it, so it can only be deleted on \
                 that disk"
            );
            (Record::Unlisted, false, text)
        }
        (Ok(Deletion::Gone), Occasion::Person { unlisted: true }) => {
            let text = format!(
                "Snapshot {name} of {collection} is not in the server's list: delete it on the server's disk; it is no longer on record"
            );
            (Record::Struck, false, text)
        }
        (Ok(Deletion::Gone), _) => {
            (Record::Struck, true, format!("Snapshot {name} of {collection} is no longer on the server"))
        }
        (Ok(Deletion::Replaced), _) => {
            let text = format!(
                "Another snapshot of {collection} is now called {name}: it is not the one that was made for \
                 this backup, so it is left alone and no longer on record"
            );
            (Record::Struck, false, text)
        }
        // With --yes, the user knows where it is.
        (Ok(Deletion::Unreachable), Occasion::Person { .. }) => {
            let text = format!(
                "{}; delete it there by hand: it is no longer on record, so no run will do it",
                unreachable(leftover)
            );
            (Record::Struck, false, text)
        }
        (Ok(Deletion::Unreachable), _) => {
            let text = format!(
                "{}; delete it there by hand, or a later run deletes it when the collection exists again",
                unreachable(leftover)
            );
            (Record::Stays, false, text)
        }
        (Err(error), _) => {
            let text = format!(
                "{error}; the snapshot stays on the server until the next run deletes it: {name} of \"{collection}\""
            );
            (Record::Stays, false, text)
        }
    }
}

/// The message about a snapshot of ours that only a user can delete.
fn unreachable(snapshot: &ServerSnapshot) -> String {
    format!(
        "{} stays in the server's snapshot directory of \"{}\", which is unreachable because there is no \
         such collection",
        snapshot.name, snapshot.collection
    )
}

#[cfg(test)]
mod tests {
    use qdrant_backup_shared::CollectionName;

    use super::*;

    fn leftover(name: &str) -> ServerSnapshot {
        let collection = CollectionName::new("docs").unwrap();
        let node_url = "http://qdrant:6333/".to_owned();
        ServerSnapshot { collection, shard_id: None, node_url, name: name.to_owned(), checksum: None }
    }

    #[test]
    fn a_leftover_stays_on_record_until_it_is_dealt_with_or_a_person_gives_it_up() {
        let (run, uploaded) = (Occasion::Run, Occasion::JustUploaded);
        let person = |unlisted| Occasion::Person { unlisted };
        let failed = || Err(Error::Interrupted);
        // The result, the occasion, the effect on the record, whether it succeeded, and a part of the message.
        let table = [
            (Ok(Deletion::Deleted), run, Record::Struck, true, "Deleted snapshot x of docs"),
            (Ok(Deletion::Gone), run, Record::Struck, true, "no longer on the server"),
            (Ok(Deletion::Gone), uploaded, Record::Unlisted, false, "on the disk of http://qdrant:6333/"),
            (Ok(Deletion::Gone), person(true), Record::Struck, false, "delete it on the server's disk"),
            (Ok(Deletion::Gone), person(false), Record::Struck, true, "no longer on the server"),
            (Ok(Deletion::Replaced), run, Record::Struck, false, "left alone"),
            (Ok(Deletion::Replaced), person(false), Record::Struck, false, "left alone"),
            (Ok(Deletion::Unreachable), run, Record::Stays, false, "there is no such collection"),
            (Ok(Deletion::Unreachable), uploaded, Record::Stays, false, "there is no such collection"),
            (Ok(Deletion::Unreachable), person(true), Record::Struck, false, "no longer on record"),
            (failed(), run, Record::Stays, false, "stays on the server"),
            (failed(), person(false), Record::Stays, false, "stays on the server"),
        ];
        for (ended, occasion, record, is_well, says) in table {
            let (became, well, text) = conclusion(&leftover("x"), &ended, occasion);
            assert_eq!((became, well), (record, is_well), "{ended:?} {occasion:?}");
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn what_is_struck_is_on_no_list_and_others_stay() {
        let mut status = Status::new("1".to_owned(), "host".to_owned());
        let both = vec![leftover("x"), leftover("y")];
        status.undeleted_snapshots.clone_from(&both);
        status.suspected_leftovers.clone_from(&both);
        status.unlisted_uploads = both;
        strike(&mut status, &leftover("x"));
        let left = [leftover("y")];
        assert_eq!(status.undeleted_snapshots, left);
        assert_eq!((status.suspected_leftovers, status.unlisted_uploads), (left.to_vec(), left.to_vec()));
    }
}
