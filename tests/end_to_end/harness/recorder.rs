//! A proxy before an HTTP server: bytes go through as they are, and the head of every request is kept, so that a scenario can say what was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request's line and headers.
#[derive(Clone, Debug)]
pub struct Head {
    pub method: String,
    /// As it was sent, with its query.
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// A header's value; names in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Listens until the test ends.
pub struct Recorder {
    address: String,
    heads: Arc<Mutex<Vec<Head>>>,
}

impl Recorder {
    /// Before a server at `http://ADDRESS`.
    pub fn before(server: &str) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, kept) = (server.clone(), Arc::clone(&kept));
                std::thread::spawn(move || through(client, &server, &kept));
            }
        });
        Self { address, heads }
    }

    /// `http://host:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn heads(&self) -> Vec<Head> {
        self.heads.lock().unwrap().clone()
    }
}

/// One connection, until either side ends it: a client tries again elsewhere, so that is no failure here.
fn through(client: TcpStream, server: &str, kept: &Mutex<Vec<Head>>) {
    let Ok(server) = TcpStream::connect(server) else { return };
    let (Ok(mut answers), Ok(mut answered)) = (server.try_clone(), client.try_clone()) else { return };
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut answered);
        let _ = answered.shutdown(Shutdown::Both);
    });
    let mut server = server;
    let mut requests = BufReader::new(client);
    while request(&mut requests, &mut server, kept).is_some() {}
    let _ = server.shutdown(Shutdown::Both);
}

/// One request with its body; `None` when there is no further one.
fn request(client: &mut impl BufRead, server: &mut impl Write, kept: &Mutex<Vec<Head>>) -> Option<()> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        (client.read_line(&mut text).ok()? > 0).then_some(())?;
    }
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let head = Head { method, path, headers };
    // Clients of object stores say how long a body is.
    let length = head.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    kept.lock().unwrap().push(head);
    server.write_all(text.as_bytes()).ok()?;
    (std::io::copy(&mut client.take(length), server).ok()? == length).then_some(())
}
