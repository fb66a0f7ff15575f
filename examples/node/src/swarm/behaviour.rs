//! What does the node do on its connections?

use std::{io, time::Duration};

use anyhow::{Context, Result};
use libp2p::{
    autonat,
    connection_limits::{self, ConnectionLimits},
    dcutr, identify,
    identity::Keypair,
    kad::{self, store::MemoryStore},
    mdns, ping, relay,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
    upnp,
};
use libp2p_http_proxy::HttpProxyBehaviour;

use super::settings::{Kad, RelayLimits, Role, Settings};

/// Handshakes at a time. Each costs public-key operations and memory before the peer has said who it is.
const MAX_PENDING_INCOMING: u32 = 128;

/// Visitors at a time. With some 100 KiB for an idle connection this is 100 MiB at worst, and below the usual 1,024
/// open files.
const MAX_ESTABLISHED_INCOMING: u32 = 900;

/// A peer needs one connection, and a second while both sides dial at once or a direct one replaces a relayed one.
const MAX_ESTABLISHED_PER_PEER: u32 = 8;

/// How long a search goes on. Longer than a request waits: what is found late is of use to the next one.
const SEARCH: Duration = Duration::from_secs(20);

/// How long a peer may leave a ping unanswered, and then a second one for ten seconds, before its connection counts as dead.
/// As long as a body may pause: a ping waits behind the large body that fills a slow line, which must not be cut for it.
const SILENCE: Duration = Duration::from_secs(60);

/// What the node does on its connections.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    /// First, as it refuses connections for all.
    limits: connection_limits::Behaviour,
    pub(super) identify: identify::Behaviour,
    /// Measures round trips, answers peers that do, and notices where a peer does not.
    ping: ping::Behaviour,
    pub(super) http: HttpProxyBehaviour,
    pub(super) kad: Toggle<kad::Behaviour<MemoryStore>>,
    /// Dials through relays, and listens through those that were named.
    relay_client: relay::client::Behaviour,
    relay_server: Toggle<relay::Behaviour>,
    hole_punching: Toggle<dcutr::Behaviour>,
    mdns: Toggle<mdns::tokio::Behaviour>,
    autonat_client: Toggle<autonat::v2::client::Behaviour>,
    autonat_server: Toggle<autonat::v2::server::Behaviour>,
    upnp: Toggle<upnp::tokio::Behaviour>,
}

impl Behaviour {
    /// # Errors
    ///
    /// Fails where mDNS is wanted and the system has no multicast.
    pub(super) fn new(
        keypair: &Keypair,
        relay_client: relay::client::Behaviour,
        settings: &Settings,
    ) -> Result<Self> {
        let peer = keypair.public().to_peer_id();
        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(MAX_PENDING_INCOMING))
            .with_max_established_incoming(Some(MAX_ESTABLISHED_INCOMING))
            .with_max_established_per_peer(Some(MAX_ESTABLISHED_PER_PEER));
        let http = settings
            .limits
            .config()
            .with_peer_lookup(settings.finds_peers());
        let identify = identify::Config::new("/p2p-http/1".to_owned(), keypair.public())
            .with_agent_version(concat!("p2p-http/", env!("CARGO_PKG_VERSION")).to_owned())
            // A reservation at a relay comes late, and others have to learn of it.
            .with_push_listen_addr_updates(true)
            // What peers say of themselves is not all to be dialled: see `Node::learn`.
            .with_cache_size(0);
        let mdns = if settings.mdns {
            Some(mdns(keypair).context("cannot use mDNS; leave out --mdns")?)
        } else {
            None
        };
        let relay_server = settings.relay_server.as_ref();
        Ok(Self {
            limits: connection_limits::Behaviour::new(limits),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new().with_timeout(SILENCE)),
            http: HttpProxyBehaviour::new(peer, http),
            kad: settings.kad.as_ref().map(|kad| table(keypair, kad)).into(),
            relay_client,
            relay_server: relay_server
                .map(|limits| relay::Behaviour::new(peer, relay_config(limits)))
                .into(),
            hole_punching: settings
                .hole_punching
                .then(|| dcutr::Behaviour::new(peer))
                .into(),
            mdns: mdns.into(),
            autonat_client: settings.autonat.then(Default::default).into(),
            autonat_server: settings.autonat.then(Default::default).into(),
            upnp: settings.upnp.then(upnp::tokio::Behaviour::default).into(),
        })
    }

    /// Whether peers of the local network make themselves known.
    pub(super) fn listens_for_announcements(&self) -> bool {
        self.mdns.is_enabled()
    }
}

fn mdns(keypair: &Keypair) -> io::Result<mdns::tokio::Behaviour> {
    mdns::tokio::Behaviour::new(mdns::Config::default(), keypair.public().to_peer_id())
}

/// A hash table that finds peers, and stores nothing for anybody.
fn table(keypair: &Keypair, settings: &Kad) -> kad::Behaviour<MemoryStore> {
    let peer = keypair.public().to_peer_id();
    let mut config = kad::Config::new(settings.protocol.clone());
    config
        .set_query_timeout(SEARCH)
        // Peers are entered by what they say of themselves, and not by where they happen to come from.
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None);
    let mut table = kad::Behaviour::with_config(peer, MemoryStore::new(peer), config);
    table.set_mode(Some(match settings.role {
        Role::Server => kad::Mode::Server,
        Role::Client => kad::Mode::Client,
    }));
    for known in &settings.bootstrap {
        table.add_address(&known.peer, known.address.clone());
    }
    table
}

fn relay_config(limits: &RelayLimits) -> relay::Config {
    relay::Config {
        max_reservations: limits.reservations,
        max_circuits: limits.circuits,
        max_circuit_bytes: limits.bytes,
        max_circuit_duration: limits.duration,
        ..relay::Config::default()
    }
}
