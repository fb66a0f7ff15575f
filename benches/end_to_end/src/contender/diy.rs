//! What would one build from libp2p-stream and hyper? Without pools, and with them.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use hyper::{Request, Response, body::Incoming};
use libp2p::Multiaddr;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use super::{
    hyper_io::{Sender, client, connect, for_next_hop, serve, serve_small},
    pool::Pool,
    streams::{self, Opener},
};

/// How the next hop is reached.
#[derive(Clone)]
enum Next {
    /// Over a stream of its own for every request.
    Stream(Opener),
    /// Over a connection of its own for every request.
    Socket(SocketAddr),
    Pool(Arc<Pool>),
}

pub(super) async fn gateway(listener: TcpListener, origin: &Multiaddr, pooled: bool) -> Result<()> {
    let next = Next::Stream(Opener::connect(origin).await?);
    let next = if pooled { next.pooled() } else { next };
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let next = next.clone();
            tokio::spawn(async move {
                socket.set_nodelay(true)?;
                next.pass_on(socket).await;
                anyhow::Ok(())
            });
        }
    });
    Ok(())
}

/// Passes requests on to the server, or answers them itself.
pub(super) async fn origin(server: Option<SocketAddr>, pooled: bool) -> Result<Multiaddr> {
    let next = server.map(Next::Socket);
    let next = if pooled { next.map(Next::pooled) } else { next };
    streams::accept(1, move |stream| {
        let next = next.clone();
        tokio::spawn(async move {
            match next {
                Some(next) => next.pass_on(stream.compat()).await,
                None => serve_small(stream.compat()).await,
            }
        });
    })
    .await
}

impl Next {
    fn pooled(self) -> Self {
        Self::Pool(Pool::new(Box::new(move || {
            let next = self.clone();
            Box::pin(async move { next.open().await })
        })))
    }

    /// Passes the requests of one connection on.
    async fn pass_on(self, io: impl AsyncRead + AsyncWrite + Unpin) {
        match &self {
            Self::Pool(pool) => {
                serve(io, |request| {
                    let pool = Arc::clone(pool);
                    async move { pool.send(request).await }
                })
                .await;
            }
            _ => serve(io, |request| self.clone().send(request)).await,
        }
    }

    async fn send(self, request: Request<Incoming>) -> Result<Response<Incoming>> {
        let mut sender = self.open().await?;
        Ok(sender.send_request(for_next_hop(request)).await?)
    }

    async fn open(&self) -> Result<Sender> {
        match self {
            Self::Stream(opener) => client(opener.open().await?.compat()).await,
            Self::Socket(server) => connect(*server).await,
            Self::Pool(_) => anyhow::bail!("a pool opens what it pools"),
        }
    }
}
