//! Which transports carry the node's connections?

use std::{error::Error, time::Duration};

use anyhow::{Context, Result};
use libp2p::{
    PeerId, Swarm, SwarmBuilder, Transport,
    core::{muxing::StreamMuxerBox, transport::Boxed, upgrade::Version},
    identity::Keypair,
    noise,
    pnet::{PnetConfig, PreSharedKey},
    relay, tcp, yamux,
};
use libp2p_http_proxy::{Coalescing, Driven, Optimistic, Tls};

use super::{behaviour::Behaviour, settings::Settings};

/// How long a connection without exchanges stays. Above the 60 s that its pooled streams live, and above the pause between
/// two clicks of somebody who reads, so that the next click costs no handshake; short enough that a node with many visitors
/// forgets them.
const IDLE: Duration = Duration::from_secs(120);

/// What the phases of the builder have in common once the transports differ no more.
macro_rules! finish {
    ($builder:expr, $settings:expr) => {
        $builder
            .with_dns()
            .context("cannot read the DNS configuration of this system (/etc/resolv.conf)")?
            .with_relay_client((Tls::new, noise::Config::new), multiplexer)
            .context("cannot set up encryption for relayed connections")?
            .with_behaviour(|keypair, relay| behaviour(keypair, relay, $settings))
            .map_err(|error| anyhow::anyhow!("cannot set up the protocols: {error}"))?
            .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
            .build()
    };
}

/// TCP, QUIC and relays; TCP and relays where a key keeps others out, as QUIC has no place for it.
///
/// # Errors
///
/// Fails if the transports or protocols cannot be set up.
pub(super) fn swarm(keypair: Keypair, settings: &Settings) -> Result<Swarm<Behaviour>> {
    let builder = SwarmBuilder::with_existing_identity(keypair).with_tokio();
    let Some(key) = settings.swarm_key else {
        let builder = builder
            .with_tcp(tcp_config(), (Tls::new, noise::Config::new), multiplexer)
            .context("cannot set up encryption for this identity")?
            .with_quic();
        return Ok(finish!(builder, settings));
    };
    let builder = builder
        .with_other_transport(|keypair| private_tcp(keypair, key))
        .context("cannot set up encryption for this identity")?;
    Ok(finish!(builder, settings))
}

fn tcp_config() -> tcp::Config {
    tcp::Config::default().nodelay(true)
}

/// yamux keeps 256 KiB of a connection's 1 GiB for each stream that there may be, and lets windows grow by what is left:
/// where a round trip takes long, on a busy machine for example, by as much as is sent meanwhile. So many streams leave
/// 4 MiB, the most that bodies can then have waiting in memory beyond that. Other limits refuse streams long before.
const STREAMS: usize = 4096 - 16;

/// A gateway has many small exchanges at once on one connection, which the many protocols of this node need not hear of.
fn multiplexer() -> Driven<Optimistic<Coalescing<yamux::Config>>> {
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(STREAMS);
    let muxer = Optimistic::new(Coalescing::new(yamux));
    Driven::new(muxer, |task| drop(tokio::spawn(task)))
}

fn behaviour(
    keypair: &Keypair,
    relay: relay::client::Behaviour,
    settings: &Settings,
) -> Result<Behaviour, Box<dyn Error + Send + Sync>> {
    Ok(Behaviour::new(keypair, relay, settings)?)
}

/// Without TLS, which would gain nothing: everything is encrypted once more, by XSalsa20.
fn private_tcp(
    keypair: &Keypair,
    key: PreSharedKey,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, Box<dyn Error + Send + Sync>> {
    let encryption = noise::Config::new(keypair)?;
    let transport = tcp::tokio::Transport::new(tcp_config())
        .and_then(move |socket, _| PnetConfig::new(key).handshake(socket))
        .upgrade(Version::V1Lazy)
        .authenticate(encryption)
        .multiplex(multiplexer())
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
        .boxed();
    Ok(transport)
}
