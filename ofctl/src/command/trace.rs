//! `trace`: the switch explains one packet. It is asked by its control socket; nothing changes there,
//! unless `--generate` sends the packet.

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
