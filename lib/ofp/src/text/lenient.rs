//! What becomes of the faults that Open vSwitch lets pass: errors by default, warnings on request.

use super::scan::{Result, TextError, Word};

/// Decides about the faults of one text.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// `None`: every fault is an error.
    warnings: Option<Vec<TextError>>,
}

impl Judge {
    /// One that lets pass what Open vSwitch lets pass.
    pub(super) fn lenient() -> Judge {
        Judge {
            warnings: Some(Vec::new()),
        }
    }
    pub(super) fn is_lenient(&self) -> bool {
        self.warnings.is_some()
    }
    /// What was let pass.
    pub(super) fn warnings(self) -> Vec<TextError> {
        self.warnings.unwrap_or_default()
    }
    /// A fault that may pass.
    pub(super) fn fault(&mut self, fault: TextError) -> Result<()> {
        match &mut self.warnings {
            Some(warnings) => {
                warnings.push(fault);
                Ok(())
            }
            None => Err(fault),
        }
    }
    /// A number of at most `max`, which is all ones; a larger one may be cut to that.
    pub(super) fn number(&mut self, word: Word<'_>, max: u128) -> Result<u128> {
        match word.number(max) {
            Err(fault) if self.is_lenient() => {
                let cut = word.number(u128::from(u16::MAX))? & max;
                self.fault(fault.help(format!("it is taken for {cut}")))?;
                Ok(cut)
            }
            result => result,
        }
    }
}
