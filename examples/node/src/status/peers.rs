//! Which peers is the node connected to, and how?

use std::{collections::HashMap, time::Duration};

use libp2p::{PeerId, core::ConnectedPoint, swarm::ConnectionId};
use serde::Serialize;

use super::{ADDRESS, as_text, now, text};

/// Peers that are shown. There may be as many as there is room for connections, and nobody reads that many.
const SHOWN: usize = 200;

/// The peers with their connections.
#[derive(Debug, Default)]
pub(crate) struct Peers(HashMap<PeerId, Vec<(ConnectionId, Link)>>);

/// One connection.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Link {
    /// Where the peer is. Nothing but the relay is known of one that came through it.
    address: String,
    relayed: bool,
    /// Whether this node dialled.
    outbound: bool,
    since: u64,
    /// In microseconds, once it was measured.
    round_trip: Option<u64>,
}

/// The first of the peers, as they came.
#[derive(Debug, Serialize)]
pub(crate) struct PeersShown {
    list: Vec<PeerShown>,
    /// All of them.
    count: usize,
}

#[derive(Debug, Serialize)]
struct PeerShown {
    #[serde(serialize_with = "as_text")]
    peer: PeerId,
    since: u64,
    links: Vec<Link>,
}

impl Link {
    pub(crate) fn new(endpoint: &ConnectedPoint) -> Self {
        Self {
            address: text::shown(&endpoint.get_remote_address().to_string(), ADDRESS),
            relayed: endpoint.is_relayed(),
            outbound: endpoint.is_dialer(),
            since: now(),
            round_trip: None,
        }
    }
}

impl Peers {
    pub(crate) fn connected(&mut self, peer: PeerId, connection: ConnectionId, link: Link) {
        self.0.entry(peer).or_default().push((connection, link));
    }

    pub(crate) fn disconnected(&mut self, peer: PeerId, connection: ConnectionId) {
        if let Some(links) = self.0.get_mut(&peer) {
            links.retain(|(known, _)| *known != connection);
            if links.is_empty() {
                self.0.remove(&peer);
            }
        }
    }

    pub(crate) fn measured(&mut self, peer: PeerId, connection: ConnectionId, time: Duration) {
        let links = self.0.get_mut(&peer).into_iter().flatten();
        for (_, link) in links.filter(|(known, _)| *known == connection) {
            link.round_trip = Some(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn shown(&self) -> PeersShown {
        let mut list: Vec<_> = self
            .0
            .iter()
            .map(|(peer, links)| {
                let since = links.iter().map(|(_, link)| link.since).min();
                (since.unwrap_or_default(), *peer, links)
            })
            .collect();
        list.sort_unstable_by_key(|(since, peer, _)| (*since, *peer));
        let shown = list.into_iter().take(SHOWN);
        PeersShown {
            list: shown
                .map(|(since, peer, links)| PeerShown {
                    peer,
                    since,
                    links: links.iter().map(|(_, link)| link.clone()).collect(),
                })
                .collect(),
            count: self.0.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::core::{Endpoint, transport::PortUse};

    use super::*;

    fn dialled(address: &str) -> Link {
        Link::new(&ConnectedPoint::Dialer {
            address: address.parse().unwrap(),
            role_override: Endpoint::Dialer,
            port_use: PortUse::Reuse,
        })
    }

    #[test]
    fn connections_come_and_go_and_are_measured() {
        let mut peers = Peers::default();
        let (peer, relay) = (PeerId::random(), PeerId::random());
        let [direct, relayed] = [1, 2].map(ConnectionId::new_unchecked);
        let odd = "/dns/a\u{202e}b/tcp/1";
        assert_eq!(dialled(odd).address, r"/dns/a\u{202e}b/tcp/1");
        let through = format!("/ip4/192.0.2.1/tcp/1/p2p/{relay}/p2p-circuit/p2p/{peer}");
        peers.connected(peer, relayed, dialled(&through));
        peers.connected(peer, direct, dialled("/ip4/192.0.2.2/tcp/1"));
        peers.measured(peer, direct, Duration::from_millis(12));
        // Too late, and for nobody.
        peers.measured(relay, direct, Duration::from_secs(1));

        let shown = peers.shown();
        assert_eq!((shown.count, shown.list.len()), (1, 1));
        let links = &shown.list[0].links;
        assert_eq!(shown.list[0].peer, peer);
        assert!(links[0].relayed && !links[1].relayed);
        assert_eq!(links[0].round_trip, None);
        assert_eq!(links[1].round_trip, Some(12_000));

        peers.disconnected(peer, relayed);
        assert_eq!(peers.shown().list[0].links.len(), 1);
        peers.disconnected(peer, direct);
        assert_eq!(peers.shown().count, 0);
    }

    #[test]
    fn the_list_is_bounded_and_says_so() {
        let mut peers = Peers::default();
        for _ in 0..SHOWN + 1 {
            let connection = ConnectionId::new_unchecked(1);
            peers.connected(PeerId::random(), connection, dialled("/memory/1"));
        }
        let shown = peers.shown();
        assert_eq!((shown.list.len(), shown.count), (SHOWN, SHOWN + 1));
    }
}
