//! The one error of this crate: an RFC 7047 `<error>` object, which is what a client sees.
//! Callers add nothing; the details name the offending word.

use std::fmt;

use serde_json::{Value, json};

/// The error words of RFC 7047 section 3.1 and 5.2, and those that its clients know besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A value, row or table breaks a rule of the schema, or the daemon refuses the change.
    ConstraintViolation,
    /// A strong reference names a row that does not exist (or would not exist any more).
    ReferentialIntegrityViolation,
    /// Two inserts of one transaction use the same `uuid-name`, or a `uuid` is in use.
    DuplicateUuid,
    /// Division by zero in a mutation.
    DomainError,
    /// A mutation leaves the range of its type.
    RangeError,
    /// A `wait` operation did not see its condition in time.
    TimedOut,
    /// The operation, option or function is known but not supported.
    NotSupported,
    /// An `abort` operation.
    Aborted,
    /// The request does not have the form that RFC 7047 demands.
    Syntax,
    /// A database name that is not here.
    UnknownDatabase,
    /// A table or column that is not in the schema.
    UnknownColumn,
    /// A function that conditions do not have.
    UnknownFunction,
    /// A mutator that mutations do not have.
    UnknownMutator,
    /// A monitor id that is not here.
    UnknownMonitor,
    /// A method that is not here.
    UnknownMethod,
    /// A limit of this server is reached.
    ResourcesExhausted,
    /// The log file cannot be written.
    Io,
    /// An `assert` operation on a lock that the session does not own.
    NotOwner,
    /// The request was cancelled by the client.
    Canceled,
}

impl ErrorKind {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ConstraintViolation => "constraint violation",
            Self::ReferentialIntegrityViolation => "referential integrity violation",
            Self::DuplicateUuid => "duplicate uuid-name",
            Self::DomainError => "domain error",
            Self::RangeError => "range error",
            Self::TimedOut => "timed out",
            Self::NotSupported => "not supported",
            Self::Aborted => "aborted",
            Self::Syntax => "syntax error",
            Self::UnknownDatabase => "unknown database",
            Self::UnknownColumn => "unknown column",
            Self::UnknownFunction => "unknown function",
            Self::UnknownMutator => "unknown mutator",
            Self::UnknownMonitor => "unknown monitor",
            Self::UnknownMethod => "unknown method",
            Self::ResourcesExhausted => "resources exhausted",
            Self::Io => "I/O error",
            Self::NotOwner => "not owner",
            Self::Canceled => "canceled",
        }
    }
}

/// An RFC 7047 error: a fixed word and text for humans.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// The error word.
    pub kind: ErrorKind,
    /// What exactly is wrong, naming the offending word. Never empty.
    pub details: String,
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.word(), self.details)
    }
}

impl Error {
    /// An error of `kind` that says `details`.
    pub fn new(kind: ErrorKind, details: impl Into<String>) -> Self {
        Self {
            kind,
            details: details.into(),
        }
    }

    /// A request that does not have the right form.
    pub fn syntax(details: impl Into<String>) -> Self {
        Self::new(ErrorKind::Syntax, details)
    }

    /// A value that the schema does not allow.
    pub fn constraint(details: impl Into<String>) -> Self {
        Self::new(ErrorKind::ConstraintViolation, details)
    }

    /// The same error with `place: ` in front of its details, to say where it was found.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.details = format!("{place}: {}", self.details);
        self
    }

    /// The RFC 7047 `<error>` object.
    pub fn to_json(&self) -> Value {
        json!({ "error": self.kind.word(), "details": self.details })
    }
}
