//! `qdrant-backup prune --server-leftovers`: snapshots on the server that are ours, or may be.

use qdrant_backup_shared::status::ServerSnapshot;
use qdrant_backup_shared::{Layout, Status};

use super::{Refusal, client, listen, repository, stopped};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::host::signals::Signals;
use crate::qdrant::{Client, Error};
use crate::session::Purpose;
use crate::session::leftovers::{Occasion, Standing, conclude, delete_ours, look};
use crate::session::status_store;
use crate::settings::Settings;

/// Whose a file is that the server did not list when it was uploaded.
const UNLISTED: &str = "ours, on its disk";

/// Lists what the status records, or deletes what of it the server still lists under that name with that checksum.
pub async fn server_leftovers(settings: &Settings, yes: bool, clock: Clock) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let layout = repository::layout(settings);
    let client = client(settings, signals.token())?;
    repository::open(&layout)?;
    if yes { delete(settings, &client, &signals, clock).await } else { list(&layout, &client).await }
}

async fn list(layout: &Layout, client: &Client) -> Result<Exit, Refusal> {
    let status = status_store::look(layout).map_err(Refusal::failed)?;
    let recorded = status.as_ref().map(recorded).unwrap_or_default();
    let mut rows = Vec::new();
    for (snapshot, whose) in &recorded {
        let state = if *whose == UNLISTED {
            "not in the server's list"
        } else if snapshot.node_url == client.url() {
            state(client, snapshot).await.map_err(Refusal::failed)?
        } else {
            "not asked: another URL"
        };
        rows.push(vec![
            snapshot.collection.to_string(),
            snapshot.name.clone(),
            (*whose).to_owned(),
            state.to_owned(),
            snapshot.node_url.clone(),
        ]);
    }
    let header = ["COLLECTION", "SNAPSHOT", "WHOSE", "NOW", "SERVER"];
    output::print(&output::table(&header, &[], rows)).map_err(Refusal::failed)?;
    if recorded.is_empty() {
        tracing::info!("No snapshot of ours is known to be left on a server");
    } else {
        tracing::info!(
            "`qdrant-backup prune --server-leftovers --yes` deletes those that are there, also those that are only perhaps ours"
        );
    }
    Ok(Exit::Success)
}

/// All recorded leftovers, each with how sure it is that it is ours.
fn recorded(status: &Status) -> Vec<(ServerSnapshot, &'static str)> {
    let ours = status.undeleted_snapshots.iter().map(|snapshot| (snapshot.clone(), "ours"));
    let suspected = status.suspected_leftovers.iter().map(|snapshot| (snapshot.clone(), "perhaps ours"));
    let unlisted = status.unlisted_uploads.iter().map(|snapshot| (snapshot.clone(), UNLISTED));
    ours.chain(suspected).chain(unlisted).collect()
}

async fn state(client: &Client, snapshot: &ServerSnapshot) -> Result<&'static str, Error> {
    Ok(match look(client, snapshot).await? {
        Standing::There(_) => "there",
        Standing::Gone => "gone",
        Standing::Replaced => "another one has its name",
        Standing::Unreachable => "out of reach: its collection is gone",
    })
}

async fn delete(
    settings: &Settings,
    client: &Client,
    signals: &Signals,
    clock: Clock,
) -> Result<Exit, Refusal> {
    let mut held = repository::enter(Purpose::Upkeep, settings, "prune", clock, signals).await?;
    let session = &mut held.session;
    let recorded = recorded(session.status());
    if recorded.is_empty() {
        tracing::info!("No snapshot of ours is known to be left on a server");
    }
    let mut exit = Exit::Success;
    for (snapshot, whose) in recorded {
        if snapshot.node_url != client.url() {
            tracing::warn!(
                "Snapshot {} of {} is on {}; `--url` says which server to ask",
                snapshot.name,
                snapshot.collection,
                snapshot.node_url
            );
            continue;
        }
        let ended = delete_ours(client, &snapshot).await;
        if let Err(error @ Error::Interrupted) = ended {
            return Err(stopped(error, signals));
        }
        conclude(session, &snapshot, &ended, Occasion::Person { unlisted: whose == UNLISTED });
        match ended {
            Ok(_) => session.record(|_| {}).map_err(Refusal::failed)?,
            Err(_) => exit = Exit::Failed,
        }
    }
    Ok(exit)
}
