//! Byte streams of this crate for hyper, and those of hyper for this crate.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use crate::{
    config::Config, error::Wait, h1::Length, hop::Source, io::Transport, link::Link,
    timer::Watchdog, tunnel::Upgraded,
};

/// A stream of this crate as hyper uses it.
pub(super) struct HyperIo {
    /// What is read before the stream: a head that was read already.
    head: Bytes,
    /// `None` only while it is dropped.
    stream: Option<Upgraded>,
    /// Whose task closes a tunnel of a peer; `None` for a local client.
    link: Option<Arc<Link>>,
    config: Arc<Config>,
    watchdog: Watchdog,
    /// Bytes of the request's body that are still to be read, if that is known.
    due: Option<u64>,
    /// Set once the application has switched protocols.
    switched: Arc<AtomicBool>,
    /// Our direction was ended in order.
    ended: bool,
}

impl HyperIo {
    /// `head` is read before what comes on `stream`, and `length` is what it says of the body.
    pub(super) fn new(
        (head, length): (Bytes, Length),
        stream: Upgraded,
        link: Option<Arc<Link>>,
        config: Arc<Config>,
        switched: Arc<AtomicBool>,
    ) -> Self {
        Self {
            head,
            stream: Some(stream),
            link,
            config,
            watchdog: Watchdog::default(),
            due: match length {
                Length::Absent => Some(0),
                Length::Known(length) => Some(length),
                Length::Chunked => None,
            },
            switched,
            ended: false,
        }
    }

    fn is_switched(&self) -> bool {
        self.switched.load(Ordering::Acquire)
    }

    /// How long the other side may be silent. It is not waited for while the application answers.
    fn patience(&self) -> Option<(Wait, Duration)> {
        match self.due {
            _ if self.is_switched() => Some((Wait::Tunnel, self.config.tunnel_timeout())),
            Some(0) => None,
            Some(_) => Some((Wait::Body, self.config.body_gap_timeout())),
            // Where a chunked body ends, only hyper knows.
            None => Some((Wait::Body, self.config.tunnel_timeout())),
        }
    }

    fn stream(&mut self) -> &mut Upgraded {
        self.stream.as_mut().expect("only dropping takes it")
    }
}

impl Drop for HyperIo {
    /// Applications are used to sockets, where what was written before the socket is dropped still arrives. So a tunnel is
    /// closed in order: one of a peer by the task of its connection, and a socket by the system. Any other stream is reset,
    /// unless it was ended in order: its response may have been cut.
    fn drop(&mut self) {
        let switched = self.is_switched();
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        match &self.link {
            _ if !switched && !self.ended => stream.abort(),
            Some(link) if switched => link.leave(|inbox| {
                inbox.jobs.push(Box::pin(async move {
                    if let Err(error) = stream.close().await {
                        tracing::debug!(%error, "a tunnel failed while it was closed");
                    }
                }));
            }),
            _ => {}
        }
    }
}

impl Read for HyperIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.head.is_empty() {
            let count = self.head.len().min(buffer.remaining());
            buffer.put_slice(&self.head.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let patience = self.patience();
        let stream = self.stream();
        if ready!(stream.poll_fill_within(cx, patience))? {
            let data = stream.data();
            let count = data.len().min(buffer.remaining());
            buffer.put_slice(&data[..count]);
            stream.consume(count);
            self.due = self.due.map(|due| due.saturating_sub(count as u64));
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for HyperIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_switched() {
            return Pin::new(self.stream()).poll_write(cx, data);
        }
        if let Poll::Ready(written) = self.stream().poll_put(cx, data) {
            self.watchdog.progress();
            return Poll::Ready(written);
        }
        // A response that nobody takes must not be held for as long as a tunnel may be silent.
        let limit = self.config.body_gap_timeout();
        ready!(self.watchdog.poll_expired(cx, limit));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(self.stream()).poll_close(cx))?;
        self.ended = true;
        Poll::Ready(Ok(()))
    }
}

/// A connection of hyper that switched protocols, as a stream of this crate.
pub(crate) struct HyperTransport(pub(crate) hyper::upgrade::Upgraded);

impl Transport for HyperTransport {}

impl AsyncRead for HyperTransport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, buffer.unfilled()))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl AsyncWrite for HyperTransport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
