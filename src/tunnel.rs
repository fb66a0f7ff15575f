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
    wake::{Side, Sides},
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
    /// Boxed, as tunnels move.
    silence: Box<Silence>,
    config: Arc<Config>,
    /// Holds the place of the stream among those of its connection.
    _seat: Box<dyn Any + Send>,
}

/// Watches for how long a tunnel carries nothing.
#[derive(Default)]
struct Silence {
    watchdog: Watchdog,
    /// Whoever waits for either direction: the watchdog keeps the waker of only one.
    waiting: Sides,
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
            silence: Box::default(),
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
            self.silence.watchdog.progress();
            return Poll::Ready(Ok(count > 0));
        }
        match limit {
            Some(limit) => self.poll_silent(cx, Side::Reader, limit).map(Err),
            None => Poll::Pending,
        }
    }

    /// Writes as [`AsyncWrite::poll_write`] does, and waits for any time.
    pub(crate) fn poll_put(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        let count = ready!(self.io.poll_write(cx, data))?;
        self.silence.watchdog.progress();
        Poll::Ready(Ok(count))
    }

    /// What became of a step of writing, which is waited for as long as something is read.
    fn watch<T>(&mut self, cx: &Context<'_>, step: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if step.is_ready() {
            return step;
        }
        let limit = (Wait::Tunnel, self.config.tunnel_timeout());
        let silent = self.poll_silent(cx, Side::Writer, limit);
        silent.map(|error| Err(error.into()))
    }

    /// Ready once neither direction has carried anything for so long.
    fn poll_silent(
        &mut self,
        cx: &Context<'_>,
        side: Side,
        (wait, limit): (Wait, Duration),
    ) -> Poll<ExchangeError> {
        let waker = self.silence.waiting.waker(cx, side);
        let cx = &mut Context::from_waker(&waker);
        ready!(self.silence.watchdog.poll_expired(cx, limit));
        Poll::Ready(ExchangeError::Timeout { wait, limit })
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
        let written = self.poll_put(cx, data);
        self.watch(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match self.poll_drain(cx)? {
            Poll::Ready(()) => self.io.poll_flush(cx),
            Poll::Pending => Poll::Pending,
        };
        self.watch(cx, flushed)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = match self.poll_drain(cx)? {
            Poll::Ready(()) => self.io.poll_close(cx),
            Poll::Pending => Poll::Pending,
        };
        self.watch(cx, closed)
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::{AsyncReadExt, AsyncWriteExt, executor::block_on};

    use super::*;
    use crate::{
        h1::Server,
        io::stub::{Manner, Stub},
    };

    /// A tunnel to a peer that says nothing and takes nothing.
    fn stuck() -> Upgraded {
        let stream = Stub::new(Manner {
            slow_flushes: usize::MAX,
            slow_closes: usize::MAX,
            ..Manner::default()
        });
        let config = Config::default().with_tunnel_timeout(Duration::from_millis(50));
        let config = Arc::new(config);
        let hop = Hop::<Server>::new(stream, &config);
        Upgraded::new(hop, config, Box::new(()))
    }

    fn timed_out<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    #[test]
    fn who_only_writes_does_not_wait_for_ever() {
        assert!(timed_out(block_on(stuck().write_all(b"more"))));
        assert!(timed_out(block_on(stuck().flush())));
        assert!(timed_out(block_on(stuck().close())));
    }

    #[test]
    fn both_sides_are_told_whoever_waits_in_whatever_task() {
        let (mut read, mut write) = stuck().split();
        let reading = std::thread::spawn(move || block_on(read.read(&mut [0])));
        let writing = std::thread::spawn(move || block_on(write.write(b"more")));
        assert!(timed_out(reading.join().expect("no panic")));
        assert!(timed_out(writing.join().expect("no panic")));
    }
}
