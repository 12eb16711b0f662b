//! An HTTP receiver on a real socket that answers as it is told and keeps what it got.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is done with a connection, in order; the last one is done for ever.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status line with headers and a body.
    Say(&'static str),
    /// Reads the request and never answers.
    Hang,
}

pub const OK: Answer = Answer::Say("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");

pub struct Receiver {
    pub port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    count: watch::Receiver<usize>,
}

impl Receiver {
    pub async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counter, count) = watch::channel(0);
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            let counter = Arc::new(counter);
            for number in 0_usize.. {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = answers[number.min(answers.len() - 1)].clone();
                tokio::spawn(serve(stream, answer, Arc::clone(&kept), Arc::clone(&counter)));
            }
        });
        Self { port, requests, count }
    }

    /// Waits for `count` requests and returns them all.
    pub async fn got(&self, count: usize) -> Vec<String> {
        self.count.clone().wait_for(|got| *got >= count).await.unwrap();
        self.requests.lock().unwrap().clone()
    }

    pub fn so_far(&self) -> usize {
        *self.count.borrow()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Answer,
    kept: Arc<Mutex<Vec<String>>>,
    counter: Arc<watch::Sender<usize>>,
) {
    let request = read(&mut stream).await;
    kept.lock().unwrap().push(request);
    counter.send_modify(|count| *count += 1);
    match answer {
        Answer::Say(text) => stream.write_all(text.as_bytes()).await.unwrap(),
        Answer::Hang => std::future::pending().await,
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (String::new(), vec![0; 65_536]);
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if read == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}
