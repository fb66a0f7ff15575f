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
pub(crate) struct TcpSocket(Compat<TcpStream>);

impl TcpSocket {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        // Heads and bodies are put together before they are written, so waiting for more only costs time.
        stream.set_nodelay(true)?;
        Ok(Self(stream.compat()))
    }
}

impl Transport for TcpSocket {
    fn abort(&mut self) {
        // Without lingering the kernel sends a reset: the end of a cut close-delimited body is then no orderly one.
        if let Err(error) =
            socket2::SockRef::from(self.0.get_ref()).set_linger(Some(Duration::ZERO))
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
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TcpSocket {
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
        Pin::new(&mut self.0).poll_close(cx)
    }
}

#[cfg(unix)]
impl Transport for Compat<UnixStream> {}
