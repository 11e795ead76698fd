//! Where a controller or a database client is: `tcp:HOST[:PORT]`, `ssl:HOST[:PORT]`, `unix:FILE`, and the listening
//! forms `ptcp:[PORT][:HOST]`, `pssl:[PORT][:HOST]`, `punix:FILE` (ovs-vsctl(8), "OpenFlow Controller Connectivity").

use ofp::text::digits;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// A parsed target; the port is filled in by [`Target::socket`] if it was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Connect to this address.
    Tcp(IpAddr, Option<u16>),
    /// Connect to this address, by TLS.
    Ssl(IpAddr, Option<u16>),
    /// Connect to this socket.
    Unix(PathBuf),
    /// Listen on this address.
    PassiveTcp(IpAddr, Option<u16>),
    /// Listen on this address, for TLS.
    PassiveSsl(IpAddr, Option<u16>),
    /// Listen on this socket.
    PassiveUnix(PathBuf),
}

impl Target {
    /// Whether it listens.
    pub fn is_passive(&self) -> bool {
        matches!(
            self,
            Target::PassiveTcp(..) | Target::PassiveSsl(..) | Target::PassiveUnix(_)
        )
    }
    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Target::Ssl(..) | Target::PassiveSsl(..))
    }
    /// The address of the forms that have one.
    pub fn socket(&self, default_port: u16) -> Option<SocketAddr> {
        match *self {
            Target::Tcp(ip, port)
            | Target::Ssl(ip, port)
            | Target::PassiveTcp(ip, port)
            | Target::PassiveSsl(ip, port) => {
                Some(SocketAddr::new(ip, port.unwrap_or(default_port)))
            }
            Target::Unix(_) | Target::PassiveUnix(_) => None,
        }
    }
}

/// What would be right.
const RIGHT: &str = "tcp:ADDRESS[:PORT], ssl:ADDRESS[:PORT], unix:FILE, ptcp:[PORT][:ADDRESS], pssl:[PORT][:ADDRESS] or punix:FILE";

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let method = match self {
            Target::Tcp(..) => "tcp",
            Target::Ssl(..) => "ssl",
            Target::Unix(_) => "unix",
            Target::PassiveTcp(..) => "ptcp",
            Target::PassiveSsl(..) => "pssl",
            Target::PassiveUnix(_) => "punix",
        };
        match self {
            Target::Tcp(ip, None) | Target::Ssl(ip, None) => write!(f, "{method}:{}", host(ip)),
            Target::Tcp(ip, Some(port)) | Target::Ssl(ip, Some(port)) => {
                write!(f, "{method}:{}:{port}", host(ip))
            }
            Target::PassiveTcp(ip, port) | Target::PassiveSsl(ip, port) => {
                let port = port.map(|port| port.to_string()).unwrap_or_default();
                write!(f, "{method}:{port}:{}", host(ip))
            }
            Target::Unix(path) | Target::PassiveUnix(path) => {
                write!(f, "{method}:{}", path.display())
            }
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
            "tcp" | "ssl" => {
                let (ip, port) = address_port(rest).ok_or(RIGHT)?;
                Ok(match method {
                    "tcp" => Target::Tcp(ip, port),
                    _ => Target::Ssl(ip, port),
                })
            }
            "ptcp" | "pssl" => {
                let (port, ip) = rest.split_once(':').unwrap_or((rest, ""));
                let port = (!port.is_empty())
                    .then(|| digits(port, 10).ok_or(RIGHT))
                    .transpose()?;
                let ip = match ip {
                    "" => IpAddr::from([0, 0, 0, 0]),
                    ip => bare(ip).parse().map_err(|_| RIGHT)?,
                };
                Ok(match method {
                    "ptcp" => Target::PassiveTcp(ip, port),
                    _ => Target::PassiveSsl(ip, port),
                })
            }
            "unix" => file().map(Target::Unix),
            "punix" => file().map(Target::PassiveUnix),
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
        Some(digits(port, 10).filter(|p| *p != 0)?),
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
        for text in [
            "tcp:127.0.0.1",
            "tcp:[::1]:1",
            "ssl:127.0.0.1",
            "ssl:[::1]:6653",
            "ptcp:1:0.0.0.0",
            "pssl::[::]",
            "pssl:6653:127.0.0.1",
            "punix:/x",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        for wrong in [
            "tcp:",
            "tcp:1.2.3.4.5",
            "tcp:1.2.3.4:70000",
            "unix:",
            "ptcp:x",
            "frob:1",
            "ssl:host",
            "pssl:x",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
