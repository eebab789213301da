//! Why a client could not be created.

use std::path::PathBuf;

/// The HTTP client cannot be created from the configuration.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The file of certificates is unusable.
    #[error("CA file {}: {problem}", path.display())]
    CaFile {
        /// File with certificate authorities.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The client's certificate or its key is unusable.
    #[error("client {what} file {}: {problem}", path.display())]
    Identity {
        /// Certificate or key.
        what: &'static str,
        /// File of the client certificate or of its key.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The proxy's address is unusable.
    #[error("proxy {url}: {problem}")]
    Proxy {
        /// The address, without credentials.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A secret cannot be sent as a header.
    #[error("the API key has characters that an HTTP header cannot contain")]
    Header,
    /// The TLS library or the HTTP library refused.
    #[error("cannot set up HTTP: {problem}")]
    Setup {
        /// Message of the HTTP library.
        problem: String,
    },
}
