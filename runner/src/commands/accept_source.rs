//! `qdrant-backup accept-source`: confirms the current server as the source of the repository.

use std::collections::BTreeSet;

use qdrant_backup_shared::Status;

use super::{Refusal, client, listen, repository, stopped};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::session::Purpose;
use crate::settings::Settings;

/// Replaces the known peer ids with those of the server.
pub async fn accept_source(settings: &Settings, clock: Clock) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let client = client(settings, signals.token())?;
    let mut held = repository::enter(Purpose::Upkeep, settings, "accept-source", clock, &signals).await?;
    let session = &mut held.session;
    let mut peers = BTreeSet::new();
    for collection in client.collections().await.map_err(|error| stopped(error, &signals))? {
        let cluster = client.collection_cluster(&collection).await;
        peers.extend(cluster.map_err(|error| stopped(error, &signals))?.peer_ids());
    }
    if peers.is_empty() {
        return Err(Refusal::failed(format!(
            "Qdrant at {} has no collections, so it cannot be identified yet",
            client.url()
        )));
    }
    let known: BTreeSet<u64> = session.repository().known_peer_ids.iter().copied().collect();
    if known == peers {
        tracing::info!(
            "Qdrant at {} is already the confirmed source of this repository; nothing changed",
            client.url()
        );
    } else {
        let path = session.layout().repository_file();
        session
            .change_repository(|repository| repository.known_peer_ids = peers.into_iter().collect())
            .map_err(|error| Refusal::failed(format!("{}: cannot be written: {error}", path.display())))?;
        tracing::info!("Confirmed Qdrant at {} as the source of this repository", client.url());
    }
    let settle = |status: &mut Status| {
        status.source_changed = false;
        // The last run's warnings about it are settled.
        if let Some(run) = &mut status.last_run {
            run.warnings.retain(|warning| !warning.contains("`qdrant-backup accept-source`"));
        }
    };
    session.record(settle).map_err(Refusal::failed)?;
    Ok(Exit::Success)
}
