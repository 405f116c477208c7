//! The bytes of a connection, plain or TLS, with a pulse and a limit on how fast they are read.

use super::Pulse;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Seconds' worth of bytes that may come at once.
const BURST: u32 = 4;

/// A byte stream that reports to a [`Pulse`].
pub(crate) struct Stream<T> {
    inner: T,
    pulse: Arc<Pulse>,
    pace: Pace,
}

impl<T> Stream<T> {
    /// `rate`: bytes a second, 0 for any.
    pub(crate) fn new(inner: T, pulse: Arc<Pulse>, rate: u32) -> Self {
        Self { inner, pulse, pace: Pace::new(rate) }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stream<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        ready!(me.pace.poll_ready(cx));
        let before = buf.filled().len();
        ready!(Pin::new(&mut me.inner).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        me.pace.on_bytes(new.len());
        if !me.pulse.on_read(new) {
            return Poll::Ready(Err(io::Error::other("too much is unanswered")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let written = Pin::new(&mut me.inner).poll_write(cx, buf);
        me.on_write(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let written = Pin::new(&mut me.inner).poll_write_vectored(cx, bufs);
        me.on_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let flushed = Pin::new(&mut me.inner).poll_flush(cx);
        match &flushed {
            Poll::Pending => me.pulse.on_blocked(),
            Poll::Ready(Ok(())) => me.pulse.on_flushed(),
            Poll::Ready(Err(_)) => {}
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let shut = Pin::new(&mut me.inner).poll_shutdown(cx);
        if shut.is_pending() {
            me.pulse.on_blocked();
        }
        shut
    }
}

impl<T> Stream<T> {
    fn on_write(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.pulse.on_blocked(),
            Poll::Ready(Ok(_)) => self.pulse.on_progress(),
            Poll::Ready(Err(_)) => {}
        }
    }
}

/// A token bucket: debt is waited for before the next read.
struct Pace {
    rate: u32,
    /// When the bucket was, or will be, full.
    full_at: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self { rate, full_at: Instant::now(), sleep: None }
    }

    fn on_bytes(&mut self, bytes: usize) {
        if self.rate > 0 {
            let cost = bytes as f64 / f64::from(self.rate);
            self.full_at = self.full_at.max(Instant::now()) + Duration::from_secs_f64(cost);
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.rate == 0 {
            return Poll::Ready(());
        }
        let free = self.full_at.checked_sub(Duration::from_secs(BURST.into()));
        let Some(free) = free.filter(|free| *free > Instant::now()) else {
            self.sleep = None;
            return Poll::Ready(());
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(free)));
        if sleep.deadline() != free {
            sleep.as_mut().reset(free);
        }
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::connection::Allowance;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn reading_slows_down_after_the_burst() {
        let (mut far, near) = tokio::io::duplex(1 << 20);
        let pulse = Arc::new(Pulse::new(Arc::new(Allowance::new(Arc::default(), &Limits::default()))));
        let mut stream = Stream::new(near, pulse, 1000);
        far.write_all(&[7; 10_000]).await.unwrap();
        let start = Instant::now();
        let mut buf = [0; 1000];
        for _ in 0..4 {
            stream.read_exact(&mut buf).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..6 {
            stream.read_exact(&mut buf).await.unwrap();
        }
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(4900) && took < Duration::from_millis(5200), "{took:?}");
    }
}
