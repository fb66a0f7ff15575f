//! How fast is a bare tunnel? Every TCP connection on a stream of its own, and nobody looks into it.

use std::net::SocketAddr;

use anyhow::Result;
use libp2p::{Multiaddr, Stream};
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use super::streams::{self, Opener};

/// The usual 8 KiB cost a fifth of the throughput.
const BUFFER: usize = 64 * 1024;

pub(super) async fn gateway(listener: TcpListener, origin: &Multiaddr) -> Result<()> {
    let opener = Opener::connect(origin).await?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let opener = opener.clone();
            tokio::spawn(async move { splice(client, opener.open().await?).await });
        }
    });
    Ok(())
}

pub(super) async fn origin(server: SocketAddr, services: usize) -> Result<Multiaddr> {
    streams::accept(services, move |stream| {
        tokio::spawn(async move { splice(TcpStream::connect(server).await?, stream).await });
    })
    .await
}

async fn splice(mut socket: TcpStream, stream: Stream) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut stream = stream.compat();
    copy_bidirectional_with_sizes(&mut socket, &mut stream, BUFFER, BUFFER).await?;
    Ok(())
}
