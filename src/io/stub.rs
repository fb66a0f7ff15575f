//! A stream that does just what a test lets it do. It wakes nobody.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};

use super::Transport;

/// One of the owners of such a stream.
#[derive(Clone, Default)]
pub(crate) struct Stub(Arc<Mutex<Manner>>);

#[derive(Default)]
pub(crate) struct Manner {
    /// What there is to be read.
    pub(crate) input: Vec<u8>,
    /// Whether the stream ends behind it.
    pub(crate) ends: bool,
    /// How many bytes it takes.
    pub(crate) room: usize,
    /// What it took.
    pub(crate) taken: Vec<u8>,
    /// How often a flush has to wait.
    pub(crate) slow_flushes: usize,
    /// How often a close has to wait.
    pub(crate) slow_closes: usize,
    pub(crate) closed: bool,
}

impl Stub {
    pub(crate) fn new(manner: Manner) -> Self {
        Self(Arc::new(Mutex::new(manner)))
    }

    pub(crate) fn manner(&self) -> MutexGuard<'_, Manner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Stub {}

impl AsyncRead for Stub {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut manner = self.manner();
        if manner.input.is_empty() && !manner.ends {
            return Poll::Pending;
        }
        let count = manner.input.len().min(buffer.len());
        buffer[..count].copy_from_slice(&manner.input[..count]);
        manner.input.drain(..count);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Stub {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut manner = self.manner();
        let count = data.len().min(manner.room);
        if count == 0 {
            return Poll::Pending;
        }
        manner.room -= count;
        manner.taken.extend_from_slice(&data[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        waits(&mut self.manner().slow_flushes)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut manner = self.manner();
        let closed = waits(&mut manner.slow_closes);
        manner.closed |= closed.is_ready();
        closed
    }
}

fn waits(times: &mut usize) -> Poll<io::Result<()>> {
    match times.checked_sub(1) {
        Some(left) => {
            *times = left;
            Poll::Pending
        }
        None => Poll::Ready(Ok(())),
    }
}
