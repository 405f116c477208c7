//! Bodies of answers.

use crate::connection::Pulse;
use crate::mailbox::Delivery;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::fs::File;
use tokio::io::AsyncRead;

/// A body that tells the connection when it has been handed over.
pub(crate) struct Tracked {
    kind: Kind,
    pulse: Arc<Pulse>,
}

pub(crate) enum Kind {
    /// With `Content-Length`.
    Sized(Bytes),
    /// In chunks, as Janus sends the core's replies.
    Chunked(Bytes),
    /// Events, which count as delivered when they are written.
    Events(Bytes, Option<Delivery>),
    /// So many bytes of a file.
    File(File, u64),
}

impl Kind {
    pub(crate) fn sized(text: impl Into<Bytes>) -> Self {
        Self::Sized(text.into())
    }

    pub(crate) fn chunked(text: impl Into<Bytes>) -> Self {
        Self::Chunked(text.into())
    }

    pub(crate) fn events(text: impl Into<Bytes>, delivery: Delivery) -> Self {
        Self::Events(text.into(), Some(delivery))
    }
}

impl Tracked {
    pub(crate) fn new(kind: Kind, pulse: Arc<Pulse>) -> Self {
        Self { kind, pulse }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let me = &mut *self;
        let bytes = match &mut me.kind {
            Kind::Sized(bytes) | Kind::Chunked(bytes) => std::mem::take(bytes),
            Kind::Events(bytes, delivery) => {
                if let Some(delivery) = delivery.take() {
                    me.pulse.on_buffered(delivery);
                }
                std::mem::take(bytes)
            }
            Kind::File(file, left) => match ready!(poll_file(file, left, cx)) {
                Ok(bytes) => bytes,
                Err(e) => return Poll::Ready(Some(Err(e))),
            },
        };
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Sized(bytes) | Kind::Chunked(bytes) | Kind::Events(bytes, _) => bytes.is_empty(),
            Kind::File(_, left) => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Sized(bytes) | Kind::Events(bytes, _) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Kind::Chunked(_) => SizeHint::default(),
            Kind::File(_, left) => SizeHint::with_exact(*left),
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // All of it is in the write buffer; the next thing to wait for is another request.
        self.pulse.on_idle();
    }
}

fn poll_file(file: &mut File, left: &mut u64, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    const PIECE: u64 = 16 << 10;
    let want = usize::try_from(PIECE.min(*left)).unwrap_or_default();
    if want == 0 {
        return Poll::Ready(Ok(Bytes::new()));
    }
    let mut piece = BytesMut::zeroed(want);
    let mut buf = tokio::io::ReadBuf::new(&mut piece);
    ready!(Pin::new(file).poll_read(cx, &mut buf))?;
    let read = buf.filled().len();
    if read == 0 {
        // The file shrank; the length is promised already.
        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
    }
    *left -= u64::try_from(read).unwrap_or_default();
    piece.truncate(read);
    Poll::Ready(Ok(piece.freeze()))
}
