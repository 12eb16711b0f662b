//! One connection's bytes. In: a TCP stream and its limits; out: whole messages, and replies that are sent in large pieces.
//!
//! A message larger than `query.pg_max_message_bytes` is refused before it is read. A client that takes no bytes for `query.timeout` is left. It
//! never knows what a message means.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::message::{First, Message, first, message};

/// Bytes of replies that wait before they are sent.
const SEND_AT: usize = 64 << 10;
/// Of the first message; PostgreSQL allows as much.
const FIRST_BYTES: usize = 10_000;

/// Why a connection ends.
#[derive(Debug)]
pub enum End {
    /// The client went away, or takes nothing any more.
    Gone,
    /// It sends what is no message.
    Malformed(String),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// What comes in.
pub struct Incoming {
    stream: OwnedReadHalf,
    buffer: BytesMut,
    max_bytes: usize,
}

/// What goes out.
pub struct Outgoing {
    stream: OwnedWriteHalf,
    pub buffer: BytesMut,
    patience: Duration,
}

/// Both ends of a connection.
pub fn halves(stream: TcpStream, max_bytes: usize, patience: Duration) -> (Incoming, Outgoing) {
    let (read, write) = stream.into_split();
    let incoming = Incoming { stream: read, buffer: BytesMut::new(), max_bytes };
    (incoming, Outgoing { stream: write, buffer: BytesMut::new(), patience })
}

impl Incoming {
    /// The first message.
    ///
    /// # Errors
    /// When the client is gone or speaks something else.
    pub async fn first(&mut self) -> Result<First, End> {
        let body = self.body(0, FIRST_BYTES).await?;
        first(&body).map_err(|_| End::Malformed("this is no PostgreSQL client".into()))
    }

    /// The next message. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the client is gone, or the message is too large or none.
    pub async fn next(&mut self) -> Result<Message, End> {
        self.fill(1).await?;
        let kind = self.buffer.first().copied().unwrap_or_default();
        let body = self.body(1, self.max_bytes).await?;
        message(kind, body)
            .map_err(|_| End::Malformed(format!("a message of type '{}' cannot be read", kind.escape_ascii())))
    }

    /// Returns once the client is gone. What it sends meanwhile is kept, up to one message of the largest size.
    pub async fn gone(&mut self) {
        while self.buffer.len() <= self.max_bytes {
            if !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// What follows a length, which follows `before` bytes.
    async fn body(&mut self, before: usize, max_bytes: usize) -> Result<Bytes, End> {
        self.fill(before + 4).await?;
        let length =
            self.buffer.get(before..before + 4).and_then(|length| length.try_into().ok()).map(i32::from_be_bytes);
        let Some(length) = length.and_then(|length| usize::try_from(length).ok()).filter(|length| *length >= 4) else {
            return Err(End::Malformed("a message has no length".into()));
        };
        if length > max_bytes {
            return Err(End::Malformed(format!(
                "a message has {length} bytes, more than {max_bytes} (query.pg_max_message_bytes)"
            )));
        }
        self.fill(before + length).await?;
        let mut whole = self.buffer.split_to(before + length);
        whole.advance(before + 4);
        Ok(whole.freeze())
    }

    async fn fill(&mut self, bytes: usize) -> Result<(), End> {
        while self.buffer.len() < bytes {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(End::Gone);
            }
        }
        Ok(())
    }
}

impl Outgoing {
    /// Sends what waits, if it is much.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn send_much(&mut self) -> Result<(), End> {
        if self.buffer.len() < SEND_AT { Ok(()) } else { self.send().await }
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// When the client is gone, or takes nothing any more.
    pub async fn send(&mut self) -> Result<(), End> {
        while self.buffer.has_remaining() {
            match tokio::time::timeout(self.patience, self.stream.write_buf(&mut self.buffer)).await {
                Ok(Ok(1..)) => {}
                Ok(_) | Err(_) => return Err(End::Gone),
            }
        }
        Ok(())
    }

    /// Sends one byte that is no message: the answer to a question for encryption.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn byte(&mut self, byte: u8) -> Result<(), End> {
        self.buffer.extend_from_slice(&[byte]);
        self.send().await
    }
}
