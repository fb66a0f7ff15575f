//! Streams to ourselves, in memory: a node reaches its own services without a dial.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p_swarm::ConnectionId;

use crate::io::Transport;

/// What one direction holds before its writer has to wait: like the first window of a yamux stream.
const CAPACITY: usize = 256 * 1024;

/// What stands for the connection to ourselves. The swarm counts up from zero and never comes here.
pub(crate) fn connection_id() -> ConnectionId {
    ConnectionId::new_unchecked(usize::MAX)
}

/// Two ends of a byte stream in memory.
pub(crate) fn pair() -> (LocalStream, LocalStream) {
    let (near_reader, far_writer) = piper::pipe(CAPACITY);
    let (far_reader, near_writer) = piper::pipe(CAPACITY);
    let near = LocalStream {
        reader: near_reader,
        writer: Some(near_writer),
    };
    let far = LocalStream {
        reader: far_reader,
        writer: Some(far_writer),
    };
    (near, far)
}

/// One end of a byte stream in memory.
pub(crate) struct LocalStream {
    reader: piper::Reader,
    /// `None` once our direction was closed, which is how the other end learns of it.
    writer: Option<piper::Writer>,
}

impl Transport for LocalStream {}

impl AsyncRead for LocalStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.reader).poll_read(cx, buffer)
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.writer {
            Some(writer) => Pin::new(writer).poll_write(cx, data),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer = None;
        Poll::Ready(Ok(()))
    }
}
