//! The Janus API over a WebSocket, one connection each, one request at a time.

use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

/// No answer takes longer.
const ANSWER: Duration = Duration::from_secs(10);

/// A handle of the video room with a session and a connection of its own.
pub(crate) struct Handle {
    socket: WebSocket<TcpStream>,
    session: Option<u64>,
    handle: Option<u64>,
    transactions: u64,
}

impl Handle {
    /// Connects, creates a session, and attaches.
    pub(crate) fn attach(gateway: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(gateway)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let mut request = format!("ws://{gateway}/").into_client_request()?;
        let protocol = HeaderValue::from_static("janus-protocol");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (socket, _) = tungstenite::client(request, stream).context("no WebSocket")?;
        let mut handle = Self { socket, session: None, handle: None, transactions: 0 };
        handle.session = handle.request(json!({"janus": "create"}), "success")?["data"]["id"].as_u64();
        let attach = json!({"janus": "attach", "plugin": "janus.plugin.videoroom"});
        handle.handle = handle.request(attach, "success")?["data"]["id"].as_u64();
        Ok(handle)
    }

    /// A message to the plugin: what it answers at once.
    pub(crate) fn ask(&mut self, body: Value) -> anyhow::Result<Value> {
        self.checked(json!({"janus": "message", "body": body}), "success")
    }

    /// A message to the plugin, and the event that answers it.
    pub(crate) fn message(&mut self, body: Value, jsep: Option<Value>) -> anyhow::Result<Value> {
        let mut message = json!({"janus": "message", "body": body});
        if let Some(jsep) = jsep {
            message["jsep"] = jsep;
        }
        self.checked(message, "event")
    }

    /// All candidates are in the description.
    pub(crate) fn end_candidates(&mut self) -> anyhow::Result<()> {
        self.request(json!({"janus": "trickle", "candidate": {"completed": true}}), "ack")?;
        Ok(())
    }

    /// Ends the session.
    pub(crate) fn leave(&mut self) -> anyhow::Result<()> {
        self.request(json!({"janus": "destroy"}), "success")?;
        let _ = self.socket.close(None);
        Ok(())
    }

    fn checked(&mut self, message: Value, verb: &str) -> anyhow::Result<Value> {
        let answer = self.request(message, verb)?;
        if let Some(error) = answer["plugindata"]["data"].get("error") {
            bail!("the plugin refuses: {error}");
        }
        Ok(answer)
    }

    /// Sends a request and waits for the answer with this verb, past all events and its ack.
    fn request(&mut self, mut message: Value, verb: &str) -> anyhow::Result<Value> {
        self.transactions += 1;
        let transaction = self.transactions.to_string();
        message["transaction"] = json!(transaction);
        for (name, id) in [("session_id", self.session), ("handle_id", self.handle)] {
            let of_session = name == "handle_id" && message["janus"] == "destroy";
            if let Some(id) = id.filter(|_| !of_session) {
                message[name] = json!(id);
            }
        }
        self.socket.send(Message::text(message.to_string()))?;
        let until = Instant::now() + ANSWER;
        while Instant::now() < until {
            let Message::Text(text) =
                self.socket.read().with_context(|| format!("no answer to {message}"))?
            else {
                continue;
            };
            let answer: Value = serde_json::from_str(&text)?;
            if answer["transaction"] != json!(transaction) {
                continue;
            }
            if answer["janus"] == "error" {
                bail!("{} to {message}", answer["error"]);
            }
            if answer["janus"] == verb {
                return Ok(answer);
            }
        }
        bail!("no answer to {message}")
    }
}
