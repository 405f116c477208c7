//! The Janus API from the client's side: a session each client, handles in it, over WebSocket or HTTP.

mod http;
mod trust;
mod ws;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// No answer takes longer.
pub(crate) const ANSWER: Duration = Duration::from_secs(15);
/// Janus ends sessions that say nothing for a minute.
const KEEPALIVE: Duration = Duration::from_secs(25);

/// Where the server is, and what it wants to be told.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) api_secret: Option<String>,
    pub(crate) token: Option<String>,
    /// Take any certificate.
    pub(crate) insecure: bool,
    /// Connections that sessions share; otherwise each has its own.
    pub(crate) pool: Option<reqwest::Client>,
}

impl Server {
    /// The same, with connections over HTTP that its sessions share.
    pub(crate) fn pooled(&self) -> Result<Self> {
        Ok(Self { pool: Some(http::client(self.insecure)?), ..self.clone() })
    }
}

/// Why something was not done: a short class that failures are counted by, and the whole of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: String,
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(class: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { class: class.into(), detail: detail.into() }
    }

    /// The same text for both.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { class: text.clone(), detail: text }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Failure {}

type Result<T> = std::result::Result<T, Failure>;

/// Sends a request; what comes back goes through [`Shared::incoming`].
trait Link: Send + Sync {
    fn send(&self, request: Value) -> BoxFuture<'_, Result<()>>;
    fn close(&self);
}

/// What a link and a session share.
#[derive(Default)]
pub(crate) struct Shared {
    waiting: Mutex<HashMap<String, oneshot::Sender<Result<Value>>>>,
    listeners: Mutex<HashMap<u64, UnboundedSender<Value>>>,
    /// Why the link is gone.
    gone: Mutex<Option<Failure>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// A message of the server's.
    fn incoming(&self, message: Value) {
        let verb = message["janus"].as_str().unwrap_or_default();
        if matches!(verb, "success" | "error" | "event" | "pong" | "server_info")
            && let Some(transaction) = message["transaction"].as_str()
            && let Some(waiting) = lock(&self.waiting).remove(transaction)
        {
            let _ = waiting.send(answer(message));
            return;
        }
        // Keepalives are answered with an ack; messages too, but their event is what counts.
        if verb == "ack"
            && let Some(transaction) = message["transaction"].as_str().filter(|t| t.starts_with('a'))
            && let Some(waiting) = lock(&self.waiting).remove(transaction)
        {
            let _ = waiting.send(Ok(message));
            return;
        }
        if let Some(sender) = message["sender"].as_u64()
            && let Some(listener) = lock(&self.listeners).get(&sender)
        {
            let _ = listener.send(message);
        } else if verb == "timeout" {
            self.fail(&Failure::plain("the server ended the session: timeout"));
        }
    }

    /// The link is gone.
    fn fail(&self, why: &Failure) {
        lock(&self.gone).get_or_insert_with(|| why.clone());
        for (_, waiting) in lock(&self.waiting).drain() {
            let _ = waiting.send(Err(why.clone()));
        }
        lock(&self.listeners).clear();
    }
}

fn answer(message: Value) -> Result<Value> {
    if message["janus"] == "error" {
        let (code, reason) = (message["error"]["code"].as_i64().unwrap_or(0), &message["error"]["reason"]);
        let reason = reason.as_str().unwrap_or_default();
        return Err(Failure::new(format!("error {code}"), format!("error {code}: {reason}")));
    }
    let data = &message["plugindata"]["data"];
    if let Some(code) = data["error_code"].as_i64() {
        let reason = data["error"].as_str().unwrap_or_default();
        return Err(Failure::new(format!("plugin error {code}"), format!("plugin error {code}: {reason}")));
    }
    Ok(message)
}

/// A session with a connection of its own.
pub(crate) struct Session {
    server: Server,
    link: Box<dyn Link>,
    shared: Arc<Shared>,
    id: AtomicU64,
    transactions: AtomicU64,
    keeper: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Session {
    /// Connects and creates a session.
    pub(crate) async fn create(server: &Server) -> Result<Arc<Self>> {
        let session = Self::connect(server).await?;
        session.open().await?;
        Ok(session)
    }

    /// Connects only.
    pub(crate) async fn connect(server: &Server) -> Result<Arc<Self>> {
        let shared = Arc::new(Shared::default());
        let link: Box<dyn Link> = if server.url.starts_with("http") {
            Box::new(http::Http::new(server, Arc::clone(&shared))?)
        } else {
            Box::new(ws::WebSocket::connect(server, Arc::clone(&shared)).await?)
        };
        Ok(Arc::new(Self {
            server: server.clone(),
            link,
            shared,
            id: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
            keeper: Mutex::new(None),
        }))
    }

    /// Creates a session on a connection.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<()> {
        let created = self.request(json!({"janus": "create"})).await?;
        let id = created["data"]["id"].as_u64().ok_or_else(|| Failure::plain("no session id"))?;
        self.id.store(id, Ordering::Relaxed);
        let kept = Arc::downgrade(self);
        // Sessions that were made together do not speak together.
        let mut pause = KEEPALIVE.mul_f64((id % 1000) as f64 / 1000.0);
        let keeper = tokio::spawn(async move {
            loop {
                tokio::time::sleep(std::mem::replace(&mut pause, KEEPALIVE)).await;
                let Some(session) = kept.upgrade() else { return };
                let _ = session.keep_alive().await;
            }
        });
        *lock(&self.keeper) = Some(keeper);
        Ok(())
    }

    pub(crate) async fn keep_alive(&self) -> Result<()> {
        self.request(json!({"janus": "keepalive"})).await.map(drop)
    }

    /// Why the connection is gone, if it is.
    pub(crate) fn gone(&self) -> Option<Failure> {
        lock(&self.shared.gone).clone()
    }

    /// A handle of a plugin.
    pub(crate) async fn attach(self: &Arc<Self>, plugin: &str) -> Result<Handle> {
        let attached = self.request(json!({"janus": "attach", "plugin": plugin})).await?;
        let id = attached["data"]["id"].as_u64().ok_or_else(|| Failure::plain("no handle id"))?;
        let (sender, events) = unbounded_channel();
        lock(&self.shared.listeners).insert(id, sender);
        Ok(Handle { session: Arc::clone(self), id, events })
    }

    /// Ends it, and the connection.
    pub(crate) async fn destroy(&self) -> Result<()> {
        if let Some(keeper) = lock(&self.keeper).take() {
            keeper.abort();
        }
        let destroyed = self.request(json!({"janus": "destroy"})).await.map(drop);
        self.link.close();
        destroyed
    }

    /// Sends a request and waits for its answer; of a message, for its event.
    pub(crate) async fn request(&self, mut request: Value) -> Result<Value> {
        let n = self.transactions.fetch_add(1, Ordering::Relaxed);
        // What an ack answers is told by the transaction's first letter.
        let acked = matches!(request["janus"].as_str(), Some("keepalive" | "trickle"));
        let transaction = format!("{}{n}", if acked { 'a' } else { 't' });
        request["transaction"] = json!(transaction);
        let id = self.id.load(Ordering::Relaxed);
        if id != 0 {
            request["session_id"] = json!(id);
        }
        if let Some(secret) = &self.server.api_secret {
            request["apisecret"] = json!(secret);
        }
        if let Some(token) = &self.server.token {
            request["token"] = json!(token);
        }
        let (sender, answer) = oneshot::channel();
        lock(&self.shared.waiting).insert(transaction.clone(), sender);
        if let Some(why) = self.gone() {
            return Err(why);
        }
        self.link.send(request).await?;
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Failure::plain("the connection is gone")),
            Err(_) => {
                lock(&self.shared.waiting).remove(&transaction);
                Err(Failure::plain("no answer"))
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(keeper) = lock(&self.keeper).take() {
            keeper.abort();
        }
        self.link.close();
    }
}

/// A handle of a plugin.
pub(crate) struct Handle {
    pub(crate) session: Arc<Session>,
    id: u64,
    /// What the server tells unasked.
    pub(crate) events: UnboundedReceiver<Value>,
}

impl Handle {
    /// A message to the plugin, and what answers it: at once, or an event.
    pub(crate) async fn message(&self, body: Value, jsep: Option<Value>) -> Result<Value> {
        let mut message = json!({"janus": "message", "handle_id": self.id, "body": body});
        if let Some(jsep) = jsep {
            message["jsep"] = jsep;
        }
        self.session.request(message).await
    }

    /// All candidates are in the description.
    pub(crate) async fn end_candidates(&self) -> Result<()> {
        let message = json!({"janus": "trickle", "handle_id": self.id, "candidate": {"completed": true}});
        self.session.request(message).await.map(drop)
    }

    pub(crate) async fn detach(&self) -> Result<()> {
        self.session.request(json!({"janus": "detach", "handle_id": self.id})).await.map(drop)
    }
}
