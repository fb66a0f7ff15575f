//! How is the server of a service connected to: at a socket, or in whatever way the application knows?

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{
    AsyncRead, AsyncWrite, FutureExt,
    future::{BoxFuture, TryFutureExt},
};

use crate::{
    config::Config, h1::Client, hop::Hop, io::Transport, proxy::target::Target, rewrite::HostValue,
};

/// The way to a server.
pub(super) enum Way {
    To(Target),
    Over(Connector),
}

/// The application's own way to a server.
pub(super) struct Connector {
    name: String,
    /// What stands for the authority of a server that has none.
    host: HostValue,
    connect: Box<Connect>,
}

type Connect = dyn Fn(&Arc<Config>) -> BoxFuture<'static, io::Result<Hop<Client>>> + Send + Sync;

impl Way {
    pub(super) fn over<C, F, T>(name: String, connect: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<T>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connect = move |config: &Arc<Config>| {
            let config = Arc::clone(config);
            let connected = connect().map_ok(move |stream| Hop::new(Foreign(stream), &config));
            connected.boxed()
        };
        Self::Over(Connector {
            name,
            host: HostValue::localhost(),
            connect: Box::new(connect),
        })
    }

    /// What a request to this server names as its host.
    pub(super) fn host(&self) -> &HostValue {
        match self {
            Self::To(target) => target.host(),
            Self::Over(connector) => &connector.host,
        }
    }

    pub(super) async fn connect(&self, config: &Arc<Config>) -> io::Result<Hop<Client>> {
        match self {
            Self::To(target) => target.connect(config).await,
            Self::Over(connector) => (connector.connect)(config).await,
        }
    }
}

/// As errors and the log name the server.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(target) => target.fmt(f),
            Self::Over(connector) => f.pad(&connector.name),
        }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Way").field(&self.to_string()).finish()
    }
}

/// A stream of the application's.
struct Foreign<T>(T);

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for Foreign<T> {}

impl<T: AsyncRead + Unpin> AsyncRead for Foreign<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Foreign<T> {
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
