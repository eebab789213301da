//! `qdrant-backup accept-source`: the server that answers now is the one to back up.

use std::collections::BTreeSet;

use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::json_file;
use tokio_util::sync::CancellationToken;

use super::{Refusal, client, place};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::session::status_store::StatusStore;
use crate::settings::Settings;

/// Replaces the known peer ids by those that the server shows.
pub async fn accept_source(settings: &Settings, clock: Clock) -> Result<Exit, Refusal> {
    let layout = place::layout(settings);
    let client = client(settings, CancellationToken::new())?;
    place::open(&layout)?;
    place::make_state_directory(&layout)?;
    let _lock = place::lock(settings, &layout, "accept-source", clock).await?;
    let mut repository = place::open(&layout)?;
    let mut peers = BTreeSet::new();
    for collection in client.collections().await.map_err(Refusal::failed)? {
        peers.extend(client.collection_cluster(&collection).await.map_err(Refusal::failed)?.peer_ids());
    }
    if peers.is_empty() {
        return Err(Refusal::failed(format!(
            "Qdrant at {} has no collections, so it cannot be told apart yet",
            client.url()
        )));
    }
    let known: BTreeSet<u64> = repository.known_peer_ids.iter().copied().collect();
    if known == peers {
        tracing::info!("Qdrant at {} is the known source already; nothing changed", client.url());
    } else {
        repository.known_peer_ids = peers.into_iter().collect();
        let path = layout.repository_file();
        json_file::write(&path, &repository)
            .map_err(|error| Refusal::failed(format!("{}: cannot be written: {error}", path.display())))?;
        tracing::info!("Qdrant at {} is the source of this repository from now on", client.url());
    }
    let catalog = Catalog::read(&layout).map_err(Refusal::failed)?;
    let (mut store, warnings) = StatusStore::open(&layout, &catalog, &place::hostname(), clock.now());
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    store.update(|status| status.source_changed = false).map_err(Refusal::failed)?;
    Ok(Exit::Success)
}
