//! Which ways of finding and reaching peers does the node use?

use std::time::Duration;

use libp2p::{Multiaddr, StreamProtocol, pnet::PreSharedKey};

use crate::{address::PeerAddress, config::Limits};

/// What the node does besides dialling the addresses that it is told. By default nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) kad: Option<Kad>,
    /// Relays that are to pass connections on to this node.
    pub(crate) relays: Vec<PeerAddress>,
    pub(crate) relay_server: Option<RelayLimits>,
    pub(crate) hole_punching: bool,
    pub(crate) mdns: bool,
    pub(crate) autonat: bool,
    pub(crate) upnp: bool,
    /// Where this node is reached from outside, as far as its operator knows.
    pub(crate) external: Vec<Multiaddr>,
    /// Only nodes with the same key are talked to.
    pub(crate) swarm_key: Option<PreSharedKey>,
}

/// How the node takes part in a distributed hash table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kad {
    pub(crate) protocol: StreamProtocol,
    /// Peers through which all others are found.
    pub(crate) bootstrap: Vec<PeerAddress>,
    pub(crate) role: Role,
}

/// What a node is in the hash table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It answers the questions of others, and so is one that others find.
    Server,
    /// It only asks.
    Client,
}

/// What a relay gives to each circuit, and to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelayLimits {
    pub(crate) reservations: usize,
    pub(crate) circuits: usize,
    /// In both directions together; 0 is no limit.
    pub(crate) bytes: u64,
    pub(crate) duration: Duration,
}

impl RelayLimits {
    /// What a relay gives that was told nothing else.
    pub(crate) const DEFAULT: Self = Self {
        reservations: 128,
        circuits: 16,
        bytes: 128 * 1024,
        duration: Duration::from_secs(Self::DEFAULT_SECONDS as u64),
    };

    pub(crate) const DEFAULT_SECONDS: u32 = 120;

    /// A day. A relay tells peers the duration in 32 bits, and breaks down where that is not enough.
    pub(crate) const MOST_SECONDS: u32 = 86_400;
}

impl Settings {
    /// Whether a peer may be found whose address nobody has told.
    pub(crate) fn finds_peers(&self) -> bool {
        self.kad.is_some() || self.mdns
    }

    /// The same ways to find and reach peers, for a node that is of no use to others.
    pub(crate) fn for_looking(&self) -> Self {
        let asking = |kad: Kad| Kad {
            role: Role::Client,
            ..kad
        };
        Self {
            limits: self.limits.clone(),
            kad: self.kad.clone().map(asking),
            mdns: self.mdns,
            swarm_key: self.swarm_key,
            ..Self::default()
        }
    }

    /// Whether anything has to be done from time to time.
    pub(crate) fn has_chores(&self) -> bool {
        self.finds_peers() || !self.relays.is_empty()
    }
}
