//! A service that answers as a test wants it.

use crate::ServiceUrl;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Fake {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

/// An answer with this JSON in it.
pub(crate) fn json(body: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// These bytes.
pub(crate) fn raw(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

impl Fake {
    /// `answer` is told how many requests came before.
    pub(crate) async fn start(answer: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::run(Arc::new(move |n| Some(answer(n)))).await
    }

    /// Takes requests and says nothing.
    pub(crate) async fn silent() -> Self {
        Self::run(Arc::new(|_| None)).await
    }

    async fn run(answer: Arc<dyn Fn(usize) -> Option<Vec<u8>> + Send + Sync>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                tokio::spawn(async move {
                    let head = request(&mut socket).await;
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(head);
                        seen.len() - 1
                    };
                    match answer(number) {
                        Some(bytes) => drop(socket.write_all(&bytes).await),
                        None => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, heads }
    }

    pub(crate) fn url(&self, path: &str) -> ServiceUrl {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    /// The requests so far, with their bodies.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = socket.read(&mut piece).await.unwrap_or(0);
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = text.split_once("\r\n\r\n").map(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        if read == 0 || body == Some(true) {
            return text;
        }
    }
}
