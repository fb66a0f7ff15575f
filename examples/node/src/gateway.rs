//! `p2p-http gateway`: how do local HTTP clients reach any service of any peer?

use std::{io, net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use libp2p_http_proxy::{Gateway, GatewayConfig};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use crate::{
    address::PeerAddress,
    args::{Common, GatewayArgs},
    own,
    run::operate,
    setup::{Attach, Listen, Port, Setup},
    shutdown::Tasks,
    swarm::{Node, Role},
};

/// Clients that have connected and were not accepted yet. Beyond it the kernel drops the first packet of a client, which
/// then tries again after a second; 128, the usual number, is too low for a page of many parts in several browsers.
const BACKLOG: u32 = 4096;

/// Runs the gateway until the process is asked to stop.
///
/// # Errors
///
/// Fails if the identity or the HTTP address cannot be used.
pub(crate) async fn run(args: GatewayArgs, common: &Common) -> Result<()> {
    let listeners = args.listeners;
    // Who offers services has to be found and reached.
    let (role, unasked) = if listeners.allow_listen {
        (Role::Server, Listen::Everywhere)
    } else {
        (Role::Client, Listen::default())
    };
    let attach = listeners.allow_listen.then(|| Attach {
        token: listeners.listen_token,
        allowed: (!listeners.allowed.is_empty()).then_some(listeners.allowed),
    });
    if let Some(Attach { allowed: None, .. }) = &attach {
        tracing::warn!(
            "any peer that reaches this node may use the services of programs that attach; `--allow PEER` names those who may"
        );
    }
    let setup = Setup {
        identity: common.identity.clone(),
        admin: args.admin.setup(),
        network: args.net.settings(role)?,
        listen: Listen::at(args.port.p2p_listen).unwrap_or(unasked),
        peers: args.peers,
        ports: vec![Port {
            listen: args.listen,
            only: None,
            rules: args
                .web
                .rules()
                .with_request_addresses(args.addresses.taken()),
            attach,
        }],
        ..Setup::default()
    };
    operate(setup, common).await
}

/// Tells the node where peers are.
pub(crate) fn know_peers(node: &mut Node, peers: Vec<PeerAddress>) {
    for PeerAddress { peer, address } in peers {
        node.http().add_peer_address(peer, address);
    }
}

/// A gateway that sends its requests through this node.
pub(crate) fn of_node(node: &mut Node, drain: Duration) -> Gateway {
    let (peer, status) = (node.peer(), node.status().clone());
    let config = GatewayConfig::default()
        .with_observer(node.observer())
        .with_drain_timeout(drain);
    let pages = own::pages(status, None);
    Gateway::new(node.http().client(), peer, config).with_own(pages)
}

/// Opens the port for HTTP clients, and says which it is.
///
/// # Errors
///
/// Fails if the address is taken or not one of this machine.
pub(crate) fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = listen(address).with_context(|| cannot_listen(address, "HTTP"))?;
    let address = listener
        .local_addr()
        .context("cannot find out the port for HTTP")?;
    warn_of_others(address);
    Ok((listener, address))
}

/// Says that a port was not opened.
pub(crate) fn cannot_listen(address: SocketAddr, purpose: &str) -> String {
    format!(
        "cannot listen on {address} for {purpose}; choose another address or port (0 lets the system choose)"
    )
}

/// Says who else uses a gateway that is not on this machine alone.
pub(crate) fn warn_of_others(address: SocketAddr) {
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "whoever reaches this address sends requests in the name of this node");
    }
}

/// Opens a port with room for many clients that come at the same time.
///
/// # Errors
///
/// Fails if the address is taken or not one of this machine.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_with(socket(address)?, address)
}

/// A socket for an address.
///
/// # Errors
///
/// Fails if the system has none of that kind.
pub(crate) fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // Elsewhere than on Windows this lets a restarted node have its port at once; there it would let others share it.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    Ok(socket)
}

/// As [`listen`], with a socket that was made for it.
///
/// # Errors
///
/// As [`listen`].
pub(crate) fn listen_with(socket: TcpSocket, address: SocketAddr) -> io::Result<TcpListener> {
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves HTTP clients in a task of its own, so that they do not wait for the swarm.
pub(crate) fn spawn(
    tasks: &mut Tasks,
    gateway: Gateway,
    listener: TcpListener,
    shutdown: &CancellationToken,
) {
    let asked = shutdown.clone().cancelled_owned();
    tasks.spawn(async move {
        gateway
            .serve(listener, asked)
            .await
            .context("cannot accept HTTP clients any more")
    });
}
