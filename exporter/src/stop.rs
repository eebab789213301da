//! Why the program does not start or go on.

/// What to tell, a line for each mistake and never a secret, and whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// What is configured cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// The system refuses.
    #[error("{0}")]
    Failure(String),
}

impl Stop {
    /// As for the runner: `EX_CONFIG` for what is configured.
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
