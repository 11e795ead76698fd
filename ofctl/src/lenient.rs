//! `--lenient`: what Open vSwitch takes without a word, taken with a warning. A field whose prerequisite is missing is
//! left out, and a VLAN id that is too large loses its upper bits, as that does; everything else stays refused.

use ofp::text::TextError;
use ofp::text::digits;

/// How a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// What is wrong is refused.
    Strict,
    /// What Open vSwitch takes is taken, and said on standard error.
    Warns,
    /// The same a second time, when all is said.
    Again,
}

impl Reading {
    /// By the option.
    pub fn by(lenient: bool) -> Reading {
        match lenient {
            true => Reading::Warns,
            false => Reading::Strict,
        }
    }
    /// For a second pass over what was read.
    pub fn again(self) -> Reading {
        match self {
            Reading::Strict => Reading::Strict,
            Reading::Warns | Reading::Again => Reading::Again,
        }
    }
}

/// Reads a text; as long as it is refused for something that Open vSwitch takes, without that.
pub fn read<T>(
    text: &str,
    reading: Reading,
    place: &str,
    read: impl Fn(&str) -> Result<T, TextError>,
) -> Result<T, (String, TextError)> {
    let mut text = text.to_owned();
    loop {
        let error = match read(&text) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let amended = match reading {
            Reading::Strict => None,
            Reading::Warns | Reading::Again => amend(&text, &error),
        };
        let Some((amended, what)) = amended else {
            return Err((text, error));
        };
        if reading == Reading::Warns {
            eprintln!("ofctl: {place}warning: {what}");
        }
        text = amended;
    }
}

/// The text as Open vSwitch understands it, and what is different. Each time it has one offence less.
fn amend(text: &str, error: &TextError) -> Option<(String, String)> {
    let start = error.column.checked_sub(1)?;
    let rest = text.get(start..)?;
    let len = rest
        .find(|c: char| c == ',' || c.is_whitespace())
        .unwrap_or(rest.len());
    let (item, behind) = rest.split_at(len);
    if error.message.starts_with("needs ") && item.contains('=') {
        let behind = behind.strip_prefix(',').unwrap_or(behind);
        let what = format!("\"{item}\" is left out: {} {}", error.word, error.message);
        return Some((format!("{}{behind}", &text[..start]), what));
    }
    if error.message == "not a VLAN id" {
        let id: u32 = digits(item, 10).filter(|id| *id > 0xfff)?;
        let cut = id & 0xfff;
        let what = format!("dl_vlan={id} has 12 bits at most: it means {cut}");
        return Some((format!("{}{cut}{behind}", &text[..start]), what));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofp::text::{PortMap, read_flow_mod};
    use proptest::prelude::*;

    #[test]
    fn what_open_vswitch_takes_is_taken() {
        let ports = PortMap::default();
        for (text, same) in [
            ("nw_dst=10.0.0.1,actions=drop", Some("actions=drop")),
            ("ip,tcp_dst=80,actions=1", Some("ip,actions=1")),
            ("dl_vlan=5000,actions=1", Some("dl_vlan=904,actions=1")),
            (
                "ip,tcp_dst=80 nw_src=1.2.3.4,udp_src=1,actions=1",
                Some("ip,nw_src=1.2.3.4,actions=1"),
            ),
            ("bogus=1,actions=1", None),
            ("ip,nw_dst=1.2.3,actions=1", None),
        ] {
            let flow = |text: &str| read_flow_mod(text, None, &ports);
            let taken = read(text, Reading::Again, "", flow).ok();
            assert_eq!(taken, same.map(|same| flow(same).unwrap()), "{text}");
            assert!(read(text, Reading::Strict, "", flow).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_ends(text in "[a-z0-9_=,. ]{0,80}") {
            let ports = PortMap::default();
            let _ = read(&text, Reading::Again, "", |text| read_flow_mod(text, None, &ports));
        }
    }
}
