//! The flows that `monitor watch:...` reports.

use super::Context;
use super::source::restrict;
use crate::failure::{Failure, Result};
use ofp::message::{FlowMod, MonitorRequest};
use ofp::text::read_monitor_request;
use ofp::types::{GroupId, Version};

/// Reads what follows `watch:` of each word, and keeps the versions that can ask for it.
pub(super) fn requests(
    context: &Context<'_>,
    specs: &[&str],
    versions: &mut Vec<Version>,
) -> Result<Vec<MonitorRequest>> {
    let ports = context.lazy_ports();
    let mut requests = Vec::new();
    for (id, spec) in (0..).zip(specs) {
        let read = read_monitor_request(spec, &ports).map_err(Failure::text(spec));
        let request = MonitorRequest {
            id,
            ..ports.or_failure(read)?
        };
        let flow = FlowMod {
            matching: request.matching.clone(),
            ..FlowMod::default()
        };
        restrict(versions, &flow, &None)?;
        if request.out_group != GroupId::ANY {
            versions.retain(|version| *version >= Version::V14);
        }
        requests.push(request);
    }
    match versions.is_empty() {
        true => Err(Failure::plain("watch: out_group needs OpenFlow14 or later")),
        false => Ok(requests),
    }
}
