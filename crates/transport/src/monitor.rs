//! The listener for machines that watch over us: `/metrics`, `/healthz` and `/readyz`, plain HTTP, nothing else.
//!
//! It stands on its own, so that a flood on the API ports does not make a live process look dead; and it lives on while the
//! gateway drains.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at a time; further ones wait to be accepted.
const CONNECTIONS: usize = 32;
/// From the first byte of a head to its last.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may live; whoever scrapes connects again.
const LIFE: Duration = Duration::from_secs(300);

/// What is asked. The answers are made on the spot: they must not wait for anything.
pub trait Monitor: Send + Sync + 'static {
    /// Everything that is counted, in Prometheus' text format.
    fn metrics(&self) -> String;
    /// Whether the process is alive; `Err` says what is not.
    fn health(&self) -> Result<(), String>;
    /// Whether new clients should come here; `Err` says why not.
    fn readiness(&self) -> Result<(), String>;
}

/// Opens the listener, and serves it until the runtime ends. Returns its address, with the port the system chose if 0 was
/// asked for.
///
/// # Errors
/// The port cannot be opened.
pub async fn watch(address: SocketAddr, monitor: Arc<dyn Monitor>) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener, monitor));
    Ok(address)
}

async fn accept(listener: TcpListener, monitor: Arc<dyn Monitor>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((socket, _)) => {
                let monitor = monitor.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(LIFE, serve(socket, monitor)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "accepting a watcher failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(socket: TcpStream, monitor: Arc<dyn Monitor>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &*monitor);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(8192)
        .serve_connection(TokioIo::new(socket), service);
    if let Err(error) = connection.await {
        tracing::debug!(error = ?error, "a watcher's connection ended");
    }
}

fn answer(method: &Method, path: &str, monitor: &dyn Monitor) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    let state = |state: Result<(), String>| match state {
        Ok(()) => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
    };
    let (status, kind, text) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", monitor.metrics())
        }
        (&Method::GET | &Method::HEAD, "/healthz") => state(monitor.health()),
        (&Method::GET | &Method::HEAD, "/readyz") => state(monitor.readiness()),
        (&Method::GET | &Method::HEAD, _) => {
            (StatusCode::NOT_FOUND, TEXT, "/metrics, /healthz, /readyz\n".to_owned())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned()),
    };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Sick;

    impl Monitor for Sick {
        fn metrics(&self) -> String {
            "portunus_up 1\n".to_owned()
        }
        fn health(&self) -> Result<(), String> {
            Ok(())
        }
        fn readiness(&self) -> Result<(), String> {
            Err("draining".to_owned())
        }
    }

    async fn ask(address: SocketAddr, line: &str) -> String {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn watchers_get_numbers_health_and_readiness() {
        let address = watch(([127, 0, 0, 1], 0).into(), Arc::new(Sick)).await.unwrap();
        for (line, status, body) in [
            ("GET /metrics", "200", "portunus_up 1"),
            ("GET /healthz", "200", "ok"),
            ("GET /readyz", "503", "draining"),
            ("GET /janus", "404", "/metrics, /healthz, /readyz"),
            ("POST /metrics", "405", "GET only"),
        ] {
            let answer = ask(address, line).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
            assert!(answer.trim_end().ends_with(body), "{line}: {answer}");
        }
    }

    #[tokio::test]
    async fn silent_watchers_do_not_keep_others_out() {
        let address = watch(([127, 0, 0, 1], 0).into(), Arc::new(Sick)).await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS + 5 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let patience = Duration::from_secs(10);
        let answer = tokio::time::timeout(patience, ask(address, "GET /healthz")).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
