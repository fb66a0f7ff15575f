//! Which peers does the node stay in touch with? Those through which it is found, and those that relay to it.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use libp2p::{
    PeerId, Swarm,
    core::transport::ListenerId,
    multiaddr::Protocol,
    swarm::dial_opts::{DialOpts, PeerCondition},
};

use super::{
    behaviour::Behaviour,
    settings::{Role, Settings},
};
use crate::address::PeerAddress;

/// How often the contacts are looked after. One that was restarted knows nothing of this node until then.
const INTERVAL: Duration = Duration::from_secs(15);

/// How soon after the loss of a contact. It may be back at once, or take its time to start.
const LOST: Duration = Duration::from_secs(2);

/// The peers that were named, and when to look after them.
#[derive(Debug)]
pub(super) struct Contacts {
    /// Others find this node through these.
    bootstrap: Vec<PeerAddress>,
    /// Whether others are to find this node at all.
    is_found: bool,
    relays: Vec<Relay>,
    /// Those that did not answer last time, of which the log is told once.
    silent: HashSet<PeerId>,
    next: Option<Instant>,
}

#[derive(Debug)]
struct Relay {
    at: PeerAddress,
    listener: Option<ListenerId>,
    /// Whether an attempt has failed.
    failed: bool,
}

impl Relay {
    fn new(at: PeerAddress) -> Self {
        Self {
            at,
            listener: None,
            failed: false,
        }
    }

    fn reserve(&mut self, swarm: &mut Swarm<Behaviour>) -> Option<ListenerId> {
        let PeerAddress { peer, address } = &self.at;
        let through = address
            .clone()
            .with(Protocol::P2p(*peer))
            .with(Protocol::P2pCircuit);
        match swarm.listen_on(through) {
            Ok(listener) => {
                self.listener = Some(listener);
                Some(listener)
            }
            Err(error) => {
                tracing::warn!(%address, %error, "cannot listen through a relay");
                self.failed = true;
                None
            }
        }
    }
}

impl Contacts {
    pub(super) fn new(settings: &Settings) -> Self {
        let kad = settings.kad.as_ref();
        let relays = settings.relays.iter().cloned();
        Self {
            bootstrap: kad.map(|kad| kad.bootstrap.clone()).unwrap_or_default(),
            is_found: kad.is_some_and(|kad| kad.role == Role::Server),
            relays: relays.map(Relay::new).collect(),
            silent: HashSet::new(),
            next: None,
        }
    }

    pub(super) fn includes(&self, peer: &PeerId) -> bool {
        let relays = self.relays.iter().map(|relay| &relay.at);
        let mut all = self.bootstrap.iter().chain(relays);
        all.any(|contact| contact.peer == *peer)
    }

    /// Whether others are to find this node.
    pub(super) fn is_found(&self) -> bool {
        self.is_found
    }

    /// The last connection to a peer has ended.
    pub(super) fn disconnected(&mut self, peer: &PeerId, now: Instant) {
        if self.includes(peer) {
            let soon = now + LOST;
            self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
        }
    }

    /// Whether a relay is still to answer for the first time.
    pub(super) fn is_waiting(&self) -> bool {
        let mut relays = self.relays.iter();
        relays.any(|relay| relay.listener.is_none() && !relay.failed)
    }

    /// A peer could not be dialled. Returns whether that is new of a contact, and nothing of other peers.
    pub(super) fn dial_failed(&mut self, peer: &PeerId) -> Option<bool> {
        let relays = self.relays.iter_mut();
        for relay in relays.filter(|relay| relay.at.peer == *peer) {
            relay.failed = true;
        }
        self.includes(peer).then(|| self.silent.insert(*peer))
    }

    /// There is a connection to a peer: a relay is asked to listen. Returns the listeners that were opened for it.
    pub(super) fn connected(
        &mut self,
        swarm: &mut Swarm<Behaviour>,
        peer: &PeerId,
    ) -> Vec<ListenerId> {
        self.silent.remove(peer);
        let unasked = |relay: &&mut Relay| relay.at.peer == *peer && relay.listener.is_none();
        let relays = self.relays.iter_mut().filter(unasked);
        relays.filter_map(|relay| relay.reserve(swarm)).collect()
    }

    /// Gets in touch with those that are due. Returns the listeners that were opened for it.
    pub(super) fn keep(&mut self, swarm: &mut Swarm<Behaviour>, now: Instant) -> Vec<ListenerId> {
        if self.next.is_some_and(|next| now < next) {
            return Vec::new();
        }
        self.next = Some(now + INTERVAL);
        if self.is_found {
            self.bootstrap
                .iter()
                .for_each(|contact| call(swarm, contact));
        }
        let without = self
            .relays
            .iter_mut()
            .filter(|relay| relay.listener.is_none());
        without
            .filter_map(|relay| {
                if swarm.is_connected(&relay.at.peer) {
                    return relay.reserve(swarm);
                }
                // Not by listening, which fails at once if somebody else is dialling the relay already.
                call(swarm, &relay.at);
                None
            })
            .collect()
    }

    /// A listener has closed; whether it was one at a relay.
    pub(super) fn listener_closed(&mut self, listener: ListenerId) -> bool {
        let closed = self
            .relays
            .iter_mut()
            .find(|relay| relay.listener == Some(listener));
        let is_relay = closed.is_some();
        if let Some(relay) = closed {
            relay.listener = None;
            relay.failed = true;
        }
        is_relay
    }
}

/// Connects to a peer, unless there is a connection. Its end says what this node is, which is how it gets to be known.
fn call(swarm: &mut Swarm<Behaviour>, contact: &PeerAddress) {
    let opts = DialOpts::peer_id(contact.peer)
        .addresses(vec![contact.address.clone()])
        .condition(PeerCondition::DisconnectedAndNotDialing)
        .build();
    // Fails where there is nothing to do, or the address has no transport, which the log of the swarm tells.
    if let Err(error) = swarm.dial(opts) {
        tracing::trace!(peer = %contact.peer, %error, "did not dial");
    }
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::{super::build, *};

    // The swarm has transports that need the runtime.
    #[tokio::test]
    async fn a_contact_that_does_not_answer_is_news_until_it_was_there_again() {
        let [peer, other] = [PeerId::random(), PeerId::random()];
        let address = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let settings = Settings {
            relays: vec![PeerAddress { peer, address }],
            ..Settings::default()
        };
        let mut contacts = Contacts::new(&settings);
        assert_eq!(contacts.dial_failed(&other), None);
        assert_eq!(contacts.dial_failed(&peer), Some(true));
        assert_eq!(contacts.dial_failed(&peer), Some(false));
        let mut swarm = build::swarm(Keypair::generate_ed25519(), &settings).unwrap();
        contacts.connected(&mut swarm, &peer);
        assert_eq!(contacts.dial_failed(&peer), Some(true));
    }
}
