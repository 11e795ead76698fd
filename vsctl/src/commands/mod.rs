//! The commands: one table, one file per family. A command reads and changes a [`Draft`] of the database; it never talks to a server.

pub mod bridge;
pub mod controller;
pub mod database;
pub mod port;
pub mod show;
pub mod ssl;

use std::collections::BTreeSet;

use ovsdb::schema::{DatabaseSchema, TableSchema};
use ovsdb::{Datum, Name, Uuid};

use crate::argument::Assignment;
use crate::call::Call;
use crate::draft::Draft;
use crate::error::{Result, fail};
use crate::lookup;
use crate::output::Output;
use crate::symbols::Symbols;
use crate::topology::Topology;

/// No limit on the number of arguments.
const MANY: usize = usize::MAX;

/// Whether a command can change the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It cannot.
    Read,
    /// It can.
    Write,
}

/// Groups of commands in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// The whole configuration.
    General,
    /// Bridges, real and fake.
    Bridge,
    /// Ports.
    Port,
    /// Interfaces.
    Interface,
    /// Controllers and what happens without them.
    Controller,
    /// Who may change the database from elsewhere.
    Manager,
    /// Keys and certificates.
    Ssl,
    /// Any table, any column.
    Database,
}

impl Family {
    /// Their headings in the help, in order.
    pub const HEADINGS: &[(Self, &str)] = &[
        (Self::General, "Switch commands"),
        (Self::Bridge, "Bridge commands"),
        (Self::Port, "Port commands (a bond is one port)"),
        (
            Self::Interface,
            "Interface commands (a bond has several interfaces)",
        ),
        (Self::Controller, "Controller commands"),
        (Self::Manager, "Manager commands"),
        (Self::Ssl, "SSL commands"),
        (Self::Database, "Database commands"),
    ];
}

/// A row of the table.
pub struct Command {
    /// What is typed.
    pub name: &'static str,
    /// The arguments as the help shows them.
    pub args: &'static str,
    /// The fewest arguments.
    pub min: usize,
    /// The most arguments.
    pub max: usize,
    /// Options with their dashes; those that take a value end with `=`.
    pub options: &'static [&'static str],
    /// Whether it can change the database.
    pub access: Access,
    /// Its place in the help.
    pub family: Family,
    /// What it does.
    pub run: fn(&mut Context<'_>, &Call<'_>) -> Result<Output>,
    /// What the help says.
    pub doc: &'static str,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! commands {
    ($($family:ident $access:ident $name:literal $args:literal, $min:literal to $max:expr, [$($option:literal)*] $run:path, $doc:literal;)*) => {
        /// All commands, in the order of the help.
        pub const COMMANDS: &[Command] = &[$(Command {
            name: $name, args: $args, min: $min, max: $max, options: &[$($option),*],
            access: Access::$access, family: Family::$family, run: $run, doc: $doc,
        }),*];
    };
}

commands! {
    General Write "init" "", 0 to 0, [] show::init, "make the root row, if there is none yet";
    General Read "show" "", 0 to 0, [] show::show, "print an overview of the configuration";
    General Write "comment" "[WORD]...", 0 to MANY, [] show::comment, "do nothing; the words go into the database log";

    Bridge Write "add-br" "BRIDGE [PARENT VLAN]", 1 to 3, ["--may-exist"] bridge::add_br, "make BRIDGE, or have it pose as VLAN of PARENT";
    Bridge Write "del-br" "BRIDGE", 1 to 1, ["--if-exists"] bridge::del_br, "delete BRIDGE and its ports";
    Bridge Read "list-br" "", 0 to 0, ["--real" "--fake"] bridge::list_br, "print the names of all bridges";
    Bridge Read "br-exists" "BRIDGE", 1 to 1, [] bridge::br_exists, "exit with 2 if there is no BRIDGE";
    Bridge Read "br-to-vlan" "BRIDGE", 1 to 1, [] bridge::br_to_vlan, "print the VLAN that BRIDGE poses as, or 0";
    Bridge Read "br-to-parent" "BRIDGE", 1 to 1, [] bridge::br_to_parent, "print the bridge that BRIDGE is a VLAN of, or BRIDGE";
    Bridge Write "br-set-external-id" "BRIDGE KEY [VALUE]", 2 to 3, [] bridge::br_set_external_id, "set or remove KEY in the external IDs of BRIDGE";
    Bridge Read "br-get-external-id" "BRIDGE [KEY]", 1 to 2, [] bridge::br_get_external_id, "print one or all external IDs of BRIDGE";

    Port Read "list-ports" "BRIDGE", 1 to 1, [] port::list_ports, "print the names of the ports of BRIDGE";
    Port Write "add-port" "BRIDGE PORT [COLUMN[:KEY]=VALUE]...", 2 to MANY, ["--may-exist"] port::add_port, "add the device PORT to BRIDGE";
    Port Write "add-bond" "BRIDGE PORT IFACE IFACE... [COLUMN[:KEY]=VALUE]...", 4 to MANY, ["--may-exist" "--fake-iface"] port::add_bond, "add the devices IFACE to BRIDGE as one PORT";
    Port Write "del-port" "[BRIDGE] PORT", 1 to 2, ["--if-exists" "--with-iface"] port::del_port, "delete PORT";
    Port Read "port-to-br" "PORT", 1 to 1, [] port::port_to_br, "print the bridge of PORT";

    Interface Read "list-ifaces" "BRIDGE", 1 to 1, [] port::list_ifaces, "print the names of the interfaces of BRIDGE";
    Interface Read "iface-to-br" "IFACE", 1 to 1, [] port::iface_to_br, "print the bridge of IFACE";

    Controller Read "get-controller" "BRIDGE", 1 to 1, [] controller::get_controller, "print the controllers of BRIDGE";
    Controller Write "del-controller" "BRIDGE", 1 to 1, [] controller::del_controller, "delete the controllers of BRIDGE";
    Controller Write "set-controller" "BRIDGE TARGET...", 2 to MANY, ["--inactivity-probe="] controller::set_controller, "set the controllers of BRIDGE";
    Controller Read "get-fail-mode" "BRIDGE", 1 to 1, [] controller::get_fail_mode, "print the fail mode of BRIDGE";
    Controller Write "del-fail-mode" "BRIDGE", 1 to 1, [] controller::del_fail_mode, "delete the fail mode of BRIDGE";
    Controller Write "set-fail-mode" "BRIDGE standalone|secure", 2 to 2, [] controller::set_fail_mode, "say what BRIDGE does without controllers";

    Manager Read "get-manager" "", 0 to 0, [] controller::get_manager, "print the managers";
    Manager Write "del-manager" "", 0 to 0, [] controller::del_manager, "delete the managers";
    Manager Write "set-manager" "TARGET...", 1 to MANY, ["--inactivity-probe="] controller::set_manager, "set the managers";

    Ssl Read "get-ssl" "", 0 to 0, [] ssl::get_ssl, "print the keys and certificates";
    Ssl Write "del-ssl" "", 0 to 0, [] ssl::del_ssl, "delete the keys and certificates";
    Ssl Write "set-ssl" "PRIVATE-KEY CERTIFICATE CA-CERT", 3 to 3, ["--bootstrap"] ssl::set_ssl, "set the keys and certificates for ssl: and pssl:";

    Database Read "list" "TABLE [RECORD]...", 1 to MANY, ["--if-exists" "--columns="] database::list, "print records";
    Database Read "find" "TABLE [COLUMN[:KEY]=VALUE]...", 1 to MANY, ["--columns="] database::find, "print the records that fulfil all conditions";
    Database Read "get" "TABLE RECORD [COLUMN[:KEY]]...", 2 to MANY, ["--if-exists" "--id="] database::get, "print values of a record";
    Database Write "set" "TABLE RECORD COLUMN[:KEY]=VALUE...", 3 to MANY, ["--if-exists"] database::set, "set values of a record";
    Database Write "add" "TABLE RECORD COLUMN [KEY=]VALUE...", 4 to MANY, ["--if-exists"] database::add, "add values to a set or map";
    Database Write "remove" "TABLE RECORD COLUMN KEY|VALUE|KEY=VALUE...", 4 to MANY, ["--if-exists"] database::remove, "remove values from a set or map";
    Database Write "clear" "TABLE RECORD COLUMN...", 3 to MANY, ["--if-exists"] database::clear, "empty columns of a record";
    Database Write "create" "TABLE COLUMN[:KEY]=VALUE...", 2 to MANY, ["--id="] database::create, "make a record and print its UUID";
    Database Write "destroy" "TABLE [RECORD]...", 1 to MANY, ["--if-exists" "--all"] database::destroy, "delete records";
    Database Read "wait-until" "TABLE RECORD [COLUMN[:KEY]=VALUE]...", 2 to MANY, [] database::wait_until, "wait until a record is there and fulfils all conditions";
}

/// What a command works on.
#[derive(Debug)]
pub struct Context<'a> {
    /// The schema of the database.
    pub schema: &'a DatabaseSchema,
    /// The rows before and after.
    pub draft: Draft<'a>,
    /// Rows with `@names`.
    pub symbols: Symbols,
    /// To be printed after `warning: `.
    pub warnings: Vec<String>,
    /// Table, column and key (for maps) of everything that was set.
    pub touched: BTreeSet<(Name, Name, Option<String>)>,
}

impl<'a> Context<'a> {
    /// A context in which nothing is changed.
    pub fn new(schema: &'a DatabaseSchema, draft: Draft<'a>) -> Self {
        Self {
            schema,
            draft,
            symbols: Symbols::default(),
            warnings: Vec::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Names of bridges, ports and interfaces as of now.
    pub fn topology(&self) -> Topology {
        Topology::new(self.draft.now())
    }

    /// A table that the commands themselves need.
    pub fn table(&self, name: &str) -> Result<&'a TableSchema> {
        match self.schema.tables.get(name) {
            Some(table) => Ok(table),
            None => fail!("the database has no table {name}"),
        }
    }

    /// The row of `Open_vSwitch`, made if there is none.
    pub fn root(&mut self) -> Result<Uuid> {
        match self.draft.now().singleton("Open_vSwitch") {
            Some((uuid, _)) => Ok(uuid),
            None => Ok(self.draft.insert(self.table("Open_vSwitch")?, None, None)),
        }
    }

    /// A new row with these columns.
    pub fn insert(
        &mut self,
        table: &str,
        columns: impl IntoIterator<Item = (&'static str, Datum)>,
    ) -> Result<Uuid> {
        let uuid = self.draft.insert(self.table(table)?, None, None);
        for (column, datum) in columns {
            self.draft.replace(table, uuid, column, datum);
        }
        Ok(uuid)
    }

    /// Does `COLUMN[:KEY]=VALUE` on a row.
    pub fn assign(&mut self, table: &TableSchema, uuid: Uuid, text: &str) -> Result<()> {
        let Assignment { place, datum } = Assignment::parse(table, text, &mut self.symbols)?;
        let column = &place.column.name;
        self.check_mutable(table, uuid, column)?;
        self.touch(&table.name, column, &datum);
        match (place.key, datum) {
            (Some(_), Datum::Map(pairs)) => self.draft.merge(&table.name, uuid, column, |now| {
                if let Datum::Map(map) = now {
                    map.extend(pairs);
                }
            }),
            (_, datum) => self.draft.replace(&table.name, uuid, column, datum),
        }
        Ok(())
    }

    /// Remembers that a column got a value.
    pub fn touch(&mut self, table: &Name, column: &Name, datum: &Datum) {
        let keys = datum
            .pairs()
            .map(|(key, _)| key.as_str().map_or_else(|| key.to_string(), str::to_owned));
        let places = keys
            .map(Some)
            .chain([None])
            .map(|key| (table.clone(), column.clone(), key));
        self.touched.extend(places);
    }

    /// Some columns can only be given when a row is made.
    pub fn check_mutable(&self, table: &TableSchema, uuid: Uuid, column: &str) -> Result<()> {
        if table
            .columns
            .get(column)
            .is_some_and(|column| !column.mutable)
            && self.draft.born_in(uuid).is_none()
        {
            fail!(
                "cannot modify read-only column {column} in table {}",
                table.name
            );
        }
        Ok(())
    }

    /// The row called `word`; `None` if it is missing and `--if-exists` is given.
    pub fn find_row(
        &self,
        call: &Call<'_>,
        table: &TableSchema,
        word: &str,
    ) -> Result<Option<Uuid>> {
        let rows = self.draft.now();
        match call.has("--if-exists") {
            true => lookup::find_row(rows, &table.name, word, &self.symbols),
            false => lookup::row(rows, &table.name, word, &self.symbols).map(Some),
        }
    }

    /// The table and the row that `call` names by its first two arguments.
    pub fn named_row(&self, call: &Call<'_>) -> Result<(&'a TableSchema, Option<Uuid>)> {
        let table = lookup::table(self.schema, call.arg(0))?;
        Ok((table, self.find_row(call, table, call.arg(1))?))
    }
}
