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
        // The pipe yields now and then though it holds bytes, and whoever looks at an idle stream would not see them.
        let count = self.reader.try_drain(buffer);
        if count > 0 {
            return Poll::Ready(Ok(count));
        }
        match Pin::new(&mut self.reader).poll_read(cx, buffer) {
            Poll::Pending if self.reader.is_closed() && self.reader.is_empty() => {
                Poll::Ready(Ok(0))
            }
            read => read,
        }
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures::{AsyncWriteExt, executor::block_on};

    use super::*;

    #[test]
    fn what_has_arrived_is_seen_at_every_look() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut look = |end: &mut LocalStream| Pin::new(end).poll_read(&mut cx, &mut [0; 2]);
        for _ in 0..1_000 {
            let (mut near, mut far) = pair();
            assert!(look(&mut far).is_pending());
            block_on(near.write_all(b"x")).expect("there is room");
            assert!(matches!(look(&mut far), Poll::Ready(Ok(1))));
            drop(near);
            assert!(matches!(look(&mut far), Poll::Ready(Ok(0))));
        }
    }
}
