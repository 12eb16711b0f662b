//! What clients send, as the protocol (version 3) frames it. In: the bytes of one message; out: what it says, or that it is none. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;

/// A message that is not what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The first message of a connection, which has no type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// Asks for TLS.
    Tls,
    /// Asks for GSSAPI encryption.
    Gss,
    /// Ends what another connection runs.
    Cancel { process: i32, secret: i32 },
    /// Begins a session. `minor` is of the protocol's version 3; later ones than 0 are answered in 0.
    Start { minor: u16, parameters: BTreeMap<String, String> },
    /// Another major version.
    Version(u16),
}

/// A prepared statement, or a portal: a statement with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Statement,
    Portal,
}

/// Every later message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target, String),
    /// `rows` 0 is all.
    Execute {
        portal: String,
        rows: usize,
    },
    Close(Target, String),
    Sync,
    Flush,
    Password(String),
    Terminate,
    /// Data of a COPY, which nobody asked for.
    Copy,
    /// A type that is not known, or not spoken here.
    Other(u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    pub portal: String,
    pub statement: String,
    pub formats: Vec<i16>,
    pub parameters: Vec<Option<Bytes>>,
    pub results: Vec<i16>,
}

/// Reads the first message of a connection, without its length.
///
/// # Errors
/// When it is too short or not text.
pub fn first(body: &Bytes) -> Result<First, Malformed> {
    let mut body = Body(body.clone());
    let (major, minor) = (body.u16()?, body.u16()?);
    Ok(match (major, minor) {
        (1234, 5679) => First::Tls,
        (1234, 5680) => First::Gss,
        (1234, 5678) => First::Cancel { process: body.i32()?, secret: body.i32()? },
        (3, _) => {
            let mut parameters = BTreeMap::new();
            loop {
                let name = body.text()?;
                if name.is_empty() {
                    break;
                }
                parameters.insert(name, body.text()?);
            }
            First::Start { minor, parameters }
        }
        _ => First::Version(major),
    })
}

/// Reads a later message, without its type and length.
///
/// # Errors
/// When it is too short, too long or not text.
pub fn message(kind: u8, body: Bytes) -> Result<Message, Malformed> {
    let mut body = Body(body);
    let message = match kind {
        b'Q' => Message::Query(body.text()?),
        b'P' => {
            let (name, sql, count) = (body.text()?, body.text()?, body.u16()?);
            Message::Parse { name, sql, types: body.many(count, Body::u32)? }
        }
        b'B' => Message::Bind(bind(&mut body)?),
        b'D' => Message::Describe(body.target()?, body.text()?),
        b'E' => Message::Execute { portal: body.text()?, rows: usize::try_from(body.i32()?).unwrap_or(0) },
        b'C' => Message::Close(body.target()?, body.text()?),
        b'p' => Message::Password(body.text()?),
        b'S' => Message::Sync,
        b'H' => Message::Flush,
        b'X' => Message::Terminate,
        b'd' | b'c' | b'f' => return Ok(Message::Copy),
        other => return Ok(Message::Other(other)),
    };
    if body.0.is_empty() { Ok(message) } else { Err(Malformed) }
}

fn bind(body: &mut Body) -> Result<Bind, Malformed> {
    let (portal, statement, count) = (body.text()?, body.text()?, body.u16()?);
    let formats = body.many(count, Body::i16)?;
    let count = body.u16()?;
    let parameters = body.many(count, Body::value)?;
    let count = body.u16()?;
    let results = body.many(count, Body::i16)?;
    Ok(Bind { portal, statement, formats, parameters, results })
}

/// What is left of a message.
struct Body(Bytes);

impl Body {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        if self.0.len() < N {
            return Err(Malformed);
        }
        self.0.split_to(N).as_ref().try_into().map_err(|_| Malformed)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.take().map(u16::from_be_bytes)
    }

    fn i16(&mut self) -> Result<i16, Malformed> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        self.take().map(i32::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.take().map(u32::from_be_bytes)
    }

    fn target(&mut self) -> Result<Target, Malformed> {
        match self.take::<1>()? {
            [b'S'] => Ok(Target::Statement),
            [b'P'] => Ok(Target::Portal),
            _ => Err(Malformed),
        }
    }

    /// Up to and without the next zero.
    fn text(&mut self) -> Result<String, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed)?;
        let text = self.0.split_to(end);
        let _zero = self.take::<1>()?;
        String::from_utf8(text.to_vec()).map_err(|_| Malformed)
    }

    /// A length and so many bytes; a negative length is NULL.
    fn value(&mut self) -> Result<Option<Bytes>, Malformed> {
        let Ok(length) = usize::try_from(self.i32()?) else { return Ok(None) };
        if self.0.len() < length {
            return Err(Malformed);
        }
        Ok(Some(self.0.split_to(length)))
    }

    fn many<T>(&mut self, count: u16, one: impl Fn(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        // Grown as they come: a count is not believed before its values are there.
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(one(self)?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{First, Malformed, Message, first, message};

    #[test]
    fn messages_say_what_they_are() {
        let start = Bytes::from_static(b"\0\x03\0\0user\0ann\0\0");
        let parameters = [("user".to_owned(), "ann".to_owned())].into();
        assert_eq!(first(&start), Ok(First::Start { minor: 0, parameters }));
        assert_eq!(first(&Bytes::from_static(&[4, 210, 22, 47])), Ok(First::Tls));
        assert_eq!(message(b'Q', Bytes::from_static(b"SELECT 1\0")), Ok(Message::Query("SELECT 1".into())));
        let all = Message::Execute { portal: String::new(), rows: 0 };
        assert_eq!(message(b'E', Bytes::from_static(b"\0\xff\xff\xff\xff")), Ok(all));
        assert_eq!(message(b'Q', Bytes::from_static(b"SELECT 1")), Err(Malformed));
        assert_eq!(message(b'Q', Bytes::from_static(b"SELECT 1\0more")), Err(Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(kind: u8, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = message(kind, bytes.clone().into());
            let _ = first(&bytes.into());
        }
    }
}
