//! The server for scratch collections: a separate one, or on request the one that is backed up.

use tokio_util::sync::CancellationToken;

use super::{Refusal, client, client_for_other};
use crate::qdrant::Client;
use crate::settings::{OtherServer, Settings};

/// Purpose of the server, for messages.
#[derive(Debug, Clone, Copy)]
pub struct For {
    /// As in `no server to drill on`.
    pub lacking: &'static str,
    /// As in `use --on-source to drill on`.
    pub doing: &'static str,
}

/// The client, and whether it is the server that is backed up (only with `--on-source`).
///
/// # Errors
/// When no server is named, or its client cannot be made.
pub fn scratch_server(
    settings: &Settings,
    on_source: bool,
    words: For,
    token: &CancellationToken,
) -> Result<(Client, bool), Refusal> {
    match other_server(settings, on_source, words)? {
        None => Ok((client(settings, token.clone())?, true)),
        Some(other) => Ok((client_for_other(settings, &other, token.clone())?, false)),
    }
}

/// The separate server. None with `--on-source`.
///
/// # Errors
/// When no server is named.
pub fn other_server(
    settings: &Settings,
    on_source: bool,
    words: For,
) -> Result<Option<OtherServer>, Refusal> {
    let is_source = |other: &OtherServer| other.url.as_url() == settings.qdrant.url.as_url();
    let other = settings.restore_to.clone().or_else(|| settings.drill.server());
    let source = settings.qdrant.url.value.to_string();
    match other {
        _ if on_source => Ok(None),
        Some(other) if !is_source(&other) => Ok(Some(other)),
        Some(_) | None => Err(Refusal::configuration(format!(
            "{}: set drill.url or --to, or use --on-source to {} {source} itself, which needs two to three \
             times the collection's disk and memory",
            words.lacking, words.doing
        ))),
    }
}
