//! What can stand between HTTP clients and an HTTP server of another peer?

mod bare;
mod diy;
mod hyper_io;
mod ours;
mod peers;
mod pool;
mod raw;
mod requester;
mod streams;

use std::{fmt::Display, net::SocketAddr};

use anyhow::{Result, bail};
use libp2p::Multiaddr;
use tokio::net::{TcpListener, TcpSocket};

pub(crate) use self::{peers::Hub, requester::Requester};
use crate::args::{Contender, GatewayArgs, OriginArgs};

/// Clients that have connected and were not accepted yet.
const BACKLOG: u32 = 4096;

/// Starts the node that offers the service, and says where it is.
pub(crate) async fn origin(args: &OriginArgs) -> Result<Multiaddr> {
    match (args.contender, args.server) {
        (Contender::Bare, None) => bare::origin().await,
        (Contender::Raw, Some(server)) => raw::origin(server, args.services).await,
        (Contender::Diy, server) => diy::origin(server, false).await,
        (Contender::Pool, server) => diy::origin(server, true).await,
        (Contender::Ours, Some(server)) => ours::forward(server, args.services).await,
        (Contender::Ours, None) => ours::accept().await,
        (Contender::OursEvents, None) => ours::events().await,
        (Contender::OursTower, None) => ours::tower().await,
        (contender, _) => bail!("{} has no such origin", contender.name()),
    }
}

/// Starts the node that takes HTTP clients, and says where it takes them.
pub(crate) async fn gateway(args: &GatewayArgs) -> Result<SocketAddr> {
    let listener = listen()?;
    let address = listener.local_addr()?;
    match args.contender {
        Contender::Direct | Contender::Bare => bail!("{} has no gateway", args.contender.name()),
        Contender::Raw => raw::gateway(listener, &args.origin).await?,
        Contender::Diy => diy::gateway(listener, &args.origin, false).await?,
        Contender::Pool => diy::gateway(listener, &args.origin, true).await?,
        Contender::Ours | Contender::OursEvents | Contender::OursTower => {
            ours::gateway(listener, &args.origin, &args.service).await?;
        }
    }
    Ok(address)
}

fn listen() -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    Ok(socket.listen(BACKLOG)?)
}

/// The name of the service with this number.
pub(crate) fn service(number: impl Display) -> String {
    format!("bench-{number}")
}
