//! JSON-RPC 1.0 as RFC 7047 section 4 uses it: messages, and a codec for a stream of JSON objects without framing.
//! What comes in is bounded in size and depth; malformed input is an error after which the connection must be closed.

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use serde_json::{Value, json};
use tokio_util::codec::{Decoder, Encoder};

/// The largest message that [`Codec::default`] takes. A dump of a thousand ports has some 2 MB.
pub const DEFAULT_LIMIT_BYTES: usize = 16 << 20;

/// The deepest nesting of arrays and objects that is taken; RFC 7047's own forms need about ten.
pub const DEPTH_LIMIT: usize = 64;

/// One JSON-RPC message.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Wants a [`Message::Response`] with the same id.
    Request {
        /// Anything but null.
        id: Value,
        /// What to do.
        method: String,
        /// With what.
        params: Vec<Value>,
    },
    /// Wants no answer.
    Notification {
        /// What happened.
        method: String,
        /// With what.
        params: Vec<Value>,
    },
    /// Answers a request.
    Response {
        /// The id of the request.
        id: Value,
        /// The result, or the error.
        result: Result<Value, Value>,
    },
}

impl Message {
    /// A request.
    pub fn request(id: impl Into<Value>, method: &str, params: Vec<Value>) -> Self {
        Self::Request {
            id: id.into(),
            method: method.into(),
            params,
        }
    }

    /// A notification.
    pub fn notification(method: &str, params: Vec<Value>) -> Self {
        Self::Notification {
            method: method.into(),
            params,
        }
    }

    /// A good answer to the request `id`.
    pub fn reply(id: Value, result: Value) -> Self {
        Self::Response {
            id,
            result: Ok(result),
        }
    }

    /// A bad answer to the request `id`.
    pub fn error(id: Value, error: &crate::Error) -> Self {
        Self::Response {
            id,
            result: Err(error.to_json()),
        }
    }

    /// The JSON object.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Request { id, method, params } => {
                json!({ "id": id, "method": method, "params": params })
            }
            Self::Notification { method, params } => {
                json!({ "id": null, "method": method, "params": params })
            }
            Self::Response {
                id,
                result: Ok(result),
            } => json!({ "id": id, "result": result, "error": null }),
            Self::Response {
                id,
                result: Err(error),
            } => json!({ "id": id, "result": null, "error": error }),
        }
    }

    /// Reads the JSON object; the error says what is wrong with it.
    pub fn from_json(json: Value) -> Result<Self, String> {
        let Value::Object(mut object) = json else {
            return Err("a message is not a JSON object".into());
        };
        if let Some(word) = object
            .keys()
            .find(|k| !["id", "method", "params", "result", "error"].contains(&k.as_str()))
        {
            return Err(format!("a message has the unknown member \"{word}\""));
        }
        let is_response = object.contains_key("result") || object.contains_key("error");
        let mut take = |key: &str| object.remove(key).filter(|v| !v.is_null());
        let (id, method, params) = (take("id"), take("method"), take("params"));
        let (result, error) = (take("result"), take("error"));
        match (id, method, params) {
            (id, Some(Value::String(method)), Some(Value::Array(params)))
                if result.is_none() && error.is_none() =>
            {
                Ok(match id {
                    Some(id) => Self::Request { id, method, params },
                    None => Self::Notification { method, params },
                })
            }
            (_, Some(method), _) => Err(format!(
                "method {} without good params",
                crate::value::brief(&method)
            )),
            (Some(id), None, None) if is_response => match (result, error) {
                (result, None) => Ok(Self::Response {
                    id,
                    result: Ok(result.unwrap_or(Value::Null)),
                }),
                (None, Some(error)) => Ok(Self::Response {
                    id,
                    result: Err(error),
                }),
                (Some(_), Some(_)) => Err("a response has both a result and an error".into()),
            },
            _ => Err("a message has neither a method nor an id and a result".into()),
        }
    }
}

/// Finds where messages end in the stream, and reads them. One per connection.
#[derive(Debug)]
pub struct Codec {
    limit_bytes: usize,
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Default for Codec {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT_BYTES)
    }
}

impl Codec {
    /// A codec that refuses messages of more than `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            scanned: 0,
            depth: 0,
            in_string: false,
            escaped: false,
        }
    }

    /// Scans what is new in `bytes`; the length of the first message once it is complete.
    fn find_end(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        while let Some(&byte) = bytes.get(self.scanned) {
            self.scanned += 1;
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'{' | b'[' if self.depth == DEPTH_LIMIT => {
                    return Err(bad(format!("nested more than {DEPTH_LIMIT} deep")));
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => match self.depth {
                    0 => return Err(bad("a bracket closes that never opened")),
                    1 => return Ok(Some(self.scanned)),
                    _ => self.depth -= 1,
                },
                b'"' if self.depth > 0 => self.in_string = true,
                _ if self.depth == 0 => return Err(bad("a message is not a JSON object")),
                _ => {}
            }
        }
        Ok(None)
    }
}

fn bad(text: impl Into<String>) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("malformed JSON-RPC: {}", text.into()),
    )
}

impl Decoder for Codec {
    type Item = Message;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<Message>> {
        if self.scanned == 0 {
            let blank = src.iter().take_while(|b| b.is_ascii_whitespace()).count();
            src.advance(blank);
        }
        let end = self.find_end(src)?;
        if end.unwrap_or(src.len()) > self.limit_bytes {
            return Err(bad(format!(
                "a message of more than {} bytes",
                self.limit_bytes
            )));
        }
        let Some(end) = end else { return Ok(None) };
        *self = Self::new(self.limit_bytes);
        let message = src.split_to(end);
        let json = serde_json::from_slice(&message).map_err(|e| bad(e.to_string()))?;
        Message::from_json(json).map(Some).map_err(bad)
    }
}

impl Encoder<&Message> for Codec {
    type Error = io::Error;

    fn encode(&mut self, message: &Message, dst: &mut BytesMut) -> io::Result<()> {
        serde_json::to_writer(dst.writer(), &message.to_json()).map_err(io::Error::from)
    }
}

impl Encoder<Message> for Codec {
    type Error = io::Error;

    fn encode(&mut self, message: Message, dst: &mut BytesMut) -> io::Result<()> {
        self.encode(&message, dst)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> BoxedStrategy<Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
        .boxed()
    }

    fn message() -> impl Strategy<Value = Message> {
        let id = json()
            .prop_filter("an id is not null", |id| !id.is_null())
            .boxed();
        let params = prop::collection::vec(json(), 0..4).boxed();
        prop_oneof![
            (id.clone(), ".*".boxed(), params.clone()).prop_map(|(id, m, p)| Message::Request {
                id,
                method: m,
                params: p
            }),
            (".*".boxed(), params).prop_map(|(m, p)| Message::Notification {
                method: m,
                params: p
            }),
            (id.clone(), json()).prop_map(|(id, result)| Message::reply(id, result)),
            (id.clone(), id).prop_map(|(id, error)| Message::Response {
                id,
                result: Err(error)
            }),
        ]
    }

    fn decode_all(codec: &mut Codec, bytes: &mut BytesMut) -> io::Result<Vec<Message>> {
        std::iter::from_fn(|| codec.decode(bytes).transpose()).collect()
    }

    proptest! {
        /// Whatever the pieces in which the stream arrives.
        #[test]
        fn emit_then_parse(messages in prop::collection::vec(message(), 1..4), cut in 1..40usize) {
            let mut stream = BytesMut::new();
            for message in &messages {
                Codec::default().encode(message, &mut stream).expect("encodes");
                stream.put_slice(b" \n");
            }
            let (mut codec, mut buffer, mut got) = (Codec::default(), BytesMut::new(), Vec::new());
            for piece in stream.chunks(cut) {
                buffer.put_slice(piece);
                got.extend(decode_all(&mut codec, &mut buffer).expect("decodes"));
            }
            prop_assert_eq!(got, messages);
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_all(&mut Codec::new(100), &mut BytesMut::from(&bytes[..]));
        }

        #[test]
        fn noise_of_json_never_panics(text in "[\\[\\]{}\":, a\\\\0]{0,100}") {
            let _ = decode_all(&mut Codec::new(100), &mut BytesMut::from(text.as_bytes()));
        }

        #[test]
        fn any_json_is_a_message_or_an_error(json in json()) {
            let _ = Message::from_json(json);
        }
    }

    #[test]
    fn limits() {
        let parse = |text: &str| {
            Codec::new(1000)
                .decode(&mut BytesMut::from(text))
                .map_err(|e| e.to_string())
        };
        let long = format!("{{\"id\":1,\"result\":\"{}\"}}", "x".repeat(1000));
        assert!(parse(&long).is_err_and(|e| e.contains("more than 1000 bytes")));
        assert!(
            parse(&long[..1010]).is_err(),
            "also before its end is there"
        );
        assert!(parse(&"[".repeat(DEPTH_LIMIT + 1)).is_err_and(|e| e.contains("deep")));
        assert_eq!(parse("{\"id\":1,\"method\":\"ec"), Ok(None));
        assert!(parse("{\"id\":1,\"metod\":\"echo\"}").is_err_and(|e| e.contains("\"metod\"")));
    }
}
