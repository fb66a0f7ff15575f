//! What of the network is told to those who look at the node?

use libp2p::{Multiaddr, multiaddr::Protocol, ping, swarm::SwarmEvent};

use super::{Node, behaviour::BehaviourEvent, reach::Reach};
use crate::status::{Address, AddressKind, Link};

/// Addresses that are shown. Peers have the node believe in some, and nobody reads more.
const SHOWN: usize = 32;

impl Node {
    /// Tells what an event changes.
    pub(super) fn tell(&self, event: &SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                let link = Link::new(endpoint);
                self.status
                    .peers(|peers| peers.connected(*peer_id, *connection_id, link));
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                ..
            } => self
                .status
                .peers(|peers| peers.disconnected(*peer_id, *connection_id)),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Ok(time),
            })) => self
                .status
                .peers(|peers| peers.measured(*peer, *connection, *time)),
            SwarmEvent::NewListenAddr { .. }
            | SwarmEvent::ExpiredListenAddr { .. }
            | SwarmEvent::ListenerClosed { .. }
            | SwarmEvent::ExternalAddrConfirmed { .. }
            | SwarmEvent::ExternalAddrExpired { .. } => self.tell_addresses(),
            _ => {}
        }
    }

    /// Tells where this node is, the addresses that reach furthest first.
    pub(super) fn tell_addresses(&self) {
        let peer = self.peer();
        let external = self.swarm.external_addresses();
        let mut all: Vec<_> = external
            .chain(self.swarm.listeners())
            .map(|address| Address::new(address, peer, kind(address)))
            .collect();
        all.sort_by(|one, other| (one.kind, &one.address).cmp(&(other.kind, &other.address)));
        all.dedup();
        all.truncate(SHOWN);
        self.status.set_addresses(all);
    }
}

fn kind(address: &Multiaddr) -> AddressKind {
    if address.iter().any(|part| part == Protocol::P2pCircuit) {
        return AddressKind::Relay;
    }
    match Reach::of(address) {
        Reach::Machine => AddressKind::Machine,
        Reach::Network => AddressKind::Network,
        Reach::World => AddressKind::World,
    }
}
