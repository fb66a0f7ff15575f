//! Where is a peer that requests wait for? Kademlia and mDNS are asked.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use libp2p::{
    Multiaddr, PeerId,
    kad::{GetClosestPeersError, GetClosestPeersOk, GetClosestPeersResult, PeerInfo, QueryId},
};

use super::behaviour::Behaviour;

/// Searches at a time. Each asks some twenty peers, and holds what they answered.
const MAX_SEARCHES: usize = 64;

/// How long a peer of the local network may take to make itself known. Announcements come at once, the answers to the
/// first question of this node within a second.
const ANNOUNCED: Duration = Duration::from_secs(3);

/// The searches of the node. What they find is dialled by the behaviours that find it; what remains to be done is to say
/// when nothing more will come.
#[derive(Debug, Default)]
pub(super) struct Finder {
    searches: HashMap<PeerId, Search>,
}

#[derive(Debug)]
struct Search {
    query: Option<QueryId>,
    /// Until when the local network may answer.
    until: Option<Instant>,
    /// What was tried, and how it ended.
    tried: Vec<String>,
}

impl Search {
    fn is_over(&self) -> bool {
        self.query.is_none() && self.until.is_none()
    }
}

impl Finder {
    /// Begins to look for a peer. What was configured of a contact is kept, wrong or not.
    pub(super) fn begin(&mut self, behaviour: &mut Behaviour, peer: PeerId, is_contact: bool) {
        if self.searches.len() >= MAX_SEARCHES {
            let busy = "too many other peers are being looked for".to_owned();
            behaviour.http.lookup_ended(peer, Err(busy));
            return;
        }
        let query = behaviour.kad.as_mut().map(|table| {
            // What the table holds was dialled in vain, and the search would not try the peer a second time.
            if !is_contact {
                table.remove_peer(&peer);
            }
            table.get_closest_peers(peer)
        });
        let until = behaviour
            .listens_for_announcements()
            .then(|| Instant::now() + ANNOUNCED);
        tracing::debug!(%peer, "looking for a peer");
        let search = Search {
            query,
            until,
            tried: Vec::new(),
        };
        self.searches.insert(peer, search);
    }

    /// A peer was reached, or is about to be.
    pub(super) fn connected(&mut self, behaviour: &mut Behaviour, peer: &PeerId) {
        let search = self.searches.remove(peer);
        if let Some(query) = search.and_then(|search| search.query)
            && let Some(table) = behaviour.kad.as_mut()
            && let Some(mut query) = table.query_mut(&query)
        {
            query.finish();
        }
    }

    /// An address that came up in the search does not answer.
    pub(super) fn dial_failed(&mut self, peer: &PeerId, error: &str) {
        if let Some(search) = self.searches.get_mut(peer) {
            search.tried.push(error.to_owned());
        }
    }

    /// A peer of the local network has announced itself.
    pub(super) fn announced(
        &mut self,
        behaviour: &mut Behaviour,
        announced: Vec<(PeerId, Multiaddr)>,
    ) {
        let mut found: HashMap<PeerId, Vec<Multiaddr>> = HashMap::new();
        for (peer, address) in announced {
            if self.searches.contains_key(&peer) {
                found.entry(peer).or_default().push(address);
            }
        }
        for (peer, addresses) in found {
            self.connected(behaviour, &peer);
            behaviour.http.lookup_ended(peer, Ok(addresses));
        }
    }

    /// The hash table has answered.
    pub(super) fn answered(
        &mut self,
        behaviour: &mut Behaviour,
        query: QueryId,
        asked: u32,
        result: GetClosestPeersResult,
    ) {
        let found = self
            .searches
            .iter_mut()
            .find(|(_, search)| search.query == Some(query));
        let Some((&peer, search)) = found else {
            return;
        };
        search.query = None;
        let addresses = addresses_of(&peer, result);
        if !addresses.is_empty() {
            self.searches.remove(&peer);
            behaviour.http.lookup_ended(peer, Ok(addresses));
            return;
        }
        search.tried.push(match asked {
            0 => "no peer of the Kademlia network answered".to_owned(),
            1 => "the one peer of the Kademlia network that answered does not know it".to_owned(),
            _ => format!("{asked} peers of the Kademlia network answered, none knows it"),
        });
        self.end(behaviour, peer);
    }

    /// Gives up where the local network had time enough.
    pub(super) fn expire(&mut self, behaviour: &mut Behaviour, now: Instant) {
        let due: Vec<_> = self
            .searches
            .iter()
            .filter(|(_, search)| search.until.is_some_and(|until| until <= now))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in due {
            if let Some(search) = self.searches.get_mut(&peer) {
                search.until = None;
                search
                    .tried
                    .push("it is not announced on the local network".to_owned());
            }
            self.end(behaviour, peer);
        }
    }

    /// Tells the waiting requests, if nothing is left to try.
    fn end(&mut self, behaviour: &mut Behaviour, peer: PeerId) {
        if self
            .searches
            .get(&peer)
            .is_none_or(|search| !search.is_over())
        {
            return;
        }
        if let Some(search) = self.searches.remove(&peer) {
            let tried = search.tried.join("; ");
            tracing::info!(%peer, tried, "did not find a peer");
            behaviour.http.lookup_ended(peer, Err(tried));
        }
    }
}

fn addresses_of(peer: &PeerId, result: GetClosestPeersResult) -> Vec<Multiaddr> {
    let (Ok(GetClosestPeersOk { peers, .. }) | Err(GetClosestPeersError::Timeout { peers, .. })) =
        result;
    let is_it = |info: &PeerInfo| info.peer_id == *peer;
    let found = peers.into_iter().find(is_it);
    found.map(|info| info.addrs).unwrap_or_default()
}
