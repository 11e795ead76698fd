//! The database's commit hook: what cannot work is refused to every client, in the same words.

use crate::config::{Config, problem::Problem};
use ovsdb::{CommitHook, Database, Delta, Refusal};
use std::collections::HashSet;

/// Refuses new problems; those that a database file brought along are tolerated until they are mended.
#[derive(Default)]
pub struct Check {
    known: HashSet<Problem>,
    /// What was read last, by `check` or `load`.
    read: Option<(Config, HashSet<Problem>)>,
    /// A client changed something since `take`.
    changed: bool,
}

impl Check {
    /// Reads a database that was not checked.
    pub fn load(&mut self, db: &Database) -> Vec<Problem> {
        let (config, problems) = Config::read(db);
        self.known = problems.iter().cloned().collect();
        self.read = Some((config, self.known.clone()));
        self.changed = true;
        problems
    }
    /// The configuration, if a client changed it since the last call.
    pub fn take(&mut self) -> Option<Config> {
        std::mem::take(&mut self.changed)
            .then(|| self.read.as_ref().map(|(config, _)| config.clone()))?
    }
    /// All problems that are tolerated.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.known.iter()
    }
}

impl CommitHook for Check {
    fn check(&mut self, after: &Database, _: &Delta) -> Result<(), Refusal> {
        let (config, problems) = Config::read(after);
        let new: Vec<String> = problems
            .iter()
            .filter(|p| !self.known.contains(p))
            .map(Problem::to_string)
            .collect();
        if !new.is_empty() {
            return Err(Refusal(new.join("; ")));
        }
        self.read = Some((config, problems.into_iter().collect()));
        Ok(())
    }

    fn committed(&mut self, _: &Database, _: &Delta) {
        if let Some((_, problems)) = &self.read {
            self.known.clone_from(problems);
        }
        self.changed = true;
    }
}
