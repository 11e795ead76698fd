//! The one error of `vsctl`: what it prints after `vsctl: ` and the exit code it ends with.

/// Why a run stops. Every text is one line that names the offending word.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was typed is wrong, or does not fit the database.
    #[error("{0}")]
    Usage(String),
    /// The database cannot be reached, broke off, or refused the change.
    #[error(transparent)]
    Client(#[from] ovsdb::client::Error),
    /// The change is stored, but these interfaces do not work: name and cause.
    #[error("{}", set_up(.0))]
    SetUp(Vec<(String, String)>),
    /// The answer is the exit code (`br-exists`).
    #[error("")]
    Answer(u8),
    /// A `wait-until` whose condition does not hold yet: run everything again when the database has changed.
    #[error("the condition does not hold yet")]
    NotYet,
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The exit code: scripts for the stock tool rely on 1, 2 and 142 (128 + SIGALRM); 65 is `EX_DATAERR`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Client(ovsdb::client::Error::TimedOut(_)) => 142,
            Self::SetUp(_) => 65,
            Self::Answer(code) => *code,
            _ => 1,
        }
    }
}

fn set_up(failures: &[(String, String)]) -> String {
    let lines: Vec<_> = failures
        .iter()
        .map(|(name, cause)| format!("Error detected while setting up '{name}': {cause}"))
        .collect();
    lines.join("\nvsctl: ")
}

/// Returns from the function with a [`Error::Usage`] made of a format string.
macro_rules! fail {
    ($($format:tt)*) => { return Err($crate::error::Error::Usage(format!($($format)*))) };
}
pub(crate) use fail;
