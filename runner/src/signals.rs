//! Signals that ask the program to end: it tidies up first.

use std::sync::Arc;
use std::sync::OnceLock;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A signal that ends the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The terminal went away.
    Hangup,
    /// Ctrl-C.
    Interrupt,
    /// What service managers send.
    Terminate,
}

impl Signal {
    /// 128 and the signal's number, as shells report it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Hangup => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Listens for signals.
#[derive(Debug, Clone)]
pub struct Signals {
    token: CancellationToken,
    first: Arc<OnceLock<Signal>>,
}

impl Signals {
    /// Begins to listen. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn listen() -> std::io::Result<Self> {
        let signals = Self { token: CancellationToken::new(), first: Arc::new(OnceLock::new()) };
        let kinds = [
            (SignalKind::hangup(), Signal::Hangup),
            (SignalKind::interrupt(), Signal::Interrupt),
            (SignalKind::terminate(), Signal::Terminate),
        ];
        for (kind, name) in kinds {
            let mut stream = signal(kind)?;
            let signals = signals.clone();
            tokio::spawn(async move {
                if stream.recv().await.is_some() {
                    // Only the first signal counts; a second one changes nothing.
                    signals.first.set(name).unwrap_or(());
                    signals.token.cancel();
                }
            });
        }
        Ok(signals)
    }

    /// Cancelled by the first signal.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// The signal that came, if one did.
    pub fn received(&self) -> Option<Signal> {
        self.first.get().copied()
    }
}
