//! One HTTP connection from its first byte to its last.

use super::HttpApi;
use crate::connection::{Pulse, Stream, watched};
use crate::listener::Shared;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

impl HttpApi {
    /// Serves requests until the connection ends or the process does.
    pub(crate) async fn speak<T>(&self, stream: Stream<T>, peer: SocketAddr, pulse: &Arc<Pulse>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // On the heap, so that the connection may be moved out of its pin when it is done.
        let service = service_fn(|request| Box::pin(self.handle(request, peer, pulse)));
        let mut connection = builder(&self.shared).serve_connection(TokioIo::new(stream), service);
        let served = tokio::select! {
            served = watched(pulse, poll_fn(|cx| connection.poll_without_shutdown(cx))) => Some(served),
            () = self.shared.draining() => None,
        };
        let served = match served {
            Some(served) => served,
            None => {
                Pin::new(&mut connection).graceful_shutdown();
                watched(pulse, poll_fn(|cx| connection.poll_without_shutdown(cx))).await
            }
        };
        match served {
            Some(Ok(())) => linger(connection.into_parts().io.into_inner()).await,
            Some(Err(e)) => tracing::debug!(%peer, error = ?e, "connection ended"),
            None => {
                self.shared.counters().timed_out.up();
                tracing::debug!(%peer, "connection timed out");
            }
        }
    }
}

/// hyper with our limits; its own timers are off, since the pulse knows better what is being waited for.
pub(crate) fn builder(shared: &Shared) -> http1::Builder {
    /// What hyper reserves room for on the stack.
    const USUAL_HEADERS: usize = 100;
    let limits = shared.limits();
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(limits.head.max(8192)).max_header_size(limits.head);
    if limits.headers != USUAL_HEADERS {
        builder.max_headers(limits.headers);
    }
    builder
}

/// Says that nothing more comes and reads what is still on its way. Closing at once would reset the connection and
/// could take the last answer (a 413, say) with it.
async fn linger<T: AsyncRead + AsyncWrite + Unpin>(mut stream: Stream<T>) {
    const PATIENCE: Duration = Duration::from_secs(1);
    const BYTES: usize = 4 << 20;
    let _ = tokio::time::timeout(PATIENCE, async {
        stream.shutdown().await?;
        let mut scratch = [0; 4096];
        let mut left = BYTES;
        loop {
            let read = stream.read(&mut scratch).await?;
            if read == 0 || read > left {
                return std::io::Result::Ok(());
            }
            left -= read;
        }
    })
    .await;
}
