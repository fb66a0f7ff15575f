//! What do the nodes of all contenders have in common? TCP without delay or memory, and a connection that stays.

use std::{sync::OnceLock, time::Duration};

use anyhow::{Context, Result};
use futures::{AsyncRead, AsyncWrite, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, MemoryTransport},
        upgrade::Version,
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    swarm::{Config, NetworkBehaviour, SwarmEvent},
    tcp, tls, yamux,
};
use libp2p_http_proxy::{Coalescing, Driven, Optimistic, Tls};

use crate::args::{Connection, NodeArgs};

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
    let key = Keypair::generate_ed25519();
    let tcp = tcp::Config::default().nodelay(true);
    let transport = match transport {
        Transport::Tcp => connections(tcp::tokio::Transport::new(tcp), &key)?,
        Transport::Memory => connections(MemoryTransport::default(), &key)?,
    };
    let config = Config::with_tokio_executor().with_idle_connection_timeout(STAY);
    let id = key.public().to_peer_id();
    Ok(Swarm::new(transport, behaviour(&key), id, config))
}

/// Connections as they are to be in this process.
fn connections<T, C>(transport: T, key: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>>
where
    T: libp2p::Transport<Output = C, ListenerUpgrade: Send, Dial: Send, Error: Send + Sync>
        + Send
        + Unpin
        + 'static,
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let args = NODE.get().context("nothing is set for nodes")?;
    let mut yamux = yamux::Config::default();
    if let Some(streams) = args.streams {
        yamux.set_max_num_streams(streams);
    }
    let ours = Optimistic::new(Coalescing::new(yamux.clone()));
    let ours = Driven::new(ours, |task| drop(tokio::spawn(task)));
    let upgrade = transport.upgrade(Version::V1Lazy);
    Ok(match args.connection {
        Connection::Libp2p => {
            let encrypted = upgrade.authenticate(noise::Config::new(key)?);
            encrypted.multiplex(yamux).boxed()
        }
        Connection::Libp2pTls => {
            let encrypted = upgrade.authenticate(tls::Config::new(key)?);
            encrypted.multiplex(yamux).boxed()
        }
        Connection::Coalescing => {
            let encrypted = upgrade.authenticate(noise::Config::new(key)?);
            encrypted.multiplex(ours).boxed()
        }
        Connection::Ours => {
            let encrypted = upgrade.authenticate(Tls::new(key)?);
            encrypted.multiplex(ours).boxed()
        }
    })
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
