//! Which versions of OpenFlow can say a flow.

use ofp::action::Action;
use ofp::field::Prereq;
use ofp::key::Match;
use ofp::message::{FlowMod, flow_flag};
use ofp::types::{GroupId, Version};

/// Why a version can not say a flow; `None`: it can.
pub(super) fn obstacle(flow: &FlowMod, version: Version) -> Option<String> {
    if flow.importance != 0 && version < Version::V14 {
        return Some("importance needs OpenFlow 1.4".into());
    }
    match version {
        Version::V10 => {
            let counts =
                flow_flag::RESET_COUNTS | flow_flag::NO_PACKET_COUNTS | flow_flag::NO_BYTE_COUNTS;
            if flow.flags & counts != 0 {
                return Some(
                    "reset_counts, no_packet_counts and no_byte_counts need OpenFlow 1.3".into(),
                );
            }
            if flow.out_group != GroupId::ANY {
                return Some("out_group needs OpenFlow 1.1".into());
            }
            flow.actions.iter().find_map(obstacle10)
        }
        _ => flow
            .actions
            .iter()
            .find_map(|action| obstacle13(action, &flow.matching)),
    }
}

fn obstacle10(action: &Action) -> Option<String> {
    let name = match action {
        Action::WriteActions(_) => "write_actions",
        Action::ClearActions => "clear_actions",
        Action::GotoTable(_) => "goto_table",
        Action::Meter(_) => "meter",
        Action::PushVlan(_) => "push_vlan",
        Action::Clone(inner) => return inner.iter().find_map(obstacle10),
        _ => return None,
    };
    Some(format!("{name} needs OpenFlow 1.1 or later"))
}

/// OpenFlow 1.1 and later refuse to set a field that the packet may not have.
fn obstacle13(action: &Action, matching: &Match) -> Option<String> {
    let (name, prereqs): (&str, &[Prereq]) = match action {
        Action::SetIpv4Src(_) | Action::SetIpv4Dst(_) => {
            ("mod_nw_src and mod_nw_dst", &[Prereq::Ipv4])
        }
        Action::SetIpTos(_) | Action::SetIpEcn(_) | Action::SetIpTtl(_) | Action::DecTtl(_) => (
            "mod_nw_tos, mod_nw_ecn, mod_nw_ttl and dec_ttl",
            &[Prereq::Ip],
        ),
        Action::SetL4Src(_) | Action::SetL4Dst(_) => (
            "mod_tp_src and mod_tp_dst",
            &[Prereq::Tcp, Prereq::Udp, Prereq::Sctp],
        ),
        Action::Clone(inner) | Action::WriteActions(inner) => {
            return inner.iter().find_map(|action| obstacle13(action, matching));
        }
        _ => return None,
    };
    let holds = prereqs.iter().any(|prereq| prereq.holds(matching));
    (!holds).then(|| {
        format!("{name} without the protocol in the match can only be said in OpenFlow 1.0")
    })
}
