//! What do the nodes of all contenders have in common? TCP without delay, noise, yamux, and a connection that stays.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder,
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};

use crate::coalesce::Coalescing;

/// Whether frames are to leave together: see [`coalesce`](crate::coalesce).
static COALESCE: AtomicBool = AtomicBool::new(false);

/// Has the frames of all nodes of this process leave together.
pub(crate) fn coalesce() {
    COALESCE.store(true, Ordering::Relaxed);
}

/// A node that runs `behaviour`.
pub(crate) fn new<B: NetworkBehaviour>(
    streams: Option<usize>,
    behaviour: impl FnOnce(&Keypair) -> B,
) -> Result<Swarm<B>> {
    let coalesce = COALESCE.load(Ordering::Relaxed);
    let muxer = move || {
        let mut config = yamux::Config::default();
        if let Some(streams) = streams {
            config.set_max_num_streams(streams);
        }
        Coalescing {
            muxer: config,
            wanted: coalesce,
        }
    };
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            muxer,
        )?
        .with_behaviour(behaviour)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    Ok(swarm)
}

/// Opens a listener, and says where, with the peer id.
pub(crate) async fn listen<B: NetworkBehaviour>(swarm: &mut Swarm<B>) -> Result<Multiaddr> {
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
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
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => return Ok(peer_id),
            SwarmEvent::OutgoingConnectionError { error, .. } => {
                return Err(error).context("cannot connect to the origin");
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
