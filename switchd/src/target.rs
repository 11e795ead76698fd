//! Where a controller or a database client is: `tcp:HOST[:PORT]`, `unix:FILE`, and the listening
//! forms `ptcp:[PORT][:HOST]`, `punix:FILE` (ovs-vsctl(8), "OpenFlow Controller Connectivity").

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// A parsed target; the port is filled in by [`Target::socket`] if it was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Connect to this address.
    Tcp(IpAddr, Option<u16>),
    /// Connect to this socket.
    Unix(PathBuf),
    /// Listen on this address.
    PassiveTcp(IpAddr, Option<u16>),
    /// Listen on this socket.
    PassiveUnix(PathBuf),
}

impl Target {
    /// Whether it listens.
    pub fn is_passive(&self) -> bool {
        matches!(self, Target::PassiveTcp(..) | Target::PassiveUnix(_))
    }
    /// The address of the TCP forms.
    pub fn socket(&self, default_port: u16) -> Option<SocketAddr> {
        match *self {
            Target::Tcp(ip, port) | Target::PassiveTcp(ip, port) => {
                Some(SocketAddr::new(ip, port.unwrap_or(default_port)))
            }
            _ => None,
        }
    }
}

/// What would be right.
const RIGHT: &str = "tcp:ADDRESS[:PORT], unix:FILE, ptcp:[PORT][:ADDRESS] or punix:FILE";

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        match self {
            Target::Tcp(ip, None) => write!(f, "tcp:{}", host(ip)),
            Target::Tcp(ip, Some(port)) => write!(f, "tcp:{}:{port}", host(ip)),
            Target::PassiveTcp(ip, None) => write!(f, "ptcp::{}", host(ip)),
            Target::PassiveTcp(ip, Some(port)) => write!(f, "ptcp:{port}:{}", host(ip)),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
            Target::PassiveUnix(path) => write!(f, "punix:{}", path.display()),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let (method, rest) = text.split_once(':').ok_or(RIGHT)?;
        let file = || {
            (!rest.is_empty())
                .then(|| PathBuf::from(rest))
                .ok_or_else(|| RIGHT.to_owned())
        };
        match method {
            "tcp" => {
                let (ip, port) = address_port(rest).ok_or(RIGHT)?;
                Ok(Target::Tcp(ip, port))
            }
            "ptcp" => {
                let (port, ip) = rest.split_once(':').unwrap_or((rest, ""));
                let port = (!port.is_empty())
                    .then(|| port.parse().map_err(|_| RIGHT))
                    .transpose()?;
                let ip = match ip {
                    "" => IpAddr::from([0, 0, 0, 0]),
                    ip => bare(ip).parse().map_err(|_| RIGHT)?,
                };
                Ok(Target::PassiveTcp(ip, port))
            }
            "unix" => file().map(Target::Unix),
            "punix" => file().map(Target::PassiveUnix),
            "ssl" | "pssl" => Err(format!("supported yet: TLS is not built in; {RIGHT}")),
            _ => Err(RIGHT.into()),
        }
    }
}

/// Without the brackets of an IPv6 address.
fn bare(text: &str) -> &str {
    text.strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text)
}

/// `A.B.C.D`, `A.B.C.D:P`, `[V6]`, `[V6]:P`.
fn address_port(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(ip) = bare(text).parse() {
        return Some((ip, None));
    }
    let (ip, port) = text.rsplit_once(':')?;
    Some((
        bare(ip).parse().ok()?,
        Some(port.parse().ok().filter(|p| *p != 0)?),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let parse = |text: &str| text.parse::<Target>();
        let v4 = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(parse("tcp:127.0.0.1:6653"), Ok(Target::Tcp(v4, Some(6653))));
        assert_eq!(parse("tcp:127.0.0.1"), Ok(Target::Tcp(v4, None)));
        assert_eq!(
            parse("tcp:[::1]:1"),
            Ok(Target::Tcp("::1".parse().unwrap(), Some(1)))
        );
        assert_eq!(
            parse("ptcp:6653:127.0.0.1"),
            Ok(Target::PassiveTcp(v4, Some(6653)))
        );
        assert_eq!(
            parse("ptcp:"),
            Ok(Target::PassiveTcp(IpAddr::from([0, 0, 0, 0]), None))
        );
        assert_eq!(parse("punix:/x"), Ok(Target::PassiveUnix("/x".into())));
        for text in ["tcp:127.0.0.1", "tcp:[::1]:1", "ptcp:1:0.0.0.0", "punix:/x"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        for wrong in [
            "tcp:",
            "tcp:1.2.3.4.5",
            "tcp:1.2.3.4:70000",
            "unix:",
            "ptcp:x",
            "frob:1",
            "ssl:1.2.3.4",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
