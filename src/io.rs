//! What a hop runs over: any byte stream, shared by the half that reads it and the half that writes it.

#[cfg(test)]
pub(crate) mod stub;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};

/// A byte stream in both directions.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Makes sure that dropping the stream is seen by the peer as a failure and not as an orderly end, where
    /// the transport can tell the two apart. Streams of libp2p are reset when they are dropped unclosed.
    fn abort(&mut self) {}
}

impl Transport for libp2p_swarm::Stream {}

/// One of the two owners of a [`Transport`].
///
/// A lock and not a split by halves: both owners may be polled by different tasks, every lock is held for one
/// poll only, and a stream needs no more than this one allocation.
#[derive(Clone)]
pub(crate) struct Io(Arc<Mutex<dyn Transport>>);

impl Io {
    /// Takes a transport and gives both owners of it.
    pub(crate) fn pair(transport: impl Transport) -> (Self, Self) {
        let shared: Arc<Mutex<dyn Transport>> = Arc::new(Mutex::new(transport));
        (Self(Arc::clone(&shared)), Self(shared))
    }

    fn lock(&self) -> MutexGuard<'_, dyn Transport + 'static> {
        // A panic of the other owner's task leaves the stream itself usable for closing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn abort(&self) {
        self.lock().abort();
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buffer)
    }

    /// Writes at least one byte of `data`; a stream that takes none any more is an error.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut *self.lock()).poll_write(cx, data) {
            Poll::Ready(Ok(0)) if !data.is_empty() => {
                Poll::Ready(Err(io::ErrorKind::WriteZero.into()))
            }
            other => other,
        }
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    pub(crate) fn poll_close(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_close(cx)
    }
}
