//! A client that keeps one connection open and waits for each answer: requests in, bodies out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};

/// Nothing that is measured takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Client {
    /// To `host:port`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn new(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), head: format!("Host: {address}\r\n") })
    }

    /// `POST` of JSON; the body of an answer with status 200.
    ///
    /// # Errors
    /// When there is no such answer.
    pub fn post(&mut self, path: &str, body: &str) -> anyhow::Result<Vec<u8>> {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\n{}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
            self.head
        );
        self.ask(&request)
    }

    /// `GET`; the body of an answer with status 200.
    ///
    /// # Errors
    /// When there is no such answer.
    pub fn get(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        let request = format!("GET {path} HTTP/1.1\r\n{}\r\n", self.head);
        self.ask(&request)
    }

    fn ask(&mut self, request: &str) -> anyhow::Result<Vec<u8>> {
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (first, body) = message(&mut self.stream)?.context("the connection ended")?;
        if first.split(' ').nth(1) != Some("200") {
            bail!("{first}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }
}

/// The first line and the body of a request or an answer with a `Content-Length`; `None` at the end of the connection.
///
/// # Errors
/// When it breaks off.
pub fn message(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Option<(String, Vec<u8>)>> {
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    if stream.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some((first.trim_end().to_owned(), body)))
}
