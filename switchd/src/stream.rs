//! Byte streams to and from a [`Target`]: plain or by TLS, dialled or accepted. What is said on them is the
//! callers' matter: OpenFlow to controllers, JSON-RPC to database clients.

use crate::target::Target;
use arc_swap::ArcSwapOption;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Longest a connection attempt may take, its handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Keys and certificates as configured now. The files are read for each connection, so that renewed ones are used
/// at once.
pub type Tls = Arc<ArcSwapOption<tls::Files>>;

/// What is missing if there are none.
const NO_FILES: &str = "no key and certificate are configured: vsctl set-ssl KEY CERTIFICATE CA";

/// Connects to a target that does not listen; says why it could not.
pub async fn connect(
    target: &Target,
    default_port: u16,
    tls: &Tls,
) -> Result<Box<dyn Stream>, String> {
    let attempt = async {
        if let Target::Unix(path) = target {
            let stream = UnixStream::connect(path).await.map_err(text)?;
            return Ok(Box::new(stream) as Box<dyn Stream>);
        }
        let address = target.socket(default_port).ok_or("not to be dialled")?;
        let client = match target.is_tls() {
            true => {
                let files = tls.load_full().ok_or(NO_FILES)?;
                Some(files.client().map_err(text)?)
            }
            false => None,
        };
        let stream = TcpStream::connect(address).await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let Some(client) = client else {
            return Ok(Box::new(stream) as Box<dyn Stream>);
        };
        let name = tls::Client::server_name(address.ip());
        let connector = TlsConnector::from(client.config.clone());
        let stream = connector.connect(name, stream).await.map_err(text)?;
        client.handshaken().map_err(text)?;
        Ok(Box::new(stream) as Box<dyn Stream>)
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(result) => result,
        Err(_) => Err("no answer".into()),
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// A listening socket.
pub enum Listener {
    /// In the file system.
    Unix(UnixListener, PathBuf),
    /// On the network.
    Tcp(TcpListener),
    /// On the network, for TLS.
    Tls(TcpListener, Tls),
}

/// A socket's file, removed when this is dropped. It is kept beside the task that listens: what is to listen there next
/// does not wait for that task's end.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already; there is nobody to tell.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Somebody who came, before the handshake if there is one.
pub enum Arrival {
    /// Nothing is left to do.
    Plain(Box<dyn Stream>),
    /// The handshake is.
    Tls(TcpStream, Tls),
}

impl Listener {
    /// Listens as a target says; says why it cannot. The file is to be kept as long as the listener.
    pub fn bind(
        target: &Target,
        default_port: u16,
        tls: &Tls,
    ) -> Result<(Listener, Option<SocketFile>), String> {
        if let Target::PassiveUnix(path) = target {
            let listener = Listener::Unix(bind_unix(path)?, path.clone());
            return Ok((listener, Some(SocketFile(path.clone()))));
        }
        let address = target.socket(default_port).ok_or("not to be listened on")?;
        let listener = bind_tcp(address).map_err(text)?;
        let listener = match target.is_tls() {
            true => {
                // What cannot work is said now, and not to the first who comes.
                let files = tls.load_full().ok_or(NO_FILES)?;
                files.server().map_err(text)?;
                Listener::Tls(listener, tls.clone())
            }
            false => Listener::Tcp(listener),
        };
        Ok((listener, None))
    }
    /// The next who comes, and what to call them.
    pub async fn accept(&self) -> std::io::Result<(Arrival, String)> {
        let tcp = async |listener: &TcpListener| {
            let (stream, peer) = listener.accept().await?;
            // Small messages back and forth: waiting for more to send only costs time.
            stream.set_nodelay(true)?;
            std::io::Result::Ok((stream, peer))
        };
        Ok(match self {
            Listener::Unix(listener, path) => {
                let (stream, _) = listener.accept().await?;
                let name = format!("unix:{}", path.display());
                (Arrival::Plain(Box::new(stream)), name)
            }
            Listener::Tcp(listener) => {
                let (stream, peer) = tcp(listener).await?;
                (Arrival::Plain(Box::new(stream)), format!("tcp:{peer}"))
            }
            Listener::Tls(listener, tls) => {
                let (stream, peer) = tcp(listener).await?;
                (Arrival::Tls(stream, tls.clone()), format!("ssl:{peer}"))
            }
        })
    }
}

impl Arrival {
    /// Does the handshake, if there is one; to be called in the connection's own task.
    pub async fn handshake(self) -> Result<Box<dyn Stream>, String> {
        let (stream, tls) = match self {
            Arrival::Plain(stream) => return Ok(stream),
            Arrival::Tls(stream, tls) => (stream, tls),
        };
        let files = tls.load_full().ok_or(NO_FILES)?;
        let acceptor = TlsAcceptor::from(files.server().map_err(text)?);
        match tokio::time::timeout(CONNECT_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the TLS handshake took too long".into()),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Binds, over a file that a dead process left; one that somebody listens on is an error.
fn bind_unix(path: &Path) -> Result<UnixListener, String> {
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(format!("{}: another process listens here", path.display()));
        }
        let _ = std::fs::remove_file(path);
    }
    UnixListener::bind(path).map_err(|error| format!("{}: {error}", path.display()))
}
