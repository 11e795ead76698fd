//! Rows that the command line names itself: `--id=@x create ...`, used as `@x` before or after.

use std::collections::BTreeMap;

use ovsdb::Uuid;

use crate::error::{Result, fail};

/// The `@names` of one run.
#[derive(Debug, Default)]
pub struct Symbols {
    symbols: BTreeMap<String, Symbol>,
}

#[derive(Debug)]
struct Symbol {
    uuid: Uuid,
    defined: bool,
    referred: bool,
}

impl Symbols {
    /// The row that `name` (with its `@`) stands for, now or later.
    pub fn refer(&mut self, name: &str) -> Uuid {
        let symbol = self.symbol(name);
        symbol.referred = true;
        symbol.uuid
    }

    /// Defines `name` for a row that is being made.
    pub fn create(&mut self, name: &str) -> Result<Uuid> {
        check(name)?;
        let symbol = self.symbol(name);
        if symbol.defined {
            fail!("row id \"{name}\" may only be specified on one --id option");
        }
        symbol.defined = true;
        Ok(symbol.uuid)
    }

    /// Defines `name` for a row that is there. References may only follow, since those before would mean another UUID.
    pub fn bind(&mut self, name: &str, uuid: Uuid) -> Result<()> {
        check(name)?;
        if self.symbols.get(name).is_some_and(|symbol| !symbol.defined) {
            fail!("row id \"{name}\" is used before the get command that defines it");
        }
        self.create(name)?;
        self.symbol(name).uuid = uuid;
        Ok(())
    }

    fn symbol(&mut self, name: &str) -> &mut Symbol {
        let fresh = || Symbol {
            uuid: Uuid::new_v4(),
            defined: false,
            referred: false,
        };
        self.symbols.entry(name.to_owned()).or_insert_with(fresh)
    }

    /// The row of a defined name.
    pub fn get(&self, name: &str) -> Option<Uuid> {
        self.symbols
            .get(name)
            .filter(|symbol| symbol.defined)
            .map(|symbol| symbol.uuid)
    }

    /// Every name that is used must be defined somewhere.
    pub fn check(&self) -> Result<()> {
        match self.symbols.iter().find(|(_, symbol)| !symbol.defined) {
            Some((name, _)) => {
                fail!(
                    "row id \"{name}\" is referenced but never created (e.g. with \"-- --id={name} create ...\")"
                )
            }
            None => Ok(()),
        }
    }

    /// Defined names that nothing refers to.
    pub fn unused(&self) -> impl Iterator<Item = (&str, Uuid)> {
        let unused = self
            .symbols
            .iter()
            .filter(|(_, symbol)| symbol.defined && !symbol.referred);
        unused.map(|(name, symbol)| (name.as_str(), symbol.uuid))
    }
}

fn check(name: &str) -> Result<()> {
    if !name.starts_with('@') {
        fail!("row id \"{name}\" does not begin with \"@\"");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_one_row() {
        let mut symbols = Symbols::default();
        let row = symbols.refer("@a");
        assert!(
            symbols
                .check()
                .unwrap_err()
                .to_string()
                .contains("\"@a\" is referenced but never created")
        );
        assert_eq!(symbols.create("@a").unwrap(), row);
        assert!(symbols.create("@a").is_err());
        assert!(
            symbols
                .create("a")
                .unwrap_err()
                .to_string()
                .contains("does not begin with \"@\"")
        );
        let row = Uuid::new_v4();
        symbols.bind("@b", row).unwrap();
        assert_eq!(symbols.get("@b"), Some(row));
        symbols.refer("@c");
        assert!(symbols.bind("@c", row).is_err());
        assert_eq!(
            symbols.unused().map(|(name, _)| name).collect::<Vec<_>>(),
            ["@b"]
        );
    }
}
