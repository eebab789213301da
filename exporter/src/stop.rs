//! Why the program does not start or must stop.

/// The message, one line per problem and without secrets, and its cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The configuration is unusable.
    #[error("{0}")]
    Configuration(String),
    /// The system refuses.
    #[error("{0}")]
    Failure(String),
}

impl Stop {
    /// As for the runner: `EX_CONFIG` for configuration errors.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 78,
            Self::Failure(_) => 1,
        }
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Failure(format!("the system refuses: {error}"))
    }
}
