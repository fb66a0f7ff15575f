//! How many inbound streams a peer, and all peers together, may hold.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use libp2p_identity::PeerId;

use crate::config::Config;

/// Counts the inbound streams of all connections.
#[derive(Default)]
pub(crate) struct Admission(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    all: usize,
    peers: HashMap<PeerId, usize>,
}

impl Admission {
    /// Admits one more stream of `peer`, until the permit is dropped. `None` where a limit is reached.
    pub(crate) fn admit(self: &Arc<Self>, peer: PeerId, config: &Config) -> Option<Permit> {
        let mut counts = self.lock();
        let of_peer = counts.peers.get(&peer).copied().unwrap_or(0);
        if counts.all >= config.max_inbound_streams()
            || of_peer >= config.max_inbound_streams_per_peer()
        {
            return None;
        }
        counts.all += 1;
        counts.peers.insert(peer, of_peer + 1);
        Some(Permit {
            admission: Arc::clone(self),
            peer,
        })
    }

    /// The streams that are admitted now.
    pub(crate) fn count(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to hold one inbound stream.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    peer: PeerId,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.lock();
        counts.all -= 1;
        if let Some(of_peer) = counts.peers.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                counts.peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_and_dropping_a_permit_frees_its_place() {
        let config = Config::default()
            .with_max_inbound_streams(3)
            .with_max_inbound_streams_per_peer(2);
        let admission = Arc::new(Admission::default());
        let (a, b) = (PeerId::random(), PeerId::random());

        let first = admission.admit(a, &config).expect("room for all");
        let _second = admission.admit(a, &config).expect("room for the peer");
        assert!(admission.admit(a, &config).is_none(), "limit of the peer");
        let _third = admission.admit(b, &config).expect("room for another peer");
        assert!(admission.admit(b, &config).is_none(), "limit of all");

        drop(first);
        assert!(admission.admit(b, &config).is_some());
    }
}
