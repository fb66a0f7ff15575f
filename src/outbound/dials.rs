//! Whom is the swarm to dial, and where? Peers wherever they are known to be, and peers at the addresses that came with a
//! request, which are nobody else's.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use futures::{FutureExt, channel::oneshot};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionId,
    dial_opts::{DialOpts, PeerCondition},
};

use crate::{
    config::Config, destination::Destination, event::OutboundFailure, relay::relay_of, timer::Alarm,
};

/// Attempts at one peer at a time, each at other addresses. More than honest clients have, which name all that they know,
/// and few enough that one peer does not take the places of all.
const MAX_PER_PEER: usize = 4;

/// What the swarm has not been told yet, and the attempts that it makes at the addresses of requests.
#[derive(Default)]
pub(super) struct Dials {
    /// Peers that are to be dialled wherever they are known to be.
    wanted: VecDeque<PeerId>,
    /// The dials of such peers that the swarm was told of, until it says how they ended.
    known: HashMap<PeerId, ConnectionId>,
    /// As few as [`Config::max_addressed_dials`] says, so that to walk over them is cheap.
    attempts: Vec<Attempt>,
    ended: bool,
}

/// A dial at the addresses of a request, until the swarm says how it ended.
struct Attempt {
    destination: Destination,
    /// Whoever dials through relays has them dialled where the request says that they are.
    relays: Vec<PeerId>,
    /// Once the swarm was told.
    connection: Option<ConnectionId>,
    waiting: Vec<Reply>,
}

type Reached = Result<(), OutboundFailure>;
type Reply = oneshot::Sender<Reached>;

impl Dials {
    pub(super) fn want(&mut self, peer: PeerId) {
        self.wanted.push_back(peer);
    }

    /// Has a peer dialled at the addresses of its destination. Requests with the same destination share an attempt.
    pub(super) fn want_at(
        &mut self,
        destination: &Destination,
        config: &Config,
    ) -> Result<Attempted, OutboundFailure> {
        if self.ended {
            return Err(OutboundFailure::SwarmEnded);
        }
        let (reply, reached) = oneshot::channel();
        let same = |attempt: &&mut Attempt| attempt.destination == *destination;
        if let Some(attempt) = self.attempts.iter_mut().find(same) {
            attempt.join(reply, config.max_waiting_requests())?;
        } else {
            let is_at_peer = |one: &&Attempt| one.destination.peer() == destination.peer();
            let at_peer = self.attempts.iter().filter(is_at_peer).count();
            if at_peer >= MAX_PER_PEER || self.attempts.len() >= config.max_addressed_dials() {
                return Err(OutboundFailure::TooManyDials);
            }
            self.attempts.push(Attempt {
                relays: destination
                    .addresses()
                    .iter()
                    .filter_map(relay_of)
                    .collect(),
                destination: destination.clone(),
                connection: None,
                waiting: vec![reply],
            });
        }
        Ok(Attempted {
            reached,
            due: Instant::now()
                .checked_add(config.dial_timeout())
                .map(Alarm::new),
        })
    }

    /// The next dial for the swarm.
    pub(super) fn next(&mut self) -> Option<DialOpts> {
        let new = |attempt: &&mut Attempt| attempt.connection.is_none();
        if let Some(attempt) = self.attempts.iter_mut().find(new) {
            return Some(attempt.begin());
        }
        let peer = self.wanted.pop_front()?;
        // Not "disconnected": a connection whose handler is gone may still count as one for the swarm, and without a
        // handler it is of no use.
        let is_told = |one: &Attempt| one.destination.peer() == peer || one.relays.contains(&peer);
        let condition = if self.attempts.iter().any(is_told) {
            // A dial at the addresses of one request must not stand in for that of all others.
            PeerCondition::Always
        } else {
            PeerCondition::NotDialing
        };
        let opts = DialOpts::peer_id(peer).condition(condition).build();
        self.known.insert(peer, opts.connection_id());
        Some(opts)
    }

    /// A dial of a peer that others want, too, has ended; whether it was one of [`next`](Self::next).
    pub(super) fn known_ended(&mut self, peer: PeerId, connection: ConnectionId) -> bool {
        let is_it = self.known.get(&peer) == Some(&connection);
        if is_it {
            self.known.remove(&peer);
        }
        is_it
    }

    /// Has a peer dialled again, if the dial that has failed was that of a relay, by whoever dials through relays, where a
    /// request says that it is; whether it was. For others that want the relay it decides nothing.
    pub(super) fn relay_failed(&mut self, peer: PeerId, is_wanted: bool) -> bool {
        let is_told = self.attempts.iter().any(|one| one.relays.contains(&peer));
        if is_told && is_wanted && !self.known.contains_key(&peer) {
            self.wanted.push_back(peer);
        }
        is_told
    }

    /// A dial has failed; whether it was one at the addresses of a request. Those who wait for it are told.
    pub(super) fn failed(
        &mut self,
        connection: ConnectionId,
        error: impl Fn() -> OutboundFailure,
    ) -> bool {
        let Some(place) = self.place_of(connection) else {
            return false;
        };
        for reply in self.attempts.swap_remove(place).waiting {
            // Whoever no longer waits needs no answer.
            let _ = reply.send(Err(error()));
        }
        true
    }

    /// There is a connection to a peer, by whatever dial.
    pub(super) fn connected(&mut self, peer: PeerId, connection: ConnectionId) {
        for attempt in &mut self.attempts {
            if attempt.destination.peer() == peer {
                for reply in attempt.waiting.drain(..) {
                    let _ = reply.send(Ok(()));
                }
            }
        }
        self.known_ended(peer, connection);
        // What else is dialled still takes its place, until it ends.
        if let Some(place) = self.place_of(connection) {
            self.attempts.swap_remove(place);
        }
    }

    /// Whether a dial that is under way is one at the addresses of a request.
    pub(super) fn is_at_addresses(&self, connection: ConnectionId) -> bool {
        self.place_of(connection).is_some()
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.attempts.clear();
    }

    fn place_of(&self, connection: ConnectionId) -> Option<usize> {
        let is_it = |attempt: &Attempt| attempt.connection == Some(connection);
        self.attempts.iter().position(is_it)
    }
}

impl Attempt {
    fn join(&mut self, reply: Reply, max: usize) -> Result<(), OutboundFailure> {
        if self.waiting.len() >= max {
            self.waiting.retain(|reply| !reply.is_canceled());
        }
        if self.waiting.len() >= max {
            return Err(OutboundFailure::TooManyWaiting);
        }
        self.waiting.push(reply);
        Ok(())
    }

    fn begin(&mut self) -> DialOpts {
        // Without those that are known otherwise: of several addresses of which one leads to another peer, the swarm may
        // use that one and fail, and then nobody could reach a peer while somebody names a wrong one.
        let opts = DialOpts::peer_id(self.destination.peer())
            .addresses(self.destination.addresses().to_vec())
            .condition(PeerCondition::Always)
            .build();
        self.connection = Some(opts.connection_id());
        opts
    }
}

/// Resolves when there is a connection to the peer of an attempt, when that has failed, or when it takes too long.
pub(crate) struct Attempted {
    reached: oneshot::Receiver<Reached>,
    /// `None` if that is beyond what the clock can count.
    due: Option<Alarm>,
}

impl Future for Attempted {
    type Output = Reached;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reached> {
        if let Poll::Ready(ended) = self.reached.poll_unpin(cx) {
            return Poll::Ready(ended.unwrap_or(Err(OutboundFailure::SwarmEnded)));
        }
        match &self.due {
            Some(due) => due.poll(cx).map(|()| Err(OutboundFailure::DialTimeout)),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(peer: PeerId, port: u16) -> Destination {
        let address = format!("/ip4/192.0.2.1/tcp/{port}").parse();
        Destination::new(peer).with_addresses([address.expect("is an address")])
    }

    fn want(dials: &mut Dials, destination: &Destination) -> Attempted {
        let wanted = dials.want_at(destination, &Config::default());
        wanted.expect("there is room")
    }

    fn ended(attempted: &mut Attempted) -> Option<Reached> {
        attempted.now_or_never()
    }

    #[test]
    fn the_same_destination_is_dialled_once() {
        let (mut dials, peer) = (Dials::default(), PeerId::random());
        let mut all: Vec<_> = (0..100).map(|_| want(&mut dials, &at(peer, 1))).collect();
        let first = dials.next().expect("is dialled");
        all.push(want(&mut dials, &at(peer, 1)));
        assert!(dials.next().is_none());
        assert!(dials.failed(first.connection_id(), || OutboundFailure::NoAddresses));
        for attempted in &mut all {
            assert!(matches!(ended(attempted), Some(Err(_))));
        }
        // Nothing of it stays.
        let mut again = want(&mut dials, &at(peer, 1));
        let second = dials.next().expect("is dialled again").connection_id();
        assert!(ended(&mut again).is_none());
        assert!(dials.is_at_addresses(second) && !dials.is_at_addresses(first.connection_id()));
        dials.connected(peer, second);
        assert!(matches!(ended(&mut again), Some(Ok(()))));
        assert!(dials.attempts.is_empty());
    }

    #[test]
    fn another_connection_will_do_and_the_attempt_keeps_its_place_until_its_end() {
        let (mut dials, peer) = (Dials::default(), PeerId::random());
        let (mut one, mut stranger) = (
            want(&mut dials, &at(peer, 1)),
            want(&mut dials, &at(PeerId::random(), 1)),
        );
        let attempt = dials.next().expect("is dialled").connection_id();
        dials.next().expect("is dialled");
        dials.connected(peer, ConnectionId::new_unchecked(usize::MAX));
        assert!(matches!(ended(&mut one), Some(Ok(()))));
        assert!(ended(&mut stranger).is_none());
        assert_eq!(dials.attempts.len(), 2);
        assert!(dials.failed(attempt, || OutboundFailure::NoAddresses));
        assert_eq!(dials.attempts.len(), 1);
        assert!(!dials.failed(attempt, || OutboundFailure::NoAddresses));
    }

    #[test]
    fn attempts_are_few_for_a_peer_and_in_all() {
        let mut dials = Dials::default();
        let config = Config::default().with_max_addressed_dials(6);
        let (one, other) = (PeerId::random(), PeerId::random());
        let mut want = |peer, port| dials.want_at(&at(peer, port), &config).is_ok();
        let wanted: Vec<bool> = (0..6).map(|port| want(one, port)).collect();
        assert_eq!(wanted, [true, true, true, true, false, false]);
        assert!(want(one, 0), "is dialled already");
        let wanted: Vec<bool> = (0..3).map(|port| want(other, port)).collect();
        assert_eq!(wanted, [true, true, false]);
    }

    #[test]
    fn few_wait_for_one_attempt_and_who_has_gone_is_not_counted() {
        let (mut dials, to) = (Dials::default(), at(PeerId::random(), 1));
        let config = Config::default().with_max_waiting_requests(2);
        let mut want = || dials.want_at(&to, &config);
        let first = want().expect("there is room");
        let _second = want().expect("there is room");
        let full = want().err();
        assert!(matches!(full, Some(OutboundFailure::TooManyWaiting)));
        drop(first);
        assert!(want().is_ok());
    }

    #[test]
    fn the_addresses_of_a_request_do_not_stand_in_for_those_that_are_known() {
        let (mut dials, peer) = (Dials::default(), PeerId::random());
        let _attempted = want(&mut dials, &at(peer, 1));
        dials.want(peer);
        dials.want(PeerId::random());
        let conditions: Vec<_> = std::iter::from_fn(|| dials.next())
            .map(|opts| format!("{opts:?}"))
            .collect();
        let expected = ["Always", "Always", "NotDialing"];
        assert_eq!(conditions.len(), expected.len());
        for (opts, condition) in conditions.iter().zip(expected) {
            assert!(opts.contains(&format!("condition: {condition}")), "{opts}");
        }
    }

    #[test]
    fn the_wait_ends_with_the_swarm_and_with_the_patience() {
        let (mut dials, to) = (Dials::default(), at(PeerId::random(), 1));
        let mut attempted = want(&mut dials, &to);
        dials.end();
        assert!(matches!(
            ended(&mut attempted),
            Some(Err(OutboundFailure::SwarmEnded))
        ));
        assert!(dials.want_at(&to, &Config::default()).is_err());

        let config = Config::default().with_dial_timeout(std::time::Duration::from_millis(20));
        let mut dials = Dials::default();
        let attempted = dials.want_at(&to, &config).expect("there is room");
        let ended = futures::executor::block_on(attempted);
        assert!(matches!(ended, Err(OutboundFailure::DialTimeout)));
    }
}
