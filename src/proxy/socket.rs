//! Sockets of the local machine as transports.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::io::Transport;

/// A TCP connection of the local machine.
pub(crate) struct TcpSocket {
    stream: Compat<TcpStream>,
    writes: Writes,
}

/// What was written, for Nagle's algorithm: it holds back small writes while others are on their way. Heads and bodies are
/// put together before they are written, so that this only costs time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// The first write is never held back; a connection for one small response needs no system call about it.
    None,
    One,
    /// All leave at once.
    Undelayed,
}

impl TcpSocket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream: stream.compat(),
            writes: Writes::None,
        }
    }
}

impl Transport for TcpSocket {
    fn abort(&mut self) {
        // Without lingering the kernel sends a reset: the end of a cut close-delimited body is then no orderly one.
        if let Err(error) =
            socket2::SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO))
        {
            tracing::debug!(%error, "cannot reset a connection");
        }
    }
}

impl AsyncRead for TcpSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TcpSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.writes == Writes::One {
            self.stream.get_ref().set_nodelay(true)?;
            self.writes = Writes::Undelayed;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        if self.writes == Writes::None && written.is_ready() {
            self.writes = Writes::One;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(unix)]
impl Transport for Compat<UnixStream> {}
