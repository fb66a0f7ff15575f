//! Which relay does an address lead through, and how much does that carry?

use std::collections::HashMap;

use libp2p_core::{Multiaddr, multiaddr::Protocol as Part};
use libp2p_identity::PeerId;

/// Relays whose limits are remembered. A node uses a handful; one that has used this many begins anew.
const MAX_RELAYS: usize = 1024;

/// The limits that relays have told.
#[derive(Debug, Default)]
pub(crate) struct RelayLimits(HashMap<PeerId, u64>);

impl RelayLimits {
    pub(crate) fn set(&mut self, relay: PeerId, bytes: Option<u64>) {
        let Some(bytes) = bytes else {
            self.0.remove(&relay);
            return;
        };
        if self.0.len() >= MAX_RELAYS && !self.0.contains_key(&relay) {
            self.0.clear();
        }
        self.0.insert(relay, bytes);
    }

    /// The limit of the relay through which an address leads.
    pub(crate) fn on(&self, address: &Multiaddr) -> Option<u64> {
        self.0.get(&relay_of(address)?).copied()
    }
}

/// The relay through which an address leads.
pub(crate) fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    let mut relay = None;
    for part in address {
        match part {
            Part::P2p(peer) => relay = Some(peer),
            Part::P2pCircuit => return relay,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_the_relay_on_the_way() {
        let (relay, peer) = (PeerId::random(), PeerId::random());
        let at = |text: String| text.parse::<Multiaddr>().expect("is an address");
        let through = at(format!(
            "/ip4/127.0.0.1/tcp/1/p2p/{relay}/p2p-circuit/p2p/{peer}"
        ));
        let mut limits = RelayLimits::default();
        assert_eq!(limits.on(&through), None);
        limits.set(relay, Some(7));
        limits.set(peer, Some(8));
        assert_eq!(limits.on(&through), Some(7));
        assert_eq!(
            limits.on(&at(format!("/ip4/127.0.0.1/tcp/1/p2p/{relay}"))),
            None
        );
        assert_eq!(limits.on(&at(format!("/p2p-circuit/p2p/{peer}"))), None);
        limits.set(relay, None);
        assert_eq!(limits.on(&through), None);
    }

    #[test]
    fn the_number_of_relays_is_bounded() {
        let mut limits = RelayLimits::default();
        for _ in 0..=MAX_RELAYS {
            limits.set(PeerId::random(), Some(1));
        }
        assert_eq!(limits.0.len(), 1);
    }
}
