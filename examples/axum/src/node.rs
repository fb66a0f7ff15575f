//! A libp2p node with the behaviour of the crate and nothing else.

use anyhow::Context as _;
use futures::StreamExt as _;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, swarm::SwarmEvent, tcp, yamux};
use libp2p_http_proxy::{Config, HttpProxyBehaviour};

pub(crate) fn new() -> anyhow::Result<Swarm<HttpProxyBehaviour>> {
    Ok(SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )?
        .with_behaviour(|key| {
            HttpProxyBehaviour::new(key.public().to_peer_id(), Config::default())
        })?
        .build())
}

/// Listens on a port that the system chooses. Returns the address.
pub(crate) async fn listen(swarm: &mut Swarm<HttpProxyBehaviour>) -> anyhow::Result<Multiaddr> {
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    loop {
        match swarm.next().await.context("a swarm does not end")? {
            SwarmEvent::NewListenAddr { address, .. } => return Ok(address),
            SwarmEvent::ListenerClosed { reason, .. } => reason?,
            _ => {}
        }
    }
}

/// Drives a swarm. The requests of clients and services do not pass here.
pub(crate) async fn run(mut swarm: Swarm<HttpProxyBehaviour>) {
    while let Some(_event) = swarm.next().await {}
}
