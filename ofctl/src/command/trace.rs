//! What is asked by the switch's control socket. `trace`: it explains one packet; nothing changes there,
//! unless `--generate` sends the packet. `show-workers`: its threads and their queues.

use super::{Context, print};
use crate::failure::{Failure, Result};
use crate::unixctl;

pub(super) fn trace(context: &Context<'_>) -> Result<()> {
    let options = context.options;
    let bridge = context.switch();
    if bridge.contains([':', '/']) {
        return Err(Failure::plain(format!(
            "trace: \"{bridge}\" is not a bridge's name; the switch in $OVS_RUNDIR is asked"
        )));
    }
    let mut args = context.args.to_vec();
    let flags = [
        ("--generate", options.generate),
        ("--json", options.json),
        ("--names", options.show_names()),
        ("--frames", true),
    ];
    args.extend(
        flags
            .iter()
            .filter(|(_, on)| *on)
            .map(|(name, _)| (*name).to_owned()),
    );
    let socket = unixctl::switch_socket()?;
    let text = unixctl::ask(&socket, "ofproto/trace", &args, options.time_limit())?;
    print(&text)
}

pub(super) fn show_workers(context: &Context<'_>) -> Result<()> {
    let args = match context.options.json {
        true => vec!["--json".to_owned()],
        false => Vec::new(),
    };
    let socket = unixctl::switch_socket()?;
    let limit = context.options.time_limit();
    print(&unixctl::ask(&socket, "worker/show", &args, limit)?)
}
