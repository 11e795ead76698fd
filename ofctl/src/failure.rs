//! Why a command failed, as the user reads it.

use ofp::text::TextError;
use std::fmt;
use std::io;

/// A text that was refused.
#[derive(Debug)]
pub struct BadText {
    /// File and line, if it is in a file.
    pub place: Option<(String, usize)>,
    /// The whole text.
    pub text: String,
    /// The word and what is wrong with it.
    pub error: TextError,
}

/// A failure; its text ends with a newline.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What the user typed, or a file holds, is wrong.
    #[error("{}", render(.0))]
    Text(Box<BadText>),
    /// The command line is wrong, or something can not be done.
    #[error("ofctl: {0}\n")]
    Plain(String),
    /// The switch answered with errors; already rendered.
    #[error("{0}")]
    Switch(String),
    /// The switch does not answer.
    #[error("ofctl: {0}: no answer in time\n")]
    TimedOut(String),
    /// Everything is said; the exit status tells the result.
    #[error("")]
    Status(u8),
    /// Our own output could not be written, or a file not be read.
    #[error("ofctl: {0}\n")]
    Io(#[from] io::Error),
}

impl Failure {
    /// From words.
    pub fn plain(message: impl Into<String>) -> Failure {
        Failure::Plain(message.into())
    }
    /// From an error in a text that was given as an argument.
    pub fn text(text: &str) -> impl Fn(TextError) -> Failure + '_ {
        move |error| Failure::text_at(None, text, error)
    }
    /// From an error in a text, and where that is.
    pub fn text_at(place: Option<(String, usize)>, text: &str, error: TextError) -> Failure {
        Failure::Text(Box::new(BadText {
            place,
            text: text.to_owned(),
            error,
        }))
    }
    /// Whether it only says that the reader of our output went away.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Result of a command.
pub type Result<T> = std::result::Result<T, Failure>;

/// The message, and the text with the word underlined.
fn render(bad: &BadText) -> String {
    let BadText { place, text, error } = bad;
    let place = match place {
        Some((file, line)) => format!("{file}:{line}: "),
        None => String::new(),
    };
    let mut out = format!("ofctl: {place}{error}\n");
    let before: String = text
        .chars()
        .take(
            text.get(..error.column - 1)
                .map_or(0, |t| t.chars().count()),
        )
        .collect();
    if !text.is_empty() && text.len() <= 400 && !text.contains('\n') {
        let under = "^".repeat(error.word.chars().count().max(1));
        let blank: String = before
            .chars()
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let _ = fmt::Write::write_fmt(&mut out, format_args!("    {text}\n    {blank}{under}\n"));
    }
    out
}
