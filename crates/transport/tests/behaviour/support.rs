//! A server with a core that does as its requests say, and two clients: one that writes bytes and reads HTTP answers,
//! one for WebSockets.

use futures_util::{SinkExt, StreamExt};
use portunus_api::{SessionId, Value, json};
use portunus_transport::{
    Client, HttpSettings, Inbound, JsonFormat, Mailboxes, PollVerdict, Protocol, Reply, Running, Settings,
    Side, Times, WebSocketSettings, start,
};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough to see that nothing comes.
pub const MOMENT: Duration = Duration::from_millis(100);

pub struct Server {
    pub running: Running,
    pub mailboxes: Mailboxes,
    /// What the core heard of: clients that went.
    pub gone: mpsc::UnboundedReceiver<Client>,
}

/// Times short enough to wait for.
pub fn short_times() -> Times {
    Times {
        poll: Duration::from_millis(400),
        reply: Duration::from_millis(400),
        head: Duration::from_millis(400),
        body: Duration::from_millis(400),
        idle: Duration::from_millis(800),
        write: Duration::from_millis(400),
        evictable: Duration::from_millis(50),
    }
}

/// HTTP and WebSockets on free ports.
pub fn settings() -> Settings {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Settings {
        http: Some(HttpSettings { addresses: vec![any], ..HttpSettings::default() }),
        websockets: Some(WebSocketSettings { addresses: vec![any], ..WebSocketSettings::default() }),
        ..Settings::default()
    }
}

pub async fn serve(change: impl FnOnce(&mut Settings)) -> Server {
    serve_with_room(64, change).await
}

/// `room`: how much the core's queue holds.
pub async fn serve_with_room(room: usize, change: impl FnOnce(&mut Settings)) -> Server {
    let mut settings = settings();
    change(&mut settings);
    let (inbound, requests) = mpsc::channel(room);
    let mailboxes = Mailboxes::new(settings.limits.clone());
    let running = start(settings, inbound, mailboxes.clone()).await.unwrap();
    let (gone_seen, gone) = mpsc::unbounded_channel();
    tokio::spawn(core(requests, mailboxes.clone(), gone_seen));
    Server { running, mailboxes, gone }
}

fn refusal(code: u64) -> Value {
    json!({"janus": "error", "error": {"code": code, "reason": "as told"}})
}

/// The core. Verbs: `create` (session `id`), `destroy`, `claim`, `event` (`count` events), `refuse` (the error
/// `code`), `big` (an answer of so many `bytes`), `hang` (no answer, ever), `drop` (the answer is dropped), `guard` (who wants to enter needs the secret `top` or the token `tok+en`), `stop` (reads nothing more for `ms`); anything
/// else is told what arrived.
async fn core(
    mut requests: mpsc::Receiver<Inbound>,
    mailboxes: Mailboxes,
    gone: mpsc::UnboundedSender<Client>,
) {
    let mut sessions = HashSet::new();
    let mut hanging: Vec<Reply> = Vec::new();
    let mut events = 0;
    let mut guarded = false;
    while let Some(inbound) = requests.recv().await {
        match inbound {
            Inbound::Gone { client } => drop(gone.send(client)),
            Inbound::Poll { session, secret, token, reply } => {
                let _ = reply.send(verdict(sessions.contains(&session), secret, token));
            }
            Inbound::Entry { secret, token, reply } => {
                let _ = reply.send(!guarded || is(secret, "top") || is(token, "tok+en"));
            }
            Inbound::Request { client, side, address, body, reply, .. } => {
                let verb = body["janus"].as_str().unwrap_or_default().to_owned();
                guarded |= verb == "guard";
                let session = body["session_id"].as_u64().and_then(SessionId::new);
                let number = |key: &str| body[key].as_u64().unwrap_or(1);
                let ok = json!({"janus": "success", "transaction": body["transaction"]});
                match (verb.as_str(), session) {
                    ("create", _) => {
                        let id = SessionId::new(number("id")).unwrap();
                        sessions.insert(id);
                        mailboxes.open(id, client);
                        reply.send(ok);
                    }
                    ("refuse", _) => reply.send(refusal(number("code"))),
                    ("destroy", Some(id)) => {
                        sessions.remove(&id);
                        mailboxes.close(id);
                        reply.send(ok);
                    }
                    ("claim", Some(id)) => {
                        mailboxes.claim(id, client);
                        reply.send(ok);
                    }
                    ("event", Some(id)) => {
                        let pad = "x".repeat(usize::try_from(body["pad"].as_u64().unwrap_or(0)).unwrap());
                        reply.send(ok);
                        for _ in 0..number("count") {
                            events += 1;
                            mailboxes.deliver(id, json!({"janus": "event", "n": events, "pad": pad}));
                        }
                    }
                    ("big", _) => {
                        reply.send(json!({"x": "y".repeat(usize::try_from(number("bytes")).unwrap())}));
                    }
                    ("hang", _) => hanging.push(reply),
                    ("drop", _) => drop(reply),
                    ("stop", _) => {
                        reply.send(ok);
                        tokio::time::sleep(Duration::from_millis(number("ms"))).await;
                    }
                    _ => {
                        let side = if side == Side::Admin { "admin" } else { "janus" };
                        let client = format!("{client:?}");
                        reply.send(
                            json!({"seen": body, "client": client, "side": side, "from": address.to_string()}),
                        );
                    }
                }
            }
        }
    }
}

fn is(word: Option<String>, wanted: &str) -> bool {
    word.as_deref() == Some(wanted)
}

fn verdict(there: bool, secret: Option<String>, token: Option<String>) -> PollVerdict {
    match there {
        _ if is(secret, "wrong") || is(token, "wrong") => PollVerdict::Forbidden,
        true => PollVerdict::Ok,
        false => PollVerdict::NotFound,
    }
}

impl Server {
    pub fn http(&self) -> SocketAddr {
        self.address(Protocol::Http, Side::Janus, false)
    }

    pub fn ws(&self) -> SocketAddr {
        self.address(Protocol::WebSockets, Side::Janus, false)
    }

    pub fn address(&self, protocol: Protocol, side: Side, secure: bool) -> SocketAddr {
        let found = self
            .running
            .listening()
            .iter()
            .find(|l| l.protocol == protocol && l.side == side && l.secure == secure);
        found.unwrap().address
    }

    /// One request on a connection of its own.
    pub async fn get(&self, path: &str) -> Option<Answer> {
        Http::connect(self.http()).await.get(path).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Option<Answer> {
        Http::connect(self.http()).await.post(path, body).await
    }

    /// A session over HTTP, and events for it.
    pub async fn create(&self, id: u64) {
        let body = json!({"janus": "create", "transaction": "t", "id": id}).to_string();
        assert_eq!(self.post("/janus", &body).await.unwrap().json()["janus"], "success");
    }

    pub async fn events(&self, id: u64, count: u64) {
        let body = json!({"janus": "event", "transaction": "t", "count": count}).to_string();
        assert_eq!(self.post(&format!("/janus/{id}"), &body).await.unwrap().json()["janus"], "success");
    }
}

/// An HTTP connection.
pub struct Http<T = TcpStream> {
    pub stream: T,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.body))
    }

    /// Code and reason of an error.
    pub fn error(&self) -> (u64, String) {
        let error = &self.json()["error"];
        (error["code"].as_u64().unwrap(), error["reason"].as_str().unwrap().to_owned())
    }
}

impl Http {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Http<T> {
    pub fn over(stream: T) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The other end may have closed already; what it answered is what counts.
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    pub async fn get(&mut self, path: &str) -> Option<Answer> {
        self.request("GET", path, "", "").await
    }

    pub async fn post(&mut self, path: &str, body: &str) -> Option<Answer> {
        self.request("POST", path, "", body).await
    }

    /// `headers` end in CR LF each.
    pub async fn request(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Option<Answer> {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}{length}\r\n{body}")).await;
        self.answer(method == "HEAD").await
    }

    /// The next answer; `None` when the connection is closed instead.
    pub async fn answer(&mut self, head_only: bool) -> Option<Answer> {
        timeout(PATIENCE, self.read_answer(head_only)).await.expect("an answer or an end")
    }

    /// Whether the connection ends now, without another byte.
    pub async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !timeout(PATIENCE, self.more()).await.expect("an end")
    }

    async fn read_answer(&mut self, head_only: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|l| l.split_once(": "))
            .map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: String::new() };
        if head_only || status == 304 || status < 200 {
            return Some(answer);
        }
        let body = if answer.header("transfer-encoding") == Some("chunked") {
            self.chunks().await?
        } else {
            let length = answer.header("content-length").map_or(0, |l| l.parse().unwrap());
            self.bytes(length).await?
        };
        answer.body = String::from_utf8(body).unwrap();
        Some(answer)
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                    break at;
                }
                if !self.more().await {
                    return None;
                }
            };
            let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let size = usize::from_str_radix(std::str::from_utf8(&line[..end]).unwrap(), 16).unwrap();
            let chunk = self.bytes(size + 2).await?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return Some(body);
            }
        }
    }

    async fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.more().await {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    async fn more(&mut self) -> bool {
        let mut bytes = vec![0; 16 << 10];
        // A reset is an end as well.
        let read = self.stream.read(&mut bytes).await.unwrap_or(0);
        self.buffer.extend_from_slice(&bytes[..read]);
        read > 0
    }
}

/// A WebSocket connection.
pub struct Ws<T = TcpStream>(pub WebSocketStream<T>);

impl Ws {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Ws<T> {
    pub async fn over(stream: T) -> Self {
        Self::over_with(stream, "janus-protocol").await
    }

    pub async fn over_with(stream: T, protocol: &str) -> Self {
        let mut request = "ws://localhost/any/path".into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        Self(tokio_tungstenite::client_async(request, stream).await.unwrap().0)
    }

    pub async fn send(&mut self, value: Value) {
        self.text(&value.to_string()).await;
    }

    pub async fn text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next text; `None` when the connection has ended.
    pub async fn next_text(&mut self) -> Option<String> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a message or an end") {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    }

    pub async fn next(&mut self) -> Value {
        serde_json::from_str(&self.next_text().await.expect("a message")).unwrap()
    }

    pub async fn ask(&mut self, value: Value) -> Value {
        self.send(value).await;
        self.next().await
    }

    pub async fn is_silent(&mut self) -> bool {
        timeout(MOMENT, self.0.next()).await.is_err()
    }
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let held = timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    held.await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

pub fn format_of(settings: &mut Settings, format: JsonFormat) {
    settings.http.as_mut().unwrap().format = format.into();
    settings.websockets.as_mut().unwrap().format = format.into();
}
