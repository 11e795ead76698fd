//! One run: connect, let the commands draft the change, commit it as one transaction, wait until the switch has applied it.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use ovsdb::client::{Client, Error as ClientError, Replica};
use ovsdb::{Name, Row, Uuid};
use serde_json::{Value, json};

use crate::call::Call;
use crate::commands::{Access, Context};
use crate::draft::Draft;
use crate::error::{Error, Result, fail};
use crate::help;
use crate::options::Options;
use crate::output::{Output, render};

/// The database that the switch is configured by.
const DATABASE: &str = "Open_vSwitch";
/// How long `--retry` waits between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How often a change is drafted anew because somebody else changed the same rows meanwhile.
const ATTEMPTS_MAX: usize = 5;
/// After so long the user is told what the run waits for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The column and key by which the daemon names, separated by commas, the columns and keys that it stores but does not obey.
const NO_EFFECT: (&str, &str) = ("external_ids", "tsunagi-no-effect");

/// Does what the arguments (without the program's name) say.
pub async fn run(args: &[String], timeout_env: Option<&str>) -> Result<()> {
    let (options, rest) = Options::parse(args, timeout_env)?;
    if let Some(print) = options.print {
        return emit(&help::text(print));
    }
    let calls = Call::parse_all(rest)?;
    let session = session(&options, &calls);
    match options.timeout {
        None => session.await,
        Some(limit) => {
            let too_late = || Err(ClientError::TimedOut(limit.as_secs()).into());
            tokio::time::timeout(limit, session)
                .await
                .unwrap_or_else(|_| too_late())
        }
    }
}

/// What the commands want.
struct Plan {
    outputs: Vec<Output>,
    warnings: Vec<String>,
    operations: Vec<Value>,
    /// What stands for the UUIDs of new rows until the server has given them one.
    stand_ins: Vec<Uuid>,
    touched: BTreeSet<(Name, Name, Option<String>)>,
    /// The names of the interfaces that are new or changed.
    ifaces: Vec<String>,
    /// The names of the bridges that are new or have other controllers.
    bridges: Vec<String>,
}

async fn session(options: &Options, calls: &[Call<'_>]) -> Result<()> {
    let mut client = connect(options).await?;
    let mut attempt = 1;
    let (plan, results) = loop {
        let plan = match plan(&client, calls) {
            Err(Error::NotYet) => {
                client.changed().await?;
                continue;
            }
            plan => plan?,
        };
        let generation = client.generation();
        match commit(&mut client, options, &plan).await {
            Err(ClientError::Refused { .. })
                if attempt < ATTEMPTS_MAX && client.generation() != generation =>
            {
                attempt += 1
            }
            results => break (plan, results),
        }
    };
    plan.warnings
        .iter()
        .for_each(|warning| eprintln!("vsctl: warning: {warning}"));
    let results = results?;
    emit(&true_uuids(
        render(&plan.outputs, &options.style),
        &plan,
        &results,
    ))?;
    if results.is_empty() {
        return Ok(());
    }
    let next_cfg = next_cfg(&results);
    if let Some(next_cfg) = next_cfg {
        applied(&mut client, next_cfg).await?;
    }
    for warning in warn_no_effect(client.replica(), &plan.touched) {
        eprintln!("vsctl: warning: {warning}");
    }
    match failures(client.replica(), &plan.ifaces, &plan.bridges) {
        failures if next_cfg.is_some() && !failures.is_empty() => Err(Error::SetUp(failures)),
        _ => Ok(()),
    }
}

async fn connect(options: &Options) -> Result<Client> {
    let tls = match options.tls.files() {
        Ok(tls) => tls,
        Err(text) => fail!("{text}"),
    };
    loop {
        match Client::connect(&options.db, DATABASE, tls.as_ref()).await {
            Err(ClientError::Connect { .. }) if options.retry => {
                tokio::time::sleep(RETRY_PAUSE).await
            }
            result => return Ok(result?),
        }
    }
}

/// Runs the commands on a draft.
fn plan(client: &Client, calls: &[Call<'_>]) -> Result<Plan> {
    let writes = calls
        .iter()
        .any(|call| call.command.access == Access::Write);
    let mut context = Context::new(
        client.schema(),
        Draft::new(client.schema(), client.replica()),
    );
    if writes {
        context.root()?;
    }
    let outputs = calls
        .iter()
        .map(|call| (call.command.run)(&mut context, call))
        .collect::<Result<Vec<_>>>()?;
    context.symbols.check()?;
    let Context {
        schema,
        draft,
        symbols,
        mut warnings,
        touched,
    } = context;
    for (name, uuid) in symbols.unused() {
        let table = draft
            .born_in(uuid)
            .and_then(|table| schema.tables.get(table));
        if table.is_some_and(|table| !table.is_root) {
            warnings.push(format!(
                "row id \"{name}\" was created but no reference to it was inserted, so it will not actually appear in the database"
            ));
        }
    }
    let operations = if writes {
        draft.operations()
    } else {
        Vec::new()
    };
    let ifaces = draft
        .changed("Interface")
        .map(|row| row.str("name").to_owned())
        .collect();
    let controllers = |row: &Row| row.get("controller").cloned();
    let before = |row: &Row| {
        let mut rows = client.replica().rows("Bridge").map(|(_, row)| row);
        rows.find(|old| old.str("name") == row.str("name"))
            .map(controllers)
    };
    let bridges = draft
        .changed("Bridge")
        .filter(|row| before(row) != Some(controllers(row)))
        .map(|row| row.str("name").to_owned())
        .collect();
    Ok(Plan {
        outputs,
        warnings,
        operations,
        stand_ins: draft.stand_ins().collect(),
        touched,
        ifaces,
        bridges,
    })
}

/// Sends the transaction, if there is one. The results begin with those of the plan's operations.
async fn commit(
    client: &mut Client,
    options: &Options,
    plan: &Plan,
) -> std::result::Result<Vec<Value>, ClientError> {
    if plan.operations.is_empty() || options.dry_run {
        return Ok(Vec::new());
    }
    let mut operations = plan.operations.clone();
    if options.wait {
        let table = "Open_vSwitch";
        operations.push(json!({ "op": "mutate", "table": table, "where": [], "mutations": [["next_cfg", "+=", 1]] }));
        operations
            .push(json!({ "op": "select", "table": table, "where": [], "columns": ["next_cfg"] }));
    }
    let line: Vec<_> = std::env::args().skip(1).collect();
    operations.push(json!({ "op": "comment", "comment": format!("vsctl: {}", line.join(" ")) }));
    client.transact(operations).await
}

/// The configuration's number, if the transaction asked for it.
fn next_cfg(results: &[Value]) -> Option<i64> {
    results
        .iter()
        .find_map(|result| result.get("rows")?.get(0)?.get("next_cfg")?.as_i64())
}

/// Output with the UUIDs that the server gave to the new rows.
fn true_uuids(mut text: String, plan: &Plan, results: &[Value]) -> String {
    let inserts = plan
        .operations
        .iter()
        .zip(results)
        .filter(|(operation, _)| operation["op"] == "insert");
    for (stand_in, (_, result)) in plan.stand_ins.iter().zip(inserts) {
        if let Some(uuid) = result["uuid"].get(1).and_then(Value::as_str) {
            text = text.replace(&stand_in.to_string(), uuid);
        }
    }
    text
}

/// Waits until the switch has applied configuration number `next_cfg`.
async fn applied(client: &mut Client, next_cfg: i64) -> Result<()> {
    let reached = |rows: &Replica| {
        let root = rows.singleton("Open_vSwitch");
        root.and_then(|(_, root)| root.int("cur_cfg"))
            .is_some_and(|cur_cfg| cur_cfg >= next_cfg)
    };
    match client.wait_until(PATIENCE, reached).await {
        Err(ClientError::TimedOut(_)) => {
            eprintln!(
                "vsctl: the change is stored; waiting for the switch to apply it (--no-wait and --timeout limit this)"
            );
            while !reached(client.replica()) {
                client.changed().await?;
            }
            Ok(())
        }
        result => Ok(result?),
    }
}

/// The interfaces and bridges among these that do not work, each with its cause.
fn failures(rows: &Replica, ifaces: &[String], bridges: &[String]) -> Vec<(String, String)> {
    let named = |table, names: &[String]| {
        let rows = rows.rows(table).map(|(_, row)| row);
        rows.filter(|row| names.iter().any(|name| name == row.str("name")))
            .collect::<Vec<_>>()
    };
    let ours = named("Interface", ifaces).into_iter();
    let trouble = |row: &Row| {
        let text = row.key("status", "error")?.to_owned();
        Some((row.str("name").to_owned(), text))
    };
    let bridges = named("Bridge", bridges).into_iter();
    let broken = ours.filter(|row| !row.str("error").is_empty() || row.int("ofport") == Some(-1));
    let cause = |text: &str| {
        if text.is_empty() {
            "the switch could not open it".into()
        } else {
            text.into()
        }
    };
    broken
        .map(|row| (row.str("name").to_owned(), cause(row.str("error"))))
        .chain(bridges.filter_map(trouble))
        .collect()
}

/// Names what was set in vain: `Table.column` or `Table.column:key`, as the daemon lists them in the root row, some with
/// ` (did you mean X?)`.
fn warn_no_effect(rows: &Replica, touched: &BTreeSet<(Name, Name, Option<String>)>) -> Vec<String> {
    let root = rows.singleton("Open_vSwitch").map(|(_, root)| root);
    let listed = root
        .and_then(|root| root.key(NO_EFFECT.0, NO_EFFECT.1))
        .unwrap_or("");
    let places = touched.iter().map(|(table, column, key)| match key {
        Some(key) => format!("{table}.{column}:{key}"),
        None => format!("{table}.{column}"),
    });
    let hint = |place: &str| {
        let mut hints = listed
            .split(',')
            .filter_map(|item| item.trim().strip_prefix(place));
        hints.find(|hint| hint.is_empty() || hint.starts_with(" ("))
    };
    let said = |place: String| {
        hint(&place).map(|hint| format!("{place} is stored but has no effect yet{hint}"))
    };
    places.filter_map(said).collect()
}

/// Prints to standard output. Nobody reading it any more is no error.
fn emit(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::Datum;

    #[test]
    fn interfaces_that_do_not_work_are_named() {
        let mut rows = Replica::default();
        let mut put = |name: &str, error: Option<&str>, ofport: Option<i64>| {
            let row = Row::new()
                .with("name", Datum::scalar(name))
                .with("error", Datum::optional(error));
            rows.put(
                "Interface",
                Uuid::new_v4(),
                row.with("ofport", Datum::optional(ofport)),
            );
        };
        put("good", None, Some(1));
        put("bad", Some("no such device"), Some(-1));
        put("mute", None, Some(-1));
        put("other", Some("not ours"), Some(-1));
        let names = ["good", "bad", "mute"].map(str::to_owned);
        let error = Error::SetUp({
            let mut found = failures(&rows, &names, &[]);
            found.sort();
            found
        });
        assert_eq!(
            error.to_string(),
            "Error detected while setting up 'bad': no such device\n\
             vsctl: Error detected while setting up 'mute': the switch could not open it"
        );
        assert_eq!(error.exit_code(), 65);
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let mut rows = Replica::default();
        let listed =
            "Bridge.ipfix, Interface.options:foo, Interface.options:pear (did you mean peer?)";
        let listed = Datum::map([(NO_EFFECT.1, listed)]);
        rows.put(
            "Open_vSwitch",
            Uuid::new_v4(),
            Row::new().with(NO_EFFECT.0, listed),
        );
        let place = |table: &str, column: &str, key: Option<&str>| {
            (table.into(), column.into(), key.map(str::to_owned))
        };
        let touched = BTreeSet::from([
            place("Bridge", "ipfix", None),
            place("Interface", "options", None),
            place("Interface", "options", Some("foo")),
            place("Interface", "options", Some("bar")),
            place("Interface", "options", Some("pear")),
        ]);
        let warnings = [
            ("Bridge.ipfix", ""),
            ("Interface.options:foo", ""),
            ("Interface.options:pear", " (did you mean peer?)"),
        ]
        .map(|(place, hint)| format!("{place} is stored but has no effect yet{hint}"));
        assert_eq!(warn_no_effect(&rows, &touched), warnings);
    }
}
