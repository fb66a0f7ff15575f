//! The stream after an upgrade: bytes in both directions that nobody interprets.

use std::{
    any::Any,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use futures::{AsyncRead, AsyncWrite};

use crate::{
    config::Config,
    error::{ExchangeError, Wait},
    h1::Role,
    hop::{Hop, ReadBuffer, Source},
    io::Io,
    timer::Watchdog,
};

/// A stream that switched protocols (RFC 9110 section 7.8), a WebSocket for example.
///
/// Bytes that arrived behind the head are read first. A tunnel that carries nothing in either direction for
/// [`Config::tunnel_timeout`] fails with [`io::ErrorKind::TimedOut`]. Close it before dropping it: a stream that is
/// dropped open is reset, and what it wrote last may be lost.
pub struct Upgraded {
    io: Io,
    read: ReadBuffer,
    unwritten: BytesMut,
    watchdog: Watchdog,
    config: Arc<Config>,
    /// Holds the place of the stream among those of its connection.
    _seat: Box<dyn Any + Send>,
}

impl Upgraded {
    pub(crate) fn new<R: Role>(
        hop: Hop<R>,
        config: Arc<Config>,
        seat: Box<dyn Any + Send>,
    ) -> Self {
        let (io, read) = hop.reader.into_parts();
        let (_, unwritten) = hop.writer.into_parts();
        Self {
            io,
            read,
            unwritten,
            watchdog: Watchdog::default(),
            config,
            _seat: seat,
        }
    }

    /// See [`Transport::abort`](crate::io::Transport::abort).
    #[cfg(any(feature = "tokio", feature = "tower"))]
    pub(crate) fn abort(&self) {
        self.io.abort();
    }

    /// How long it may carry nothing.
    #[cfg(feature = "tokio")]
    pub(crate) fn timeout(&self) -> Duration {
        self.config.tunnel_timeout()
    }

    /// Reads as [`Source::poll_fill`] does, and waits so long for something to read or write.
    pub(crate) fn poll_fill_within(
        &mut self,
        cx: &mut Context<'_>,
        limit: Option<(Wait, Duration)>,
    ) -> Poll<Result<bool, ExchangeError>> {
        if !self.read.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if let Poll::Ready(count) = self.read.poll_fill(&self.io, cx, 0)? {
            self.watchdog.progress();
            return Poll::Ready(Ok(count > 0));
        }
        let Some((wait, limit)) = limit else {
            return Poll::Pending;
        };
        ready!(self.watchdog.poll_expired(cx, limit));
        Poll::Ready(Err(ExchangeError::Timeout { wait, limit }))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unwritten.is_empty() {
            let count = ready!(self.io.poll_write(cx, &self.unwritten))?;
            self.unwritten.advance(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl Source for Upgraded {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ExchangeError>> {
        let limit = (Wait::Tunnel, self.config.tunnel_timeout());
        self.poll_fill_within(cx, Some(limit))
    }

    fn data(&self) -> &[u8] {
        self.read.filled()
    }

    fn consume(&mut self, count: usize) {
        self.read.consume(count);
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_copy(cx, buffer)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        let count = ready!(self.io.poll_write(cx, data))?;
        self.watchdog.progress();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        self.io.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        self.io.poll_close(cx)
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}
