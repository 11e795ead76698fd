//! The database as it will be: a copy of the replica that the commands read and change, and the operations that make it true.
//!
//! What: [`Draft`] holds the rows before (`base`) and after (`now`) the commands of one run.
//! Why: every command sees what the ones before it did, and all of them become one transaction.
//! Design: a command never writes operations; they are the difference of the two copies. A column that was *replaced* becomes
//! an `update`; one that was *merged into* becomes a `mutate` that adds and deletes only what differs, so that two clients
//! that add ports to one bridge at the same time do not undo each other.
//! Invariants: every row that is changed is also waited for, so a row that vanished meanwhile fails the transaction instead
//! of being forgotten. Rows of tables that are no roots are never deleted by an operation: the server collects them when
//! nothing refers to them any more.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::client::Replica;
use ovsdb::schema::{ColumnType, DatabaseSchema, TableSchema};
use ovsdb::{Datum, Name, Row, Uuid};
use serde_json::{Value, json};

/// Rows before and after.
#[derive(Debug)]
pub struct Draft<'a> {
    schema: &'a DatabaseSchema,
    base: &'a Replica,
    now: Replica,
    born: Vec<Birth>,
    dead: BTreeSet<(Name, Uuid)>,
    edits: BTreeMap<(Name, Uuid), BTreeMap<Name, Edit>>,
}

#[derive(Debug)]
struct Birth {
    table: Name,
    uuid: Uuid,
    /// The user chose the UUID; otherwise the server does and `uuid` is a stand-in.
    chosen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edit {
    Replaced,
    Merged,
}

impl<'a> Draft<'a> {
    /// A draft without changes.
    pub fn new(schema: &'a DatabaseSchema, base: &'a Replica) -> Self {
        Self {
            schema,
            base,
            now: base.clone(),
            born: Vec::new(),
            dead: BTreeSet::new(),
            edits: BTreeMap::new(),
        }
    }

    /// The rows as they will be.
    pub fn now(&self) -> &Replica {
        &self.now
    }

    /// A new row, all columns at their defaults. `chosen` is a UUID that the user wants, `stand_in` one that others use for it already.
    pub fn insert(
        &mut self,
        table: &TableSchema,
        stand_in: Option<Uuid>,
        chosen: Option<Uuid>,
    ) -> Uuid {
        let uuid = chosen.or(stand_in).unwrap_or_else(Uuid::new_v4);
        self.born.push(Birth {
            table: table.name.clone(),
            uuid,
            chosen: chosen.is_some(),
        });
        self.now.put(&table.name, uuid, table.default_row());
        uuid
    }

    /// Removes a row from view. For the tables that are no roots it is only that: remove the references too.
    pub fn delete(&mut self, table: &str, uuid: Uuid) {
        self.now.remove(table, uuid);
        self.dead.insert((table.into(), uuid));
    }

    /// Gives a column a new value.
    pub fn replace(&mut self, table: &str, uuid: Uuid, column: &str, datum: Datum) {
        self.edit(table, uuid, column, Edit::Replaced, |now| *now = datum);
    }

    /// Changes a column in a way that leaves alone what others may do to its other elements.
    pub fn merge(
        &mut self,
        table: &str,
        uuid: Uuid,
        column: &str,
        change: impl FnOnce(&mut Datum),
    ) {
        self.edit(table, uuid, column, Edit::Merged, change);
    }

    /// Adds references to a set.
    pub fn add_ref(&mut self, table: &str, uuid: Uuid, column: &str, to: Uuid) {
        self.merge(table, uuid, column, |now| {
            if let Datum::Set(set) = now {
                set.insert(to.into());
            }
        });
    }

    /// Removes references from a set.
    pub fn remove_ref(&mut self, table: &str, uuid: Uuid, column: &str, to: Uuid) {
        self.merge(table, uuid, column, |now| {
            if let Datum::Set(set) = now {
                set.remove(&to.into());
            }
        });
    }

    fn edit(
        &mut self,
        table: &str,
        uuid: Uuid,
        column: &str,
        edit: Edit,
        change: impl FnOnce(&mut Datum),
    ) {
        let Some(datum) = self
            .now
            .row_mut(table, uuid)
            .and_then(|row| row.get_mut(column))
        else {
            return;
        };
        change(datum);
        let edits = self.edits.entry((table.into(), uuid)).or_default();
        let known = edits.entry(column.into()).or_insert(edit);
        if edit == Edit::Replaced {
            *known = edit;
        }
    }

    /// The table of a row that was made in this run.
    pub fn born_in(&self, uuid: Uuid) -> Option<&str> {
        self.born
            .iter()
            .find(|birth| birth.uuid == uuid)
            .map(|birth| &*birth.table)
    }

    /// The rows of `table` that are new or have changed columns.
    pub fn changed<'d>(&'d self, table: &'d str) -> impl Iterator<Item = &'d Row> {
        let rows = self.now.rows(table);
        rows.filter(|(uuid, row)| self.base.row(table, *uuid) != Some(*row))
            .map(|(_, row)| row)
    }

    /// What makes the draft true; nothing if it changes nothing.
    pub fn operations(&self) -> Vec<Value> {
        let mut waits = Vec::new();
        let mut changes: Vec<_> = self.living().map(|birth| self.insertion(birth)).collect();
        for ((table, uuid), edits) in &self.edits {
            let (Some(before), Some(after)) =
                (self.base.row(table, *uuid), self.now.row(table, *uuid))
            else {
                continue;
            };
            let change = self.row_change(table, *uuid, edits, before, after);
            if !change.is_empty() {
                waits.push(json!({
                    "op": "wait", "table": &**table, "timeout": 0, "where": is(*uuid),
                    "columns": ["_uuid"], "until": "==", "rows": [{ "_uuid": ["uuid", uuid.to_string()] }],
                }));
                changes.extend(change);
            }
        }
        for (table, uuid) in &self.dead {
            let root = self
                .schema
                .tables
                .get(table)
                .is_some_and(|table| table.is_root);
            if root && self.base.row(table, *uuid).is_some() {
                changes.push(json!({ "op": "delete", "table": &**table, "where": is(*uuid) }));
            }
        }
        waits.extend(changes);
        waits
    }

    /// The new rows, each with the stand-in for its UUID, in the order of the `insert` operations.
    pub fn stand_ins(&self) -> impl Iterator<Item = Uuid> {
        self.living().map(|birth| birth.uuid)
    }

    fn living(&self) -> impl Iterator<Item = &Birth> {
        self.born
            .iter()
            .filter(|birth| !self.dead.contains(&(birth.table.clone(), birth.uuid)))
    }

    fn insertion(&self, birth: &Birth) -> Value {
        let mut columns = serde_json::Map::new();
        if let (Some(row), Some(table)) = (
            self.now.row(&birth.table, birth.uuid),
            self.schema.tables.get(&birth.table),
        ) {
            for (name, datum) in row.iter() {
                if table
                    .columns
                    .get(name)
                    .is_some_and(|column| column.ty.default_datum() != *datum)
                {
                    columns.insert(name.to_string(), self.to_json(datum));
                }
            }
        }
        let mut insert = json!({ "op": "insert", "table": &*birth.table, "row": columns });
        match birth.chosen {
            true => insert["uuid"] = json!(birth.uuid.to_string()),
            false => insert["uuid-name"] = json!(wire_name(birth.uuid)),
        }
        insert
    }

    fn row_change(
        &self,
        table: &str,
        uuid: Uuid,
        edits: &BTreeMap<Name, Edit>,
        before: &Row,
        after: &Row,
    ) -> Vec<Value> {
        let (mut columns, mut mutations) = (serde_json::Map::new(), Vec::new());
        let Some(schema) = self.schema.tables.get(table) else {
            return Vec::new();
        };
        for (name, edit) in edits {
            let (Some(column), Some(old), Some(new)) =
                (schema.columns.get(name), before.get(name), after.get(name))
            else {
                continue;
            };
            match edit {
                _ if old == new => {}
                Edit::Merged if column.ty.max != Some(1) => {
                    mutations.extend(self.mutations(name, &column.ty, old, new));
                }
                _ => drop(columns.insert(name.to_string(), self.to_json(new))),
            }
        }
        let mut operations = Vec::new();
        if !columns.is_empty() {
            operations
                .push(json!({ "op": "update", "table": table, "where": is(uuid), "row": columns }));
        }
        if !mutations.is_empty() {
            operations.push(json!({ "op": "mutate", "table": table, "where": is(uuid), "mutations": mutations }));
        }
        operations
    }

    /// Insertions and deletions that turn `old` into `new`. A set that must not become empty gets its insertions first; in a map a
    /// key has to go before it comes back with another value.
    fn mutations(&self, column: &str, ty: &ColumnType, old: &Datum, new: &Datum) -> Vec<Value> {
        let (gone, come) = match (old, new) {
            (Datum::Set(old), Datum::Set(new)) => (Datum::Set(old - new), Datum::Set(new - old)),
            (Datum::Map(old), Datum::Map(new)) => (
                Datum::Set(
                    old.iter()
                        .filter(|(k, v)| new.get(k) != Some(v))
                        .map(|(k, _)| k.clone())
                        .collect(),
                ),
                Datum::Map(
                    new.iter()
                        .filter(|(k, v)| old.get(k) != Some(v))
                        .map(|(k, v)| (k.clone(), v.clone()))
                        .collect(),
                ),
            ),
            _ => return Vec::new(),
        };
        let mutation = |mutator: &str, datum: &Datum| json!([column, mutator, self.to_json(datum)]);
        let mut mutations: Vec<_> = [("delete", &gone), ("insert", &come)]
            .into_iter()
            .filter(|(_, datum)| !datum.is_empty())
            .map(|(mutator, datum)| mutation(mutator, datum))
            .collect();
        if !ty.is_map() && ty.max.is_none() {
            mutations.reverse();
        }
        mutations
    }

    /// The wire form, in which rows made in this run have names.
    fn to_json(&self, datum: &Datum) -> Value {
        let mut json = datum.to_json();
        self.name_new_rows(&mut json);
        json
    }

    fn name_new_rows(&self, json: &mut Value) {
        let Value::Array(items) = json else { return };
        if let [Value::String(tag), Value::String(text)] = items.as_mut_slice() {
            let uuid = ovsdb::value::parse_uuid(text).filter(|_| tag == "uuid");
            if let Some(birth) = uuid.and_then(|uuid| {
                self.born
                    .iter()
                    .find(|birth| birth.uuid == uuid && !birth.chosen)
            }) {
                *tag = "named-uuid".into();
                *text = wire_name(birth.uuid);
            }
        } else {
            items.iter_mut().for_each(|item| self.name_new_rows(item));
        }
    }
}

fn is(uuid: Uuid) -> Value {
    json!([["_uuid", "==", ["uuid", uuid.to_string()]]])
}

/// RFC 7047's `<id>` has letters, digits and underscores only.
fn wire_name(uuid: Uuid) -> String {
    format!("row{}", uuid.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> DatabaseSchema {
        let set = json!({"type": {"key": "integer", "min": 0, "max": "unlimited"}});
        let map =
            json!({"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}});
        let refs = json!({"type": {"key": {"type": "uuid", "refTable": "Leaf"}, "min": 0, "max": "unlimited"}});
        let json = json!({"name": "D", "version": "1.0.0", "tables": {
            "Root": {"isRoot": true, "columns": {"set": set, "map": map, "refs": refs, "name": {"type": "string"}}},
            "Leaf": {"columns": {"name": {"type": "string"}}},
        }});
        DatabaseSchema::from_json(&json).unwrap()
    }

    fn base(schema: &DatabaseSchema) -> (Replica, Uuid) {
        let (mut replica, uuid) = (Replica::default(), Uuid::new_v4());
        let row = schema.tables["Root"].default_row();
        let row = row
            .with("set", Datum::set([1, 2]))
            .with("map", Datum::map([("a", "b"), ("c", "d")]));
        replica.put("Root", uuid, row);
        (replica, uuid)
    }

    #[test]
    fn nothing_becomes_nothing() {
        let schema = schema();
        let (base, uuid) = base(&schema);
        let mut draft = Draft::new(&schema, &base);
        draft.replace("Root", uuid, "set", Datum::set([1, 2]));
        draft.merge("Root", uuid, "map", |_| {});
        assert_eq!(draft.operations(), Vec::<Value>::new());
        assert_eq!(draft.changed("Root").count(), 0);
    }

    #[test]
    fn merged_columns_are_mutated_and_replaced_ones_updated() {
        let schema = schema();
        let (base, uuid) = base(&schema);
        let mut draft = Draft::new(&schema, &base);
        draft.replace("Root", uuid, "set", Datum::set([3]));
        draft.merge("Root", uuid, "map", |now| {
            *now = Datum::map([("a", "x"), ("e", "f")])
        });
        let operations = draft.operations();
        assert_eq!(operations[0]["op"], "wait");
        assert_eq!(operations[1]["row"], json!({"set": 3}));
        assert_eq!(
            operations[2]["mutations"],
            json!([
                ["map", "delete", ["set", ["a", "c"]]],
                ["map", "insert", ["map", [["a", "x"], ["e", "f"]]]]
            ])
        );
    }

    #[test]
    fn new_rows_are_named_and_leaves_are_collected_by_the_server() {
        let schema = schema();
        let (base, uuid) = base(&schema);
        let mut draft = Draft::new(&schema, &base);
        let leaf = draft.insert(&schema.tables["Leaf"], None, None);
        draft.add_ref("Root", uuid, "refs", leaf);
        let gone = draft.insert(&schema.tables["Leaf"], None, None);
        draft.delete("Leaf", gone);
        let operations = draft.operations();
        assert_eq!(operations.len(), 3);
        let name = operations[1]["uuid-name"].clone();
        assert_eq!(
            operations[2]["mutations"],
            json!([["refs", "insert", ["named-uuid", name]]])
        );
        assert_eq!(draft.stand_ins().collect::<Vec<_>>(), [leaf]);
        let mut draft = Draft::new(&schema, &base);
        draft.delete("Root", uuid);
        assert_eq!(
            draft.operations(),
            [json!({"op": "delete", "table": "Root", "where": is(uuid)})]
        );
    }
}
