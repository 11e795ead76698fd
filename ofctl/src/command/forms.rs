//! The forms of flow messages with the names that the stock tool gives them: which of them can say what was read, and
//! which one is taken. Without a chosen version all are allowed.

use crate::connection::STANDARD10;
use crate::failure::{Failure, Result};
use crate::options::Options;
use ofp::message::{Dialect, FlowFormat, FlowMod};
use ofp::types::{TableId, Version};
use ofp::usable::{Protocol, Usable, usable};

/// A way to send flows; in OpenFlow 1.0 the message has a place for the table only if an extension is switched on.
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) protocol: Protocol,
    pub(super) has_table: bool,
}

const fn form(name: &'static str, protocol: Protocol, has_table: bool) -> Form {
    Form {
        name,
        protocol,
        has_table,
    }
}

const NXM: Protocol = Protocol {
    version: Version::V10,
    nxm: true,
};

/// All forms, the preferred one first; a set of them has bit N for row N.
const FORMS: &[Form] = &[
    form("OpenFlow10-table_id", STANDARD10, false),
    form("OpenFlow10+table_id", STANDARD10, true),
    form("NXM-table_id", NXM, false),
    form("NXM+table_id", NXM, true),
    form("OpenFlow11", Protocol::of(Version::V11), true),
    form("OXM-OpenFlow12", Protocol::of(Version::V12), true),
    form("OXM-OpenFlow13", Protocol::of(Version::V13), true),
    form("OXM-OpenFlow14", Protocol::of(Version::V14), true),
    form("OXM-OpenFlow15", Protocol::of(Version::V15), true),
];

/// Names of sets.
const SETS: &[(&str, u16)] = &[
    ("any", 0x1ff),
    ("OpenFlow10", 0x003),
    ("NXM", 0x00c),
    ("OXM", 0x1e0),
];

/// A set of forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forms(u16);

impl Forms {
    pub(super) const ALL: Forms = Forms(0x1ff);

    fn that(is: impl Fn(&Form) -> bool) -> Forms {
        let bits = FORMS.iter().enumerate().filter(|(_, form)| is(form));
        Forms(bits.fold(0, |set, (at, _)| set | 1 << at))
    }
    pub(super) fn and(self, other: Forms) -> Forms {
        Forms(self.0 & other.0)
    }
    /// Those that the options allow.
    pub(super) fn allowed(options: &Options) -> Result<Forms> {
        options.check_flow_format()?;
        let versions = options.versions()?.0;
        let allowed = Forms::that(|form| versions.contains(&form.protocol.version));
        let Some(names) = &options.flow_format else {
            return Ok(allowed);
        };
        let named = |name: &str| {
            let set = SETS.iter().find(|(set, _)| set.eq_ignore_ascii_case(name));
            set.map_or_else(
                || Forms::that(|form| form.name.eq_ignore_ascii_case(name)).0,
                |(_, set)| *set,
            )
        };
        let chosen = names.split(',').fold(0, |set, name| set | named(name));
        Ok(allowed.and(Forms(chosen)))
    }
    /// Those that can say something.
    pub(super) fn of(usable: &Usable) -> Forms {
        Forms::that(|form| usable.contains(form.protocol))
    }
    /// Those that can say a flow; a table must have its place in the message.
    pub(super) fn of_flow(flow: &FlowMod) -> Forms {
        let names_table = flow.table != TableId::ALL;
        Forms::of(&usable(flow)).and(Forms::that(|form| form.has_table || !names_table))
    }
    /// The preferred one.
    pub(super) fn first(self) -> Result<&'static Form> {
        let at = self.0.trailing_zeros() as usize;
        FORMS
            .get(at)
            .ok_or_else(|| Failure::plain("no usable protocol"))
    }
}

impl std::fmt::Display for Forms {
    /// Sets by their names, then what is left one by one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut left = self.0;
        let mut names = Vec::new();
        let single = FORMS.iter().enumerate().map(|(at, f)| (f.name, 1 << at));
        for (name, set) in SETS.iter().copied().chain(single) {
            if left & set == set {
                names.push(name);
                left &= !set;
            }
        }
        f.write_str(match names.is_empty() {
            true => "none",
            false => return f.write_str(&names.join(",")),
        })
    }
}

impl Form {
    /// How to write messages in this form.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect {
            version: self.protocol.version,
            flow_format: match self.protocol == STANDARD10 {
                true => FlowFormat::OpenFlow10,
                false => FlowFormat::Nxm,
            },
            flow_mod_table_id: self.protocol.version == Version::V10 && self.has_table,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_short_names() {
        for (set, name) in [
            (0x1ff, "any"),
            (0, "none"),
            (0x1fa, "OXM,OpenFlow10+table_id,NXM+table_id,OpenFlow11"),
            (0x1c0, "OXM-OpenFlow13,OXM-OpenFlow14,OXM-OpenFlow15"),
        ] {
            assert_eq!(Forms(set).to_string(), name);
        }
    }
}
