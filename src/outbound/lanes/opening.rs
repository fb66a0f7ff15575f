//! Which streams to a peer are to be opened, and how many may be?

use std::sync::Arc;

use libp2p_swarm::ConnectionId;

use super::Peer;
use crate::{config::Config, link::Link, outbound::lane::Opening, service::Protocol};

impl Peer {
    /// A stream that a connection was asked for exists.
    pub(in crate::outbound) fn opened(&mut self, connection: ConnectionId, protocol: &Protocol) {
        if self.settle_opening(connection, protocol, false).is_some() {
            if let Some(lane) = self.lanes.get_mut(protocol) {
                lane.accepted = true;
            }
            self.opened += 1;
            self.open += 1;
        }
    }

    /// A stream that a connection was asked for will not come. Which one nobody knows: returns the last ticket that had been
    /// given out when any of them was asked for.
    pub(in crate::outbound) fn open_failed(
        &mut self,
        connection: ConnectionId,
        protocol: &Protocol,
    ) -> Option<u64> {
        let opening = self.settle_opening(connection, protocol, true)?;
        Some(opening.ticket)
    }

    /// Whether the peer has accepted a stream of `protocol`, as far as that is remembered.
    pub(in crate::outbound) fn has_accepted(&self, protocol: &Protocol) -> bool {
        let lane = self.lanes.get(protocol);
        lane.is_some_and(|lane| lane.accepted)
    }

    /// Takes it for the one that was asked for first, or, with `newest`, last.
    fn settle_opening(
        &mut self,
        connection: ConnectionId,
        protocol: &Protocol,
        newest: bool,
    ) -> Option<Opening> {
        let lane = self.lanes.get_mut(protocol)?;
        let mut opening = lane.opening.iter();
        let is_its = |opening: &Opening| opening.connection == connection;
        let place = match newest {
            true => opening.rposition(is_its),
            false => opening.position(is_its),
        };
        let settled = lane.opening.remove(place?);
        self.opening -= 1;
        Some(settled)
    }

    /// A stream is gone, and its place is free.
    pub(in crate::outbound) fn lost(&mut self, config: &Config) {
        self.open -= 1;
        self.open_wanted(config);
    }

    /// The connection on which streams are opened.
    fn best_link(&self) -> Option<Arc<Link>> {
        let open = self.links.iter().find(|link| !link.is_closed());
        open.cloned()
    }

    /// Asks for a stream ahead of need, where a service that is in use has few left.
    pub(super) fn open_spare(&mut self, protocol: &Protocol, config: &Config) {
        let (Some(link), false) = (self.best_link(), self.is_full(config)) else {
            return;
        };
        if let Some(lane) = self.lanes.get_mut(protocol) {
            lane.open(&link, protocol, self.next_ticket);
            self.opening += 1;
        }
    }

    /// Asks for as many streams as requests wait for, up to the cap.
    pub(in crate::outbound) fn open_wanted(&mut self, config: &Config) {
        let Some(link) = self.best_link() else {
            return;
        };
        while let Some(first) = self.longest_waiting() {
            if self.is_full(config) && !self.evict_idle() {
                return;
            }
            let lane = self
                .lanes
                .iter_mut()
                .find(|(_, lane)| lane.next_ticket() == Some(first));
            let Some((protocol, lane)) = lane else {
                return;
            };
            lane.open(&link, protocol, self.next_ticket);
            self.opening += 1;
        }
    }

    pub(super) fn is_full(&self, config: &Config) -> bool {
        self.open + self.opening >= config.max_outbound_streams()
    }

    /// Makes room by closing the stream that has been idle for longest.
    fn evict_idle(&mut self) -> bool {
        let lane = self
            .lanes
            .values_mut()
            .filter(|lane| !lane.idle.is_empty())
            .min_by_key(|lane| lane.idle.first().map(|idle| idle.order));
        let Some(lane) = lane else {
            return false;
        };
        lane.idle.remove(0);
        self.open -= 1;
        true
    }
}
