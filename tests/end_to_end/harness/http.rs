//! The smallest HTTP client that can ask an instance how it is and hand a Collector its spans.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::wait::LONG;

const SHORT: Duration = Duration::from_secs(10);

/// `GET http://ADDRESS/PATH`; `None` if nobody answers.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    request(address, &format!("GET {path} HTTP/1.1\r\n"), b"", SHORT)
}

/// `POST` with a body; `None` if nobody answers.
pub fn post(address: &str, path: &str, content_type: &str, body: &[u8]) -> Option<(u16, String)> {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
    request(address, &head, body, SHORT)
}

/// `POST` with headers of one's own; `None` if nobody answers.
pub fn post_with(address: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<(u16, String)> {
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    request(address, &format!("POST {path} HTTP/1.1\r\n{headers}Content-Length: {}\r\n", body.len()), body, SHORT)
}

/// The same, where the answer may take long and the question must not be asked twice.
pub fn post_once(address: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<(u16, String)> {
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    request(address, &format!("POST {path} HTTP/1.1\r\n{headers}Content-Length: {}\r\n", body.len()), body, LONG)
}

fn request(address: &str, head: &str, body: &[u8], patience: Duration) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.write_all(format!("{head}Host: {address}\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Some((status, if is_chunked { unchunked(body) } else { body.to_owned() }))
}

/// A body whose pieces have their lengths, hexadecimal, on a line before them.
fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).expect("a length");
        // Lengths are of bytes; what is read here is ASCII.
        whole.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
        if length == 0 {
            break;
        }
    }
    whole
}
