//! The streams and waiting requests of one peer: whose turn is next?
//!
//! A peer has one *lane* for every protocol in use. The cap on streams is shared by all lanes; a stream that becomes
//! free goes to the longest waiting request, even if that means to close it and open one for another protocol.

mod opening;

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use libp2p_swarm::ConnectionId;

use crate::{
    config::Config,
    h1::Client,
    hop::Hop,
    link::Link,
    outbound::{
        lane::{Idle, Lane, is_silent},
        waiting::{self, Awaited, Reply, Waiter},
    },
    service::Protocol,
    stats::Stats,
};

/// All that concerns streams to one peer.
#[derive(Default)]
pub(super) struct Peer {
    links: Vec<Arc<Link>>,
    /// In order: of the few that most peers have, one is found sooner by comparing names than by hashing them.
    lanes: BTreeMap<Protocol, Lane>,
    /// Streams that exist, idle or lent.
    open: usize,
    opening: usize,
    next_ticket: u64,
    waiting: usize,
    /// How many of them nobody waits for any more, at most.
    given_up: Arc<AtomicUsize>,
    dialling: bool,
    forgotten: bool,
    /// How often a stream was opened, and an idle one used.
    opened: u64,
    reused: u64,
}

/// Nothing is left of a peer, and it must not be used again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forgotten;

/// What becomes of a stream that nobody uses.
#[allow(
    clippy::large_enum_variant,
    reason = "a return value, matched at once and never stored"
)]
pub(super) enum Next {
    /// It is for this request.
    Lend(Reply, Hop<Client>),
    Kept,
    Drop(Hop<Client>),
}

impl Peer {
    pub(super) fn is_connected(&self) -> bool {
        !self.links.is_empty()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.links.is_empty() && self.open == 0 && self.waiting == 0 && !self.dialling
    }

    /// Whether as many requests wait for a stream as may.
    pub(super) fn is_crowded(&mut self, config: &Config) -> bool {
        if self.waiting < config.max_waiting_requests() {
            return false;
        }
        // All are looked at only where that makes room for so many that it costs each of them little.
        if self.given_up.load(Ordering::Relaxed) > self.waiting / 8 {
            self.given_up.store(0, Ordering::Relaxed);
            for lane in self.lanes.values_mut() {
                self.waiting -= lane.waiting.len();
                lane.waiting.retain(|waiter| !waiter.is_given_up());
                self.waiting += lane.waiting.len();
            }
        }
        self.waiting >= config.max_waiting_requests()
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            outbound_streams: self.open,
            idle_streams: self.lanes.values().map(|lane| lane.idle.len()).sum(),
            opening_streams: self.opening,
            waiting_requests: self.waiting,
            opened: self.opened,
            reused: self.reused,
            ..Stats::default()
        }
    }

    pub(super) fn each_link(&self, tell: impl Fn(&Link)) {
        for link in &self.links {
            tell(link);
        }
    }

    /// The peer, unless it was forgotten.
    pub(super) fn in_use(&mut self) -> Result<&mut Self, Forgotten> {
        if self.forgotten {
            Err(Forgotten)
        } else {
            Ok(self)
        }
    }

    /// Gives everything up but what is lent, and makes sure that nothing new is begun.
    pub(super) fn forget(&mut self) {
        self.forgotten = true;
        self.links.clear();
        self.drop_idle_where(|_| true);
    }

    /// Whether the swarm is to be asked to dial, because nobody has yet.
    pub(super) fn begin_dial(&mut self) -> bool {
        !mem::replace(&mut self.dialling, true)
    }

    pub(super) fn is_dialling(&self) -> bool {
        self.dialling
    }

    pub(super) fn end_dial(&mut self) {
        self.dialling = false;
    }

    /// Takes the idle stream that was used last, if it is still good.
    pub(super) fn take_idle(
        &mut self,
        protocol: &Protocol,
        config: &Config,
    ) -> Option<(Arc<Link>, Hop<Client>)> {
        let lane = self.lanes.get_mut(protocol)?;
        let taken = loop {
            let mut idle = lane.idle.pop()?;
            if !idle.link.is_closed() && is_silent(&mut idle.hop) {
                break idle;
            }
            self.open -= 1;
        };
        if lane.idle.len() + lane.opening.len() < config.spare_streams() {
            self.open_spare(protocol, config);
        }
        self.reused += 1;
        Some((taken.link, taken.hop))
    }

    /// A stream that was to be used again was not.
    pub(super) fn not_reused(&mut self) {
        self.reused -= 1;
    }

    pub(super) fn drop_idle(&mut self, protocol: &Protocol) {
        if let Some(lane) = self.lanes.get_mut(protocol) {
            self.open -= lane.idle.len();
            lane.idle.clear();
        }
    }

    /// Queues a request.
    pub(super) fn wait(&mut self, protocol: &Protocol, due: Option<Instant>) -> Awaited {
        let (reply, awaited) = waiting::wait(&self.given_up);
        let ticket = self.take_ticket();
        self.waiting += 1;
        let lane = self.lanes.entry(protocol.clone()).or_default();
        lane.waiting.push_back(Waiter { ticket, due, reply });
        awaited
    }

    fn take_ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// When the first of the waiting requests will have waited for too long.
    pub(super) fn next_due(&mut self) -> Option<Instant> {
        let lanes = self.lanes.values_mut();
        lanes
            .filter_map(|lane| {
                self.waiting -= lane.drop_given_up();
                lane.waiting.front()?.due
            })
            .min()
    }

    /// Takes the requests that have waited for too long. In every lane they are the first.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Reply> {
        let mut taken = Vec::new();
        for lane in self.lanes.values_mut() {
            let due = lane.waiting.iter().take_while(|waiter| waiter.is_due(now));
            let count = due.count();
            self.waiting -= count;
            taken.extend(lane.waiting.drain(..count));
        }
        taken.sort_unstable_by_key(|waiter| waiter.ticket);
        taken.into_iter().map(|waiter| waiter.reply).collect()
    }

    /// Adds a connection, which another behaviour may still refuse: that ends no dial.
    pub(super) fn add_link(&mut self, link: Arc<Link>) {
        self.links.push(link);
        // Direct connections first; among equals the older one, whose streams are warm.
        self.links.sort_by_key(|link| link.relayed);
        if !self.links[0].relayed {
            self.drop_idle_where(|idle| idle.link.relayed);
        }
    }

    /// Whether requests should leave this connection, because it has ended or there is a direct one instead.
    fn is_superseded(&self, link: &Link) -> bool {
        let direct = |other: &Arc<Link>| !other.relayed && !other.is_closed();
        self.forgotten || link.is_closed() || (link.relayed && self.links.iter().any(direct))
    }

    fn drop_idle_where(&mut self, drop: impl Fn(&Idle) -> bool) {
        for lane in self.lanes.values_mut() {
            let before = lane.idle.len();
            lane.idle.retain(|idle| !drop(idle));
            self.open -= before - lane.idle.len();
        }
    }

    pub(super) fn remove_link(&mut self, connection: ConnectionId) {
        self.links.retain(|link| link.connection != connection);
        self.drop_idle_where(|idle| idle.link.connection == connection);
        for lane in self.lanes.values_mut() {
            let before = lane.opening.len();
            lane.opening
                .retain(|opening| opening.connection != connection);
            self.opening -= before - lane.opening.len();
        }
        self.forget_unused_lanes();
    }

    /// Decides what becomes of a stream of `protocol` that nobody uses: it goes to the request that has waited for
    /// longest, or is kept for a later one. It is of no use where its place is needed for another protocol, or its
    /// connection is not to be used any more.
    pub(super) fn next_for(
        &mut self,
        link: &Arc<Link>,
        protocol: &Protocol,
        mut hop: Hop<Client>,
        reused: bool,
        config: &Config,
    ) -> Next {
        let mut useless = self.is_superseded(link);
        if !useless && self.waiting > 0 {
            // What is kept is looked at when it is taken, and now only what is not.
            if reused && !is_silent(&mut hop) {
                useless = true;
            } else if let Some(reply) = self.next_waiter(protocol, config) {
                self.reused += u64::from(reused);
                return Next::Lend(reply, hop);
            } else {
                useless = self.longest_waiting().is_some();
            }
        }
        if useless {
            self.lost(config);
            return Next::Drop(hop);
        }
        self.keep(link, protocol, hop);
        Next::Kept
    }

    /// The request that gets a stream of `protocol`. `None` where nobody waits for it, or where somebody who has waited
    /// longer needs its place.
    fn next_waiter(&mut self, protocol: &Protocol, config: &Config) -> Option<Reply> {
        let lane = self.lanes.get_mut(protocol)?;
        self.waiting -= lane.drop_given_up();
        let ticket = lane.waiting.front()?.ticket;
        if self.is_full(config) && self.longest_waiting().is_some_and(|first| first < ticket) {
            return None;
        }
        let waiter = self.lanes.get_mut(protocol)?.waiting.pop_front()?;
        self.waiting -= 1;
        Some(waiter.reply)
    }

    fn keep(&mut self, link: &Arc<Link>, protocol: &Protocol, mut hop: Hop<Client>) {
        hop.rest();
        let idle = Idle {
            hop,
            since: None,
            order: self.take_ticket(),
            link: Arc::clone(link),
        };
        match self.lanes.get_mut(protocol) {
            Some(lane) => lane.idle.push(idle),
            None => {
                let lane = self.lanes.entry(protocol.clone()).or_default();
                lane.idle.push(idle);
            }
        }
    }

    /// The ticket of the longest waiting request that no stream is being opened for.
    fn longest_waiting(&mut self) -> Option<u64> {
        let lanes = self.lanes.values_mut();
        lanes
            .filter_map(|lane| {
                // Nothing is closed or opened for those who have gone.
                self.waiting -= lane.drop_given_up();
                lane.next_ticket()
            })
            .min()
    }

    /// Drops the idle streams of a connection that `keep` refuses; whether any are left.
    pub(super) fn sweep(
        &mut self,
        connection: ConnectionId,
        mut keep: impl FnMut(&mut Idle) -> bool,
    ) -> bool {
        let mut left = false;
        for lane in self.lanes.values_mut() {
            let before = lane.idle.len();
            lane.idle.retain_mut(|idle| {
                if idle.link.connection != connection {
                    return true;
                }
                let good = keep(idle);
                left |= good;
                good
            });
            self.open -= before - lane.idle.len();
        }
        self.forget_unused_lanes();
        left
    }

    /// Takes the first request that waits for a stream of `protocol`, unless it came after `ticket`.
    pub(super) fn take_waiting_since(&mut self, protocol: &Protocol, ticket: u64) -> Option<Reply> {
        let lane = self.lanes.get_mut(protocol)?;
        self.waiting -= lane.drop_given_up();
        lane.waiting
            .front()
            .filter(|waiter| waiter.ticket <= ticket)?;
        let waiter = lane.waiting.pop_front()?;
        self.waiting -= 1;
        Some(waiter.reply)
    }

    /// Takes all requests that wait for a stream of `protocol`.
    pub(super) fn take_waiting_for(&mut self, protocol: &Protocol) -> Vec<Reply> {
        let Some(lane) = self.lanes.get_mut(protocol) else {
            return Vec::new();
        };
        let count = lane.waiting.len();
        self.waiting -= count;
        let taken = lane.waiting.drain(..count);
        taken.map(|waiter| waiter.reply).collect()
    }

    /// Takes all waiting requests.
    pub(super) fn take_waiting(&mut self) -> Vec<Reply> {
        self.waiting = 0;
        let lanes = self.lanes.values_mut();
        let taken = lanes.flat_map(|lane| mem::take(&mut lane.waiting));
        taken.map(|waiter| waiter.reply).collect()
    }

    /// Forgets a protocol that the peer does not speak, as far as known, once nobody waits for it: its name may be any that a
    /// stranger has thought of.
    pub(super) fn forget_refused(&mut self, protocol: &Protocol) {
        let lane = self.lanes.get(protocol);
        if lane.is_some_and(|lane| lane.is_unused() && !lane.accepted) {
            self.lanes.remove(protocol);
        }
    }

    fn forget_unused_lanes(&mut self) {
        self.lanes.retain(|_, lane| !lane.is_unused());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        task::{Context, Waker},
        time::Duration,
    };

    use futures::{AsyncWriteExt, executor::block_on};
    use libp2p_identity::PeerId;

    use super::*;

    use crate::{link::Inbox, local, service::ServiceName};

    fn protocol(name: &str) -> Protocol {
        name.parse::<ServiceName>().expect("is a name").into()
    }

    fn link(connection: usize, relayed: bool) -> Arc<Link> {
        let connection = ConnectionId::new_unchecked(connection);
        Link::new(PeerId::random(), connection, relayed)
    }

    fn config(streams: usize) -> Config {
        Config::default().with_max_outbound_streams(streams)
    }

    /// A stream whose other end is kept open.
    fn hop() -> (Hop<Client>, local::LocalStream) {
        let (near, far) = local::pair();
        (Hop::new(near, &Arc::new(Config::default())), far)
    }

    fn wait(peer: &mut Peer, protocol: &Protocol) -> Awaited {
        wait_until(peer, protocol, None)
    }

    fn wait_until(peer: &mut Peer, protocol: &Protocol, due: Option<Instant>) -> Awaited {
        peer.wait(protocol, due)
    }

    /// Offers a stream that was used before.
    fn offer(peer: &mut Peer, link: &Arc<Link>, protocol: &Protocol, hop: Hop<Client>) -> Next {
        peer.next_for(link, protocol, hop, true, &config(1))
    }

    fn take_idle(peer: &mut Peer, protocol: &Protocol) -> Option<Hop<Client>> {
        let config = Config::default().with_spare_streams(0);
        peer.take_idle(protocol, &config).map(|(_, hop)| hop)
    }

    /// What the connection was asked to open since the last time.
    fn wanted(link: &Link) -> Vec<Protocol> {
        let left = link.take(&Context::from_waker(Waker::noop()));
        left.map(|Inbox { wanted, .. }| wanted).unwrap_or_default()
    }

    #[test]
    fn as_many_streams_are_opened_as_requests_wait_up_to_the_cap() {
        let (config, a) = (config(2), protocol("a"));
        let (mut peer, link) = (Peer::default(), link(1, false));
        peer.add_link(Arc::clone(&link));
        let _replies = [(); 3].map(|()| wait(&mut peer, &a));
        peer.open_wanted(&config);
        assert_eq!(wanted(&link), [a.clone(), a.clone()]);

        // One that fails makes room for the next.
        peer.open_failed(link.connection, &a);
        peer.open_wanted(&config);
        assert_eq!(wanted(&link), std::slice::from_ref(&a));
    }

    #[test]
    fn what_the_peer_does_not_speak_is_not_remembered() {
        let (config, a, b) = (config(2), protocol("a"), protocol("b"));
        let (mut peer, link) = (Peer::default(), link(1, false));
        peer.add_link(Arc::clone(&link));
        let _replies = [&a, &b].map(|protocol| wait(&mut peer, protocol));
        peer.open_wanted(&config);
        peer.open_failed(link.connection, &a);
        peer.forget_refused(&a);
        assert!(peer.lanes.contains_key(&a), "somebody waits for it");
        assert_eq!(peer.take_waiting_for(&a).len(), 1);
        peer.forget_refused(&a);
        assert!(!peer.lanes.contains_key(&a));
        // A service that has been there is remembered for as long as its streams would be.
        peer.opened(link.connection, &b);
        assert_eq!(peer.take_waiting_for(&b).len(), 1);
        peer.forget_refused(&b);
        assert!(peer.has_accepted(&b));
    }

    #[test]
    fn requests_are_served_in_turn_over_all_protocols() {
        let (config, a, b) = (config(1), protocol("a"), protocol("b"));
        let (mut peer, link) = (Peer::default(), link(1, false));
        peer.add_link(Arc::clone(&link));
        let _first = wait(&mut peer, &a);
        peer.open_wanted(&config);
        peer.opened(link.connection, &a);
        let (stream, _far) = hop();
        assert!(matches!(
            offer(&mut peer, &link, &a, stream),
            Next::Lend(..)
        ));

        // The stream comes back while another protocol has waited for longer: it gives its place up.
        let _second = wait(&mut peer, &b);
        let _third = wait(&mut peer, &a);
        wanted(&link);
        let (stream, _far) = hop();
        assert!(matches!(offer(&mut peer, &link, &a, stream), Next::Drop(_)));
        assert_eq!(wanted(&link), [b]);
    }

    #[test]
    fn no_stream_gives_way_to_a_request_that_was_given_up() {
        let (a, b) = (protocol("a"), protocol("b"));
        let (mut peer, link) = (Peer::default(), link(1, false));
        peer.add_link(Arc::clone(&link));
        peer.open = 1;
        drop(wait(&mut peer, &b));
        let _reply = wait(&mut peer, &a);
        let (stream, _far) = hop();
        let next = offer(&mut peer, &link, &a, stream);
        assert!(matches!(next, Next::Lend(..)));
        assert_eq!(peer.waiting, 0);
    }

    #[test]
    fn an_idle_stream_gives_way_to_another_protocol() {
        let (config, a, b) = (config(1), protocol("a"), protocol("b"));
        let (mut peer, link) = (Peer::default(), link(1, false));
        peer.add_link(Arc::clone(&link));
        let reply = wait(&mut peer, &a);
        peer.open_wanted(&config);
        peer.opened(link.connection, &a);
        drop(reply);
        let (idle, _far) = hop();
        let next = offer(&mut peer, &link, &a, idle);
        assert!(matches!(next, Next::Kept), "the request was given up");
        wanted(&link);

        let _reply = wait(&mut peer, &b);
        peer.open_wanted(&config);
        assert_eq!(wanted(&link), [b]);
        assert!(take_idle(&mut peer, &a).is_none());
    }

    #[test]
    fn a_service_in_use_has_streams_to_spare() {
        let (config, a) = (config(3).with_spare_streams(2), protocol("a"));
        let (mut peer, link) = (Peer::default(), link(1, false));
        peer.add_link(Arc::clone(&link));
        let (idle, _far) = hop();
        peer.open = 1;
        peer.keep(&link, &a, idle);
        for expected in [vec![a.clone()], vec![a.clone()], vec![]] {
            let (_, hop) = peer.take_idle(&a, &config).expect("is idle");
            assert_eq!(wanted(&link), expected);
            peer.keep(&link, &a, hop);
        }
        // The cap counts them too.
        peer.opened(link.connection, &a);
        peer.opened(link.connection, &a);
        assert!(peer.is_full(&config));
        assert!(peer.take_idle(&a, &config).is_some());
        assert_eq!(wanted(&link), []);
    }

    #[test]
    fn a_stream_that_the_peer_closed_is_not_taken() {
        let a = protocol("a");
        let (mut peer, link) = (Peer::default(), link(1, false));
        peer.add_link(Arc::clone(&link));
        let (good, _far) = hop();
        let (closed, far) = hop();
        peer.open = 2;
        peer.keep(&link, &a, good);
        peer.keep(&link, &a, closed);
        drop(far);
        assert!(take_idle(&mut peer, &a).is_some());
        assert!(take_idle(&mut peer, &a).is_none());
        assert_eq!(peer.open, 1, "the lent one");
    }

    #[test]
    fn a_stream_with_surplus_bytes_is_not_lent() {
        let a = protocol("a");
        let (mut peer, link) = (Peer::default(), link(1, false));
        peer.add_link(Arc::clone(&link));
        peer.open = 2;
        let mut streams = [hop(), hop()];
        for (_, far) in &mut streams {
            block_on(far.write_all(b"HTTP/1.1 200 ")).expect("is taken");
        }
        let [(first, _far), (second, _other)] = streams;
        // Neither a stream that is kept and taken later, nor one that comes back while a request waits for it.
        assert!(matches!(offer(&mut peer, &link, &a, first), Next::Kept));
        assert!(take_idle(&mut peer, &a).is_none());
        let _waiting = wait(&mut peer, &a);
        assert!(matches!(offer(&mut peer, &link, &a, second), Next::Drop(_)));
        assert_eq!((peer.open, peer.waiting), (0, 1));
    }

    #[test]
    fn requests_that_are_due_are_taken_in_their_order() {
        let (a, b) = (protocol("a"), protocol("b"));
        let mut peer = Peer::default();
        let now = Instant::now();
        let after = |seconds| now.checked_add(Duration::from_secs(seconds));
        let waiting = [
            wait_until(&mut peer, &a, after(1)),
            wait_until(&mut peer, &b, after(2)),
            wait_until(&mut peer, &a, after(3)),
            wait_until(&mut peer, &b, after(4)),
            wait_until(&mut peer, &b, None),
        ];
        assert_eq!(peer.next_due(), after(1));
        assert!(peer.take_due(now).is_empty());
        assert_eq!(peer.take_due(after(3).expect("is near")).len(), 3);
        assert_eq!((peer.next_due(), peer.waiting), (after(4), 2));
        drop(waiting);
        assert_eq!((peer.next_due(), peer.waiting), (None, 0), "all gave up");
    }

    #[test]
    fn a_direct_connection_takes_over_from_a_relayed_one() {
        let (config, a) = (config(8), protocol("a"));
        let (mut peer, relayed, direct) = (Peer::default(), link(1, true), link(2, false));
        peer.add_link(Arc::clone(&relayed));
        let (idle, _far) = hop();
        peer.open = 1;
        peer.keep(&relayed, &a, idle);

        peer.add_link(Arc::clone(&direct));
        let idle = take_idle(&mut peer, &a);
        assert!(idle.is_none(), "on the relayed connection");
        assert_eq!(peer.open, 0);
        let _reply = wait(&mut peer, &a);
        peer.open_wanted(&config);
        assert_eq!(
            (wanted(&relayed), wanted(&direct)),
            (vec![], vec![a.clone()])
        );
        // A stream that comes back to the relayed connection is not used again either.
        peer.open = 1;
        let next = offer(&mut peer, &relayed, &a, hop().0);
        assert!(matches!(next, Next::Drop(_)));
    }

    #[test]
    fn what_a_connection_was_opening_ends_with_it() {
        let (config, a) = (config(8), protocol("a"));
        let (mut peer, first, second) = (Peer::default(), link(1, false), link(2, false));
        peer.add_link(Arc::clone(&first));
        peer.add_link(Arc::clone(&second));
        let _reply = wait(&mut peer, &a);
        peer.open_wanted(&config);
        assert_eq!(wanted(&first), std::slice::from_ref(&a));
        peer.remove_link(first.connection);
        peer.open_wanted(&config);
        assert_eq!(wanted(&second), [a]);
    }
}
