//! Keys and certificates of the switch: the one row of the SSL table.

use ovsdb::Datum;

use super::Context;
use crate::call::Call;
use crate::error::{Result, fail};
use crate::output::Output;

/// `get-ssl`
pub fn get_ssl(context: &mut Context<'_>, _: &Call<'_>) -> Result<Output> {
    let root = context.root()?;
    let rows = context.draft.now();
    let refs = rows.row("Open_vSwitch", root);
    let ssl = refs.into_iter().flat_map(|row| row.uuids("ssl")).next();
    let Some(row) = ssl.and_then(|uuid| rows.row("SSL", uuid)) else {
        return Ok(Output::None);
    };
    Ok(Output::lines([
        format!("Private key: {}", row.str("private_key")),
        format!("Certificate: {}", row.str("certificate")),
        format!("CA Certificate: {}", row.str("ca_cert")),
        format!("Bootstrap: {}", row.bool("bootstrap_ca_cert")),
    ]))
}

/// `del-ssl`
pub fn del_ssl(context: &mut Context<'_>, _: &Call<'_>) -> Result<Output> {
    let root = context.root()?;
    context
        .draft
        .replace("Open_vSwitch", root, "ssl", Datum::empty());
    Ok(Output::None)
}

/// `[--bootstrap] set-ssl PRIVATE-KEY CERTIFICATE CA-CERT`
pub fn set_ssl(context: &mut Context<'_>, call: &Call<'_>) -> Result<Output> {
    let bootstrap = call.has("--bootstrap");
    for (index, file) in call.args.iter().enumerate() {
        // The switch may run elsewhere, or with another root: it says itself what it cannot read.
        let comes_later = bootstrap && index == 2;
        if !file.starts_with('/') {
            fail!("\"{file}\" is not a path from the root: the switch does not know our directory");
        }
        if !comes_later && !std::path::Path::new(file).exists() {
            context
                .warnings
                .push(format!("there is no file {file} on this machine"));
        }
    }
    let root = context.root()?;
    let columns = [
        ("private_key", Datum::scalar(call.arg(0))),
        ("certificate", Datum::scalar(call.arg(1))),
        ("ca_cert", Datum::scalar(call.arg(2))),
        ("bootstrap_ca_cert", Datum::scalar(bootstrap)),
    ];
    let row = context.insert("SSL", columns)?;
    context
        .draft
        .replace("Open_vSwitch", root, "ssl", Datum::set([row]));
    Ok(Output::None)
}
