//! `p2p-http gateway`: how do local HTTP clients reach any service of any peer?

use std::{io, net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use libp2p::Multiaddr;
use libp2p_http_proxy::{ForwardConfig, Gateway, GatewayConfig};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    address::PeerAddress,
    args::{Common, GatewayArgs, ListenArgs, WebArgs},
    identity,
    listen::{self, Site, Token},
    output::{self, Fact},
    shutdown::{self, Tasks},
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
    let shutdown = shutdown::on_signal()?;
    let allow_listen = args.listeners.allow_listen;
    let role = if allow_listen {
        Role::Server
    } else {
        Role::Client
    };
    let settings = args.net.settings(role)?;
    let mut node = Node::new(identity::obtain(common.identity.as_deref())?, &settings)?;
    know_peers(&mut node, args.peers);
    let token = args.listeners.listen_token.as_deref();
    let token = token.map(Token::load).transpose()?;
    let (listener, address) = bind(args.listen)?;
    let mut gateway = of_node(&mut node, common.drain, &args.web);
    let mut tasks = Tasks::new();
    if allow_listen {
        let site = services(&mut node, &mut tasks, &args.listeners, &shutdown, common);
        gateway = gateway.with_own(listen::page(site, token));
    }
    spawn(&mut tasks, gateway, listener, &shutdown);
    if allow_listen {
        node.listen_where(&args.port.p2p_listen).await?;
        node.join(&shutdown).await?;
    } else {
        meet_peers(&mut node, &args.port.p2p_listen, &shutdown).await?;
    }
    output::print(&Fact::Gateway(address));
    output::print(&Fact::Ready);
    node.run_until(shutdown::finish(tasks, &shutdown, common.drain))
        .await??;
    node.close().await;
    Ok(())
}

/// What the services of local programs need, whose last exchanges are waited for.
fn services(
    node: &mut Node,
    tasks: &mut Tasks,
    args: &ListenArgs,
    shutdown: &CancellationToken,
    common: &Common,
) -> Site {
    if args.allowed.is_empty() {
        tracing::warn!(
            "any peer that reaches this node may use the services of its listeners; `--allow PEER` names those who may"
        );
    }
    let running = TaskTracker::new();
    let (asked, all) = (shutdown.clone(), running.clone());
    tasks.spawn(async move {
        asked.cancelled().await;
        all.close();
        all.wait().await;
        Ok(())
    });
    let mut config = ForwardConfig::default().with_drain_timeout(common.drain);
    if !args.allowed.is_empty() {
        config = config.with_allowed_peers(args.allowed.iter().copied());
    }
    Site {
        peer: node.peer(),
        offers: node.offers(),
        config,
        shutdown: shutdown.clone(),
        tasks: running,
    }
}

/// Tells the node where peers are.
pub(crate) fn know_peers(node: &mut Node, peers: Vec<PeerAddress>) {
    for PeerAddress { peer, address } in peers {
        node.http().add_peer_address(peer, address);
    }
}

/// Listens for peers where that was asked for, and gets in touch with the network.
///
/// # Errors
///
/// Fails if an address cannot be used.
pub(crate) async fn meet_peers(
    node: &mut Node,
    listen: &[Multiaddr],
    shutdown: &CancellationToken,
) -> Result<()> {
    for address in listen {
        node.listen(address)?;
    }
    node.listening().await?;
    node.join(shutdown).await
}

/// A gateway that sends its requests through this node.
pub(crate) fn of_node(node: &mut Node, drain: Duration, web: &WebArgs) -> Gateway {
    let peer = node.peer();
    let config = web.apply(GatewayConfig::default().with_drain_timeout(drain));
    Gateway::new(node.http().client(), peer, config)
}

/// Opens the port for HTTP clients, and says which it is.
///
/// # Errors
///
/// Fails if the address is taken or not one of this machine.
pub(crate) fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = listen(address).with_context(|| {
        format!("cannot listen on {address} for HTTP; choose another with --listen (port 0 lets the system choose)")
    })?;
    let address = listener
        .local_addr()
        .context("cannot find out the port for HTTP")?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "whoever reaches this address sends requests in the name of this node");
    }
    Ok((listener, address))
}

/// Opens a port with room for many clients that come at the same time.
///
/// # Errors
///
/// Fails if the address is taken or not one of this machine.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // Elsewhere than on Windows this lets a restarted node have its port at once; there it would let others share it.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
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
