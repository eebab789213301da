//! `qdrant-backup prune --server-leftovers`: leftover snapshots on the server and the other nodes of its cluster.

use qdrant_backup_shared::status::ServerSnapshot;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{Layout, Status};

use super::{Refusal, client, listen, repository, stopped};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::host::signals::Signals;
use crate::qdrant::{Client, Error, Nodes};
use crate::session::Purpose;
use crate::session::leftovers::{Occasion, Standing, conclude, delete_ours, look};
use crate::session::status_store;
use crate::settings::Settings;

/// Owner column for an uploaded file that the server did not list.
const UNLISTED: &str = "ours, on its disk";

/// Lists the recorded leftovers, or deletes those that their node still lists with the same name and checksum.
pub async fn server_leftovers(settings: &Settings, yes: bool, clock: Clock) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let layout = repository::layout(settings);
    let client = client(settings, signals.token())?;
    repository::open(settings)?;
    if yes {
        delete(settings, client, &signals, clock).await
    } else {
        list(settings, &layout, client, &signals).await
    }
}

async fn list(
    settings: &Settings,
    layout: &Layout,
    client: Client,
    signals: &Signals,
) -> Result<Exit, Refusal> {
    let status = status_store::look(layout).map_err(Refusal::failed)?;
    let recorded = status.as_ref().map(recorded).unwrap_or_default();
    let servers = Servers::of(settings, client, &recorded).await.map_err(|error| stopped(error, signals))?;
    let has_shards = recorded.iter().any(|(snapshot, _)| snapshot.shard_id.is_some());
    let mut exit = Exit::Success;
    let mut rows = Vec::new();
    for (snapshot, whose) in &recorded {
        let state = if *whose == UNLISTED {
            "not in the server's list"
        } else if let Some(client) = servers.at(&snapshot.node_url) {
            match state(client, snapshot).await {
                Ok(state) => state,
                Err(error @ Error::Interrupted) => return Err(stopped(error, signals)),
                Err(error) => {
                    tracing::error!("{}", one_line(&error.to_string()));
                    exit = Exit::Failed;
                    "unknown: its server did not answer"
                }
            }
        } else {
            "unknown: another URL"
        };
        let mut row = vec![snapshot.collection.to_string()];
        if has_shards {
            row.push(snapshot.shard_id.map(|id| id.to_string()).unwrap_or_default());
        }
        row.extend([snapshot.name.clone(), (*whose).to_owned(), state.to_owned(), snapshot.node_url.clone()]);
        rows.push(row);
    }
    let header: &[&str] = if has_shards {
        &["COLLECTION", "SHARD", "SNAPSHOT", "WHOSE", "NOW", "SERVER"]
    } else {
        &["COLLECTION", "SNAPSHOT", "WHOSE", "NOW", "SERVER"]
    };
    output::print(&output::table(header, &[], rows)).map_err(Refusal::failed)?;
    if recorded.is_empty() {
        tracing::info!("No leftover snapshots of qdrant-backup are known on any server");
    } else {
        tracing::info!(
            "`qdrant-backup prune --server-leftovers --yes` deletes those that still exist, including those that are only possibly ours"
        );
    }
    Ok(exit)
}

/// The server, and the other nodes of its cluster, if there may be leftovers on them.
struct Servers {
    client: Client,
    nodes: Nodes,
}

impl Servers {
    /// Reads the nodes only if they are needed. If this fails, the server itself is still used.
    async fn of(
        settings: &Settings,
        client: Client,
        recorded: &[(ServerSnapshot, &'static str)],
    ) -> Result<Self, Error> {
        let elsewhere = recorded.iter().any(|(snapshot, _)| snapshot.node_url != client.url());
        let nodes = if elsewhere { client.nodes(&settings.qdrant.nodes).await } else { Ok(None) };
        let nodes = match nodes {
            Ok(nodes) => nodes.unwrap_or_default(),
            Err(error @ Error::Interrupted) => return Err(error),
            Err(error) => {
                tracing::warn!("{}; other nodes are not asked", one_line(&error.to_string()));
                Nodes::default()
            }
        };
        for warning in nodes.warnings() {
            tracing::warn!("{}", one_line(&warning));
        }
        Ok(Self { client, nodes })
    }

    /// The client for the server at that URL.
    fn at(&self, url: &str) -> Option<&Client> {
        let nodes = self.nodes.nodes.iter().map(|node| &node.client);
        std::iter::once(&self.client).chain(nodes).find(|client| client.url() == url)
    }
}

/// All recorded leftovers, with their owner column.
fn recorded(status: &Status) -> Vec<(ServerSnapshot, &'static str)> {
    let ours = status.undeleted_snapshots.iter().map(|snapshot| (snapshot.clone(), "ours"));
    let suspected = status.suspected_leftovers.iter().map(|snapshot| (snapshot.clone(), "possibly ours"));
    let unlisted = status.unlisted_uploads.iter().map(|snapshot| (snapshot.clone(), UNLISTED));
    ours.chain(suspected).chain(unlisted).collect()
}

async fn state(client: &Client, snapshot: &ServerSnapshot) -> Result<&'static str, Error> {
    Ok(match look(client, snapshot).await? {
        Standing::There(_) => "there",
        Standing::Gone => "gone",
        Standing::Replaced => "another snapshot has its name",
        Standing::Unreachable => "unreachable: its collection is gone",
    })
}

async fn delete(
    settings: &Settings,
    client: Client,
    signals: &Signals,
    clock: Clock,
) -> Result<Exit, Refusal> {
    let mut held = repository::enter(Purpose::Upkeep, settings, "prune", clock, signals).await?;
    let session = &mut held.session;
    let recorded = recorded(session.status());
    if recorded.is_empty() {
        tracing::info!("No leftover snapshots of qdrant-backup are known on any server");
    }
    let servers = Servers::of(settings, client, &recorded).await.map_err(|error| stopped(error, signals))?;
    let mut exit = Exit::Success;
    for (snapshot, whose) in recorded {
        let Some(client) = servers.at(&snapshot.node_url) else {
            tracing::warn!(
                "Snapshot {} of {} is on {}, which this command does not contact: give that server with `--url`, or list it in qdrant.nodes",
                snapshot.name,
                snapshot.collection,
                snapshot.node_url
            );
            // It may be on the node that does not answer.
            if !servers.nodes.lost.is_empty() {
                exit = Exit::Failed;
            }
            continue;
        };
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
