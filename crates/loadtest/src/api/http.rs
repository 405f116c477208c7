//! HTTP: a request each message, and a long poll for what the server tells.

use super::{Failure, Link, Result, Server, Shared, trust};
use futures_util::future::BoxFuture;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A server answers a poll after 30 seconds at the latest.
const POLL: Duration = Duration::from_secs(60);
const REQUEST: Duration = Duration::from_secs(15);
/// Events that one poll may bring.
const EVENTS: u32 = 10;

pub(super) struct Http {
    server: Server,
    client: Client,
    shared: Arc<Shared>,
    poll: Mutex<Option<tokio::task::JoinHandle<()>>>,
    /// The session is being destroyed: polls for it fail, which is no news.
    leaving: Arc<AtomicBool>,
}

/// Connections that are used again. Each session has its own, as each browser does, unless asked otherwise: with fewer the server would
/// be cheaper than it is.
pub(super) fn client(insecure: bool) -> Result<Client> {
    let config = trust::config(insecure).map_err(|e| Failure::plain(e.to_string()))?;
    let builder = Client::builder().tls_backend_preconfigured(config).connect_timeout(REQUEST).no_proxy();
    builder.build().map_err(|e| Failure::plain(e.to_string()))
}

impl Http {
    pub(super) fn new(server: &Server, shared: Arc<Shared>) -> Result<Self> {
        Ok(Self {
            server: server.clone(),
            client: server.pool.clone().map_or_else(|| client(server.insecure), Ok)?,
            shared,
            poll: Mutex::default(),
            leaving: Arc::default(),
        })
    }

    fn start_poll(&self, session: u64) {
        let mut poll = super::lock(&self.poll);
        if poll.is_some() {
            return;
        }
        let mut url = format!("{}/{session}?maxev={EVENTS}", self.server.url.trim_end_matches('/'));
        for (name, value) in [("apisecret", &self.server.api_secret), ("token", &self.server.token)] {
            if let Some(value) = value {
                url = format!("{url}&{name}={}", escaped(value));
            }
        }
        let (client, shared) = (self.client.clone(), Arc::clone(&self.shared));
        let leaving = Arc::clone(&self.leaving);
        *poll = Some(tokio::spawn(async move {
            let why = loop {
                match get(&client, &url).await {
                    Ok(Value::Array(events)) => events.into_iter().for_each(|event| shared.incoming(event)),
                    Ok(event) if event["janus"] == "error" => break Failure::plain("the session is gone"),
                    Ok(event) => shared.incoming(event),
                    Err(why) => break why,
                }
            };
            if !leaving.load(Ordering::Relaxed) {
                shared.fail(&why);
            }
        }));
    }
}

async fn get(client: &Client, url: &str) -> Result<Value> {
    answered(client.get(url).timeout(POLL)).await
}

fn broken(error: &reqwest::Error) -> Failure {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    let class = if error.is_connect() { format!("connect: {text}") } else { "connection lost".to_owned() };
    Failure::new(class, text)
}

async fn answered(request: RequestBuilder) -> Result<Value> {
    let response = request.send().await.map_err(|e| broken(&e))?;
    let status = response.status();
    let bytes = response.bytes().await.map_err(|e| broken(&e))?;
    let unread = |_| match status.is_success() {
        true => Failure::plain("the server's answer is no JSON"),
        false => Failure::plain(format!("HTTP {status}")),
    };
    serde_json::from_slice(&bytes).map_err(unread)
}

fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

impl Link for Http {
    fn send(&self, request: Value) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut url = self.server.url.trim_end_matches('/').to_owned();
            for id in ["session_id", "handle_id"].iter().filter_map(|name| request[*name].as_u64()) {
                url = format!("{url}/{id}");
            }
            if request["janus"] == "destroy" {
                self.leaving.store(true, Ordering::Relaxed);
            }
            let post = self.client.post(url).timeout(REQUEST).header("Content-Type", "application/json");
            let answer = answered(post.body(request.to_string())).await?;
            if request["janus"] == "create"
                && let Some(session) = answer["data"]["id"].as_u64()
            {
                self.start_poll(session);
            }
            self.shared.incoming(answer);
            Ok(())
        })
    }

    fn close(&self) {
        if let Some(poll) = super::lock(&self.poll).take() {
            poll.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_addresses_are_escaped() {
        assert_eq!(escaped("a b&c=ü/-"), "a%20b%26c%3D%C3%BC%2F-");
    }
}
