//! An OVSDB client (RFC 7047 section 4): connects, asks for the schema, keeps a replica of the database and sends transactions.
//! For short-lived tools: one request at a time, one database, no reconnecting. Everything that a server sends is
//! bounded by the codec; a server that breaks the protocol ends the session with an [`Error`].

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::codec::Framed;

use crate::jsonrpc::{Codec, Message};
use crate::schema::DatabaseSchema;
use crate::value::{Name, Row, Uuid, no_names, parse_uuid};

/// How long [`Client::connect`] tries. A daemon that listens answers within milliseconds.
const CONNECT_LIMIT: Duration = Duration::from_millis(900);
/// The registered port of OVSDB.
const DEFAULT_PORT: u16 = 6640;
/// The id of the one monitor of a session.
const MONITOR_ID: &str = "replica";

/// Why a session could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target is not written as one.
    #[error("\"{0}\" is not a database address: use unix:FILE, tcp:HOST[:PORT] or ssl:HOST[:PORT]")]
    Target(String),
    /// Nobody listens.
    #[error(
        "{target}: database connection failed ({cause}): {}",
        start_hint(target, cause)
    )]
    Connect {
        /// Whom we tried to reach.
        target: Target,
        /// What the system said.
        cause: String,
    },
    /// The connection broke.
    #[error("the database connection broke: {0}")]
    Broken(String),
    /// The server sent something that RFC 7047 does not allow.
    #[error("the database server breaks the protocol: {0}")]
    Protocol(String),
    /// The server refused a request. The text is for humans; the word is RFC 7047's.
    #[error("{}", if details.is_empty() { word } else { details })]
    Refused {
        /// The error word.
        word: String,
        /// What exactly is wrong.
        details: String,
    },
    /// The condition did not come true in time.
    #[error("timed out after {0} seconds")]
    TimedOut(u64),
}

/// Results of a session.
pub type Result<T> = std::result::Result<T, Error>;

/// The directory of the sockets: `$OVS_RUNDIR`, else where stock tools look.
pub fn rundir() -> PathBuf {
    std::env::var_os("OVS_RUNDIR").map_or_else(|| "/var/run/openvswitch".into(), PathBuf::from)
}

fn start_hint(target: &Target, cause: &str) -> String {
    match target {
        Target::Unix(_) if cause == "Permission denied" => "try as root".into(),
        Target::Unix(path) => {
            let dir = path.parent().unwrap_or(Path::new("."));
            format!(
                "is the switch running? Start it with: switchd --rundir={}",
                dir.display()
            )
        }
        Target::Tcp(..) => "is the switch running there, and is a manager ptcp: configured?".into(),
        Target::Ssl(..) => "is the switch running there, and is a manager pssl: configured?".into(),
    }
}

/// Where a database server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `unix:FILE`; a relative name is meant in the [`rundir`].
    Unix(PathBuf),
    /// `tcp:HOST[:PORT]`, an IPv6 address in brackets.
    Tcp(String, u16),
    /// The same by TLS: `ssl:HOST[:PORT]`.
    Ssl(String, u16),
}

impl Default for Target {
    fn default() -> Self {
        Self::Unix(rundir().join("db.sock"))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host, port) => write!(f, "tcp:{}:{port}", bracketed(host)),
            Self::Ssl(host, port) => write!(f, "ssl:{}:{port}", bracketed(host)),
        }
    }
}

/// An IPv6 address in brackets.
fn bracketed(host: &str) -> std::borrow::Cow<'_, str> {
    match host.contains(':') {
        true => format!("[{host}]").into(),
        false => host.into(),
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::Target(text.to_owned());
        match text.split_once(':').ok_or_else(wrong)? {
            ("unix", path) if !path.is_empty() => Ok(Self::Unix(rundir().join(path))),
            (method @ ("tcp" | "ssl"), rest) => {
                let (host, port) = match rest.strip_prefix('[') {
                    Some(rest) => rest.split_once(']').ok_or_else(wrong)?,
                    None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
                };
                let port = match port.strip_prefix(':') {
                    None if port.is_empty() => DEFAULT_PORT,
                    None => return Err(wrong()),
                    Some(port) if port.starts_with('+') => return Err(wrong()),
                    Some(port) => port.parse().map_err(|_| wrong())?,
                };
                match method {
                    _ if host.is_empty() => Err(wrong()),
                    "tcp" => Ok(Self::Tcp(host.to_owned(), port)),
                    _ => Ok(Self::Ssl(host.to_owned(), port)),
                }
            }
            _ => Err(wrong()),
        }
    }
}

/// The rows of a database as the server last told them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replica {
    tables: BTreeMap<Name, BTreeMap<Uuid, Row>>,
}

impl Replica {
    /// The rows of a table, by UUID. A table that is not there has none.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Row)> {
        self.tables
            .get(table)
            .into_iter()
            .flatten()
            .map(|(uuid, row)| (*uuid, row))
    }

    /// One row.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Row> {
        self.tables.get(table)?.get(&uuid)
    }

    /// The first row of a table, for tables that hold one row at most.
    pub fn singleton(&self, table: &str) -> Option<(Uuid, &Row)> {
        self.rows(table).next()
    }

    /// Adds or replaces a row.
    pub fn put(&mut self, table: &str, uuid: Uuid, row: Row) {
        match self.tables.get_mut(table) {
            Some(rows) => rows.insert(uuid, row),
            None => self
                .tables
                .entry(table.into())
                .or_default()
                .insert(uuid, row),
        };
    }

    /// A row to change in place.
    pub fn row_mut(&mut self, table: &str, uuid: Uuid) -> Option<&mut Row> {
        self.tables.get_mut(table)?.get_mut(&uuid)
    }

    /// Removes a row.
    pub fn remove(&mut self, table: &str, uuid: Uuid) -> Option<Row> {
        self.tables.get_mut(table)?.remove(&uuid)
    }

    /// Folds a `<table-updates>` object of RFC 7047 section 4.1.6 into the rows. `new` holds the whole row.
    fn fold(&mut self, schema: &DatabaseSchema, updates: &Value) -> Result<()> {
        let protocol = |what: &str| Error::Protocol(format!("an update {what}"));
        for (table, rows) in updates
            .as_object()
            .ok_or_else(|| protocol("is not an object"))?
        {
            let columns = &schema
                .table(table)
                .map_err(|e| Error::Protocol(e.to_string()))?
                .columns;
            for (uuid, change) in rows
                .as_object()
                .ok_or_else(|| protocol("of a table is not an object"))?
            {
                let uuid = parse_uuid(uuid)
                    .ok_or_else(|| protocol("names a row by something else than a UUID"))?;
                let Some(new) = change.get("new").and_then(Value::as_object) else {
                    self.remove(table, uuid);
                    continue;
                };
                let mut row = Row::new();
                for (name, value) in new {
                    let Some(column) = columns.get(name.as_str()) else {
                        continue;
                    };
                    let datum = column
                        .ty
                        .parse_datum(value, &no_names)
                        .map_err(|e| Error::Protocol(e.to_string()))?;
                    row.insert(column.name.clone(), datum);
                }
                self.put(table, uuid, row);
            }
        }
        Ok(())
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A session with a server about one database.
pub struct Client {
    stream: Framed<Box<dyn Stream>, Codec>,
    last_id: u64,
    schema: DatabaseSchema,
    replica: Replica,
    generation: u64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("schema", &self.schema.to_string())
            .finish_non_exhaustive()
    }
}

/// Connects by TLS.
async fn connect_tls(
    host: &str,
    port: u16,
    files: Option<&tls::Files>,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let files = files.ok_or_else(|| {
        io::Error::other("--private-key, --certificate and --ca-cert have to be given")
    })?;
    let client = files.client().map_err(io::Error::other)?;
    let stream = TcpStream::connect((host, port)).await?;
    let name = tls::Client::server_name(stream.peer_addr()?.ip());
    let connector = tokio_rustls::TlsConnector::from(client.config.clone());
    let stream = connector.connect(name, stream).await?;
    client.handshaken().map_err(io::Error::other)?;
    Ok(stream)
}

impl Client {
    /// Connects, asks for the schema of `database` and fills the replica. If nobody listens it says so in less than a second.
    /// An `ssl:` target needs `tls`.
    pub async fn connect(
        target: &Target,
        database: &str,
        tls: Option<&tls::Files>,
    ) -> Result<Self> {
        let cause = |e: io::Error| Error::Connect {
            target: target.clone(),
            cause: plain(&e),
        };
        let connect = async {
            Ok::<Box<dyn Stream>, io::Error>(match target {
                Target::Unix(path) => Box::new(UnixStream::connect(path).await?),
                Target::Tcp(host, port) => {
                    Box::new(TcpStream::connect((host.as_str(), *port)).await?)
                }
                Target::Ssl(host, port) => Box::new(connect_tls(host, *port, tls).await?),
            })
        };
        let stream = tokio::time::timeout(CONNECT_LIMIT, connect)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")))
            .map_err(cause)?;
        let schema = DatabaseSchema {
            name: database.into(),
            version: String::new(),
            cksum: None,
            tables: BTreeMap::new(),
        };
        let stream = Framed::new(stream, Codec::default());
        let mut client = Self {
            stream,
            last_id: 0,
            schema,
            replica: Replica::default(),
            generation: 0,
        };
        let json = client.call("get_schema", vec![json!(database)]).await?;
        client.schema =
            DatabaseSchema::from_json(&json).map_err(|e| Error::Protocol(e.to_string()))?;
        client.monitor().await?;
        Ok(client)
    }

    /// The schema of the database.
    pub fn schema(&self) -> &DatabaseSchema {
        &self.schema
    }

    /// The rows, as last told.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// A number that grows when the replica changes.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Asks for all rows and for every later change of them.
    async fn monitor(&mut self) -> Result<()> {
        let requests: serde_json::Map<_, _> = self
            .schema
            .tables
            .keys()
            .map(|table| (table.to_string(), json!([{}])))
            .collect();
        let params = vec![
            json!(&*self.schema.name),
            json!(MONITOR_ID),
            Value::Object(requests),
        ];
        let rows = self.call("monitor", params).await?;
        self.replica.fold(&self.schema, &rows)
    }

    /// Sends `operations` as one transaction. The results are one per operation; a refusal is [`Error::Refused`], and then nothing is changed.
    /// The replica has the change when this returns.
    pub async fn transact(&mut self, operations: Vec<Value>) -> Result<Vec<Value>> {
        let count = operations.len();
        let mut params = vec![json!(&*self.schema.name)];
        params.extend(operations);
        let Value::Array(results) = self.call("transact", params).await? else {
            return Err(Error::Protocol(
                "the reply to transact is not an array".into(),
            ));
        };
        match results.iter().find(|result| result.get("error").is_some()) {
            Some(refusal) => Err(refused(refusal)),
            None if results.len() < count => Err(Error::Protocol(
                "the reply to transact lacks results".into(),
            )),
            None => Ok(results),
        }
    }

    /// Waits for the next change of the replica.
    pub async fn changed(&mut self) -> Result<()> {
        loop {
            let message = self.receive().await?;
            if self.absorb(message).await?.is_updated() {
                return Ok(());
            }
        }
    }

    /// Waits until `condition` holds on the replica, at most `limit`.
    pub async fn wait_until(
        &mut self,
        limit: Duration,
        mut condition: impl FnMut(&Replica) -> bool,
    ) -> Result<()> {
        let wait = async {
            while !condition(&self.replica) {
                self.changed().await?;
            }
            Ok(())
        };
        tokio::time::timeout(limit, wait)
            .await
            .unwrap_or(Err(Error::TimedOut(limit.as_secs())))
    }

    /// One request and its answer; what comes in between goes into the replica.
    async fn call(&mut self, method: &str, params: Vec<Value>) -> Result<Value> {
        self.last_id += 1;
        let id = json!(self.last_id);
        self.send(Message::request(id.clone(), method, params))
            .await?;
        loop {
            let message = self.receive().await?;
            match self.absorb(message).await? {
                Absorbed::Answer(answer, result) if answer == id => {
                    return result.map_err(|e| refused(&e));
                }
                _ => {}
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<()> {
        self.stream
            .send(message)
            .await
            .map_err(|e| Error::Broken(plain(&e)))
    }

    async fn receive(&mut self) -> Result<Message> {
        match self.stream.next().await {
            Some(Ok(message)) => Ok(message),
            Some(Err(e)) if e.kind() == io::ErrorKind::InvalidData => {
                Err(Error::Protocol(e.to_string()))
            }
            Some(Err(e)) => Err(Error::Broken(plain(&e))),
            None => Err(Error::Broken("the server closed it".into())),
        }
    }

    /// Does what a message wants: folds updates, answers echoes; hands answers on.
    async fn absorb(&mut self, message: Message) -> Result<Absorbed> {
        match message {
            Message::Notification { method, params } if method == "update" => {
                let [id, updates] = params.as_slice() else {
                    return Err(Error::Protocol("an update without two params".into()));
                };
                if id == MONITOR_ID {
                    self.replica.fold(&self.schema, updates)?;
                    self.generation += 1;
                }
                Ok(Absorbed::Updated)
            }
            Message::Request { id, method, params } if method == "echo" => {
                self.send(Message::reply(id, Value::Array(params))).await?;
                Ok(Absorbed::Other)
            }
            Message::Response { id, result } => Ok(Absorbed::Answer(id, result)),
            Message::Request { .. } | Message::Notification { .. } => Ok(Absorbed::Other),
        }
    }
}

enum Absorbed {
    Updated,
    Answer(Value, std::result::Result<Value, Value>),
    Other,
}

impl Absorbed {
    fn is_updated(&self) -> bool {
        matches!(self, Self::Updated)
    }
}

fn refused(error: &Value) -> Error {
    let text = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
    let word = text("error").unwrap_or_else(|| error.to_string());
    Error::Refused {
        word,
        details: text("details").unwrap_or_default(),
    }
}

/// The text of an I/O error without its number.
fn plain(e: &io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_printed() {
        for text in ["unix:/tmp/db.sock", "tcp:127.0.0.1:6641", "tcp:[::1]:6640"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!(
            "tcp:10.0.0.1".parse::<Target>().unwrap(),
            Target::Tcp("10.0.0.1".into(), 6640)
        );
        assert_eq!(
            "tcp:[fe80::1]".parse::<Target>().unwrap(),
            Target::Tcp("fe80::1".into(), 6640)
        );
        for text in [
            "",
            "unix",
            "unix:",
            "tcp:",
            "tcp::1",
            "tcp:h:port",
            "tcp:[::1]x",
            "tcp:[::1",
            "ssl:",
            "foo:x",
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(&format!("\"{text}\"")), "{error}");
        }
    }

    fn schema() -> DatabaseSchema {
        let column = json!({"type": {"key": "string", "min": 0, "max": "unlimited"}});
        let schema =
            json!({"name": "D", "version": "1.0.0", "tables": {"T": {"columns": {"c": column}}}});
        DatabaseSchema::from_json(&schema).unwrap()
    }

    const ROW: &str = "11111111-2222-3333-4444-555555555555";

    #[test]
    fn updates_fold() {
        let (schema, mut replica) = (schema(), Replica::default());
        replica
            .fold(
                &schema,
                &json!({"T": {ROW: {"new": {"c": ["set", ["a", "b"]], "unknown": 1}}}}),
            )
            .unwrap();
        let (uuid, row) = replica.singleton("T").unwrap();
        assert_eq!(row["c"].strings().collect::<Vec<_>>(), ["a", "b"]);
        replica
            .fold(
                &schema,
                &json!({"T": {ROW: {"old": {"c": "a"}, "new": {"c": "x"}}}}),
            )
            .unwrap();
        assert_eq!(replica.row("T", uuid).unwrap()["c"].as_str(), Some("x"));
        replica
            .fold(&schema, &json!({"T": {ROW: {"old": {"c": "x"}}}}))
            .unwrap();
        assert_eq!(replica.rows("T").count(), 0);
    }

    #[test]
    fn malformed_updates_are_errors() {
        for updates in [
            json!(1),
            json!({"T": 1}),
            json!({"X": {}}),
            json!({"T": {"x": {}}}),
            json!({"T": {ROW: {"new": {"c": 1}}}}),
        ] {
            let result = Replica::default().fold(&schema(), &updates);
            assert!(matches!(result, Err(Error::Protocol(_))), "{updates}");
        }
    }

    #[test]
    fn refusals_print_their_details() {
        let error = refused(&json!({"error": "constraint violation", "details": "no such type"}));
        assert_eq!(error.to_string(), "no such type");
        assert_eq!(
            refused(&json!({"error": "timed out"})).to_string(),
            "timed out"
        );
    }

    #[tokio::test]
    async fn nobody_listens() {
        let target = "unix:/nonexistent/db.sock".parse().unwrap();
        let error = Client::connect(&target, "D", None)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(
                "unix:/nonexistent/db.sock: database connection failed (No such file or directory)"
            ),
            "{error}"
        );
        assert!(error.contains("switchd --rundir=/nonexistent"), "{error}");
    }

    /// A server that answers the first request with `bytes` and closes.
    async fn answered(name: &str, bytes: &'static [u8]) -> Error {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let path = std::env::temp_dir().join(format!("ovsdb-client-{}-{name}", std::process::id()));
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(bytes).await.unwrap();
        };
        let target = Target::Unix(path.clone());
        let (result, ()) = tokio::join!(Client::connect(&target, "D", None), server);
        std::fs::remove_file(&path).unwrap();
        result.unwrap_err()
    }

    #[tokio::test]
    async fn bad_servers_are_errors() {
        assert!(matches!(answered("silent", b"").await, Error::Broken(_)));
        assert!(matches!(
            answered("noise", b"]]{").await,
            Error::Protocol(_)
        ));
        assert!(matches!(
            answered("schema", br#"{"id":1,"result":7,"error":null}"#).await,
            Error::Protocol(_)
        ));
        let refusal =
            br#"{"id":1,"result":null,"error":{"error":"unknown database","details":"no D here"}}"#;
        assert_eq!(answered("refusal", refusal).await.to_string(), "no D here");
    }
}
