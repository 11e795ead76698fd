//! Where a switch listens: what the word after the command names.

use crate::failure::{Failure, Result};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The port of OpenFlow (IANA).
const OPENFLOW_PORT: u16 = 6653;
/// A TCP connection that takes longer is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a switch listens.
#[derive(Clone, Debug)]
pub enum Target {
    /// A socket in the file system.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String, u16),
    /// The same by TLS.
    Ssl(String, u16),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, host, port) = match self {
            Target::Unix(path) => return write!(f, "unix:{}", path.display()),
            Target::Tcp(host, port) => ("tcp", host, port),
            Target::Ssl(host, port) => ("ssl", host, port),
        };
        match host.contains(':') {
            true => write!(f, "{method}:[{host}]:{port}"),
            false => write!(f, "{method}:{host}:{port}"),
        }
    }
}

/// Directory of the sockets: `$OVS_RUNDIR`, else where Open vSwitch has them.
pub fn rundir() -> PathBuf {
    std::env::var_os("OVS_RUNDIR").map_or_else(|| "/var/run/openvswitch".into(), PathBuf::from)
}

impl Target {
    /// A bridge's name, a path, `unix:PATH`, `tcp:HOST[:PORT]` or `ssl:HOST[:PORT]`.
    pub fn read(word: &str) -> Result<Target> {
        if let Some(path) = word.strip_prefix("unix:") {
            return Ok(Target::Unix(path.into()));
        }
        if let Some(rest) = word.strip_prefix("tcp:") {
            let (host, port) = host_and_port(word, rest)?;
            return Ok(Target::Tcp(host, port));
        }
        if let Some(rest) = word.strip_prefix("ssl:") {
            let (host, port) = host_and_port(word, rest)?;
            return Ok(Target::Ssl(host, port));
        }
        if word.contains('/') {
            return Ok(Target::Unix(word.into()));
        }
        let name = word.rsplit('@').next().unwrap_or(word);
        Ok(Target::Unix(rundir().join(format!("{name}.mgmt"))))
    }

    /// Connects, or says what to start. It gives up at the deadline, if not before. `ssl:` needs `tls`.
    pub fn connect(&self, deadline: Option<Instant>, tls: Option<&tls::Files>) -> Result<Stream> {
        let stream = match self {
            Target::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
            Target::Tcp(host, port) => connect_tcp(host, *port, deadline).map(Stream::Tcp),
            Target::Ssl(host, port) => {
                connect_tls(host, *port, deadline, tls).map(|s| Stream::Tls(Box::new(s)))
            }
        };
        stream.map_err(|error| {
            let hint = match (self, error.kind()) {
                (Target::Unix(path), io::ErrorKind::NotFound) => {
                    let dir = path.parent().unwrap_or(path).display();
                    format!("; is there such a bridge, and does switchd run with --rundir {dir}?")
                }
                (Target::Unix(_), io::ErrorKind::ConnectionRefused) => {
                    "; nobody listens there: start switchd".into()
                }
                (Target::Unix(_), io::ErrorKind::PermissionDenied) => "; try as root".into(),
                _ => String::new(),
            };
            Failure::plain(format!("cannot connect to {self}: {error}{hint}"))
        })
    }
}

fn host_and_port(word: &str, rest: &str) -> Result<(String, u16)> {
    let fault = || {
        Failure::plain(format!(
            "{word}: not a target; tcp:HOST:PORT or ssl:HOST:PORT, with an IPv6 address in brackets"
        ))
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']').ok_or_else(fault)?;
            match (host, after.strip_prefix(':')) {
                ("", _) => return Err(fault()),
                (host, None) if after.is_empty() => (host, None),
                (host, port) => (host, Some(port.ok_or_else(fault)?)),
            }
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let port = port.map_or(Ok(OPENFLOW_PORT), |p| {
        ofp::text::digits(p, 10).ok_or_else(fault)
    })?;
    if host.is_empty() {
        Err(fault())
    } else {
        Ok((host.to_owned(), port))
    }
}

fn connect_tcp(host: &str, port: u16, deadline: Option<Instant>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let limit = left.map_or(CONNECT_TIMEOUT, |left| left.min(CONNECT_TIMEOUT));
        if limit.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connects and shakes hands.
fn connect_tls(
    host: &str,
    port: u16,
    deadline: Option<Instant>,
    tls: Option<&tls::Files>,
) -> io::Result<TlsStream> {
    let files = tls.ok_or_else(|| {
        io::Error::other("--private-key, --certificate and --ca-cert have to be given")
    })?;
    let client = files.client().map_err(io::Error::other)?;
    let mut stream = connect_tcp(host, port, deadline)?;
    stream.set_read_timeout(Some(CONNECT_TIMEOUT))?;
    stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
    let name = tls::Client::server_name(stream.peer_addr()?.ip());
    let mut connection =
        rustls::ClientConnection::new(client.config.clone(), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    client.handshaken().map_err(io::Error::other)?;
    Ok(rustls::StreamOwned::new(connection, stream))
}

type TlsStream = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// A connected socket.
pub enum Stream {
    /// In the file system.
    Unix(UnixStream),
    /// On the network.
    Tcp(TcpStream),
    /// On the network, by TLS.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// How long a read or write may take; `None`: forever.
    pub fn set_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        let tcp = match self {
            Stream::Unix(s) => {
                s.set_read_timeout(limit)?;
                return s.set_write_timeout(limit);
            }
            Stream::Tcp(s) => s,
            Stream::Tls(s) => &s.sock,
        };
        tcp.set_read_timeout(limit)?;
        tcp.set_write_timeout(limit)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(s) => s.read(buffer),
            Stream::Tcp(s) => s.read(buffer),
            Stream::Tls(s) => s.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(s) => s.write(buffer),
            Stream::Tcp(s) => s.write(buffer),
            Stream::Tls(s) => s.write(buffer),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Unix(_) | Stream::Tcp(_) => Ok(()),
            Stream::Tls(s) => s.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        for (word, want) in [
            ("unix:/a/b", "unix:/a/b"),
            ("/a/b.mgmt", "unix:/a/b.mgmt"),
            ("tcp:127.0.0.1", "tcp:127.0.0.1:6653"),
            ("tcp:[::1]:7", "tcp:[::1]:7"),
            ("ssl:[::1]", "ssl:[::1]:6653"),
            ("tcp:host:66", "tcp:host:66"),
            ("ssl:host", "ssl:host:6653"),
        ] {
            assert_eq!(Target::read(word).unwrap().to_string(), want);
        }
        for bad in [
            "tcp:",
            "tcp:a:b",
            "tcp:[::1",
            "tcp:[::1]7",
            "tcp:[]:7",
            "ssl:",
        ] {
            assert!(Target::read(bad).is_err(), "{bad}");
        }
    }
}
