//! What do the nodes of all contenders have in common? TCP without delay or memory, noise, yamux, and a connection that
//! stays.

use std::{sync::OnceLock, time::Duration};

use anyhow::{Context, Result};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport as _,
    core::{transport::MemoryTransport, upgrade::Version},
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    swarm::{Config, NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use libp2p_http_proxy::Coalescing;

use crate::args::NodeArgs;

/// How long a connection without streams stays: as long as any case takes.
const STAY: Duration = Duration::from_secs(3600);

/// What is set for all nodes of this process.
static NODE: OnceLock<NodeArgs> = OnceLock::new();

/// Sets what all nodes of this process are to be.
pub(crate) fn set(args: NodeArgs) {
    // Each process plays one part, and sets it once.
    let _ = NODE.set(args);
}

/// What a node listens on and dials over.
#[derive(Clone, Copy)]
pub(crate) enum Transport {
    Tcp,
    /// Within this process.
    Memory,
}

/// A node that runs `behaviour`.
pub(crate) fn new<B: NetworkBehaviour>(
    transport: Transport,
    behaviour: impl FnOnce(&Keypair) -> B,
) -> Result<Swarm<B>> {
    let args = NODE.get().copied().unwrap_or_default();
    let mut muxer = yamux::Config::default();
    if let Some(streams) = args.streams {
        muxer.set_max_num_streams(streams);
    }
    let key = Keypair::generate_ed25519();
    let noise = noise::Config::new(&key)?;
    let tcp = |noise| {
        tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
            .upgrade(Version::V1Lazy)
            .authenticate(noise)
    };
    let memory = |noise| {
        MemoryTransport::default()
            .upgrade(Version::V1Lazy)
            .authenticate(noise)
    };
    let transport = match (transport, args.coalesce) {
        (Transport::Tcp, true) => tcp(noise).multiplex(Coalescing::new(muxer)).boxed(),
        (Transport::Tcp, false) => tcp(noise).multiplex(muxer).boxed(),
        (Transport::Memory, true) => memory(noise).multiplex(Coalescing::new(muxer)).boxed(),
        (Transport::Memory, false) => memory(noise).multiplex(muxer).boxed(),
    };
    let config = Config::with_tokio_executor().with_idle_connection_timeout(STAY);
    let id = key.public().to_peer_id();
    Ok(Swarm::new(transport, behaviour(&key), id, config))
}

/// Opens a listener, and says where, with the peer id.
pub(crate) async fn listen<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    transport: Transport,
) -> Result<Multiaddr> {
    let address = match transport {
        Transport::Tcp => "/ip4/127.0.0.1/tcp/0",
        Transport::Memory => "/memory/0",
    };
    swarm.listen_on(address.parse()?)?;
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return Ok(address.with(Protocol::P2p(*swarm.local_peer_id())));
        }
    }
}

/// Connects to a node, so that no contender pays for it in its first request.
pub(crate) async fn connect<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    address: &Multiaddr,
) -> Result<PeerId> {
    swarm.dial(address.clone())?;
    connected(swarm).await
}

/// Waits for a connection.
pub(crate) async fn connected<B: NetworkBehaviour>(swarm: &mut Swarm<B>) -> Result<PeerId> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => return Ok(peer_id),
            SwarmEvent::OutgoingConnectionError { error, .. } => {
                return Err(error).context("cannot connect");
            }
            _ => {}
        }
    }
}

/// Runs a node in a task of its own.
pub(crate) fn run<B: NetworkBehaviour>(swarm: Swarm<B>)
where
    Swarm<B>: Send + 'static,
    B::ToSwarm: Send,
{
    run_with(swarm, |_, _| {});
}

/// The same, and tells `on_event` what the behaviour says.
pub(crate) fn run_with<B: NetworkBehaviour>(
    mut swarm: Swarm<B>,
    mut on_event: impl FnMut(&mut B, B::ToSwarm) + Send + 'static,
) where
    Swarm<B>: Send + 'static,
    B::ToSwarm: Send,
{
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(event) = swarm.select_next_some().await {
                on_event(swarm.behaviour_mut(), event);
            }
        }
    });
}
