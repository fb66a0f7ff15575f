//! Where is a peer that could not be dialled? The application is asked, while the requests for the peer wait.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionId, DialError,
    dial_opts::{DialOpts, PeerCondition},
};

use crate::{error::describe, event::OutboundFailure, timer::Alarm};

/// How often as long as a request waits the application may search. More than honest searches take, which then have answered
/// a few who came later, and an application that forgets to answer does not lose the peer for good.
const PATIENCE: u32 = 10;

/// The lookups of a behaviour, one for a peer at a time. Each peer has requests that wait or have waited for it.
#[derive(Default)]
pub(crate) struct Lookups {
    running: HashMap<PeerId, Lookup>,
    dials: VecDeque<DialOpts>,
    /// By when the application is to have answered, in order. Those that it has answered leave when it is their turn, or when
    /// they are most of all.
    due: VecDeque<(Instant, PeerId)>,
    alarm: Option<Alarm>,
}

enum Lookup {
    /// The application was asked, and is to answer by then, if the clock can count so far. What the dial before it had failed
    /// with is told if nothing is found.
    Asked(Unreached, Option<Instant>),
    /// What was found is being dialled, by this attempt.
    Dialling(ConnectionId),
}

/// What follows from a failed dial.
pub(crate) enum Next {
    /// The application is to be asked.
    Ask,
    /// What is under way decides.
    Wait,
    /// The requests fail.
    Fail(Unreached),
}

impl Lookups {
    /// Decides what becomes of the requests for a peer whose dial has failed, and of which none waits longer than `limit`.
    pub(crate) fn dial_failed(
        &mut self,
        peer: PeerId,
        attempt: ConnectionId,
        unreached: Unreached,
        limit: Duration,
    ) -> Next {
        match self.running.entry(peer) {
            Entry::Vacant(_) if matches!(unreached, Unreached::Refused(_)) => Next::Fail(unreached),
            Entry::Vacant(free) => {
                let due = Instant::now().checked_add(limit.saturating_mul(PATIENCE));
                free.insert(Lookup::Asked(unreached, due));
                self.due.extend(due.map(|due| (due, peer)));
                self.drop_answered();
                Next::Ask
            }
            Entry::Occupied(running) => match running.get() {
                Lookup::Dialling(ours) if *ours == attempt => {
                    running.remove();
                    Next::Fail(unreached)
                }
                // Whoever looks the peer up may dial it on the way.
                Lookup::Asked(..) | Lookup::Dialling(_) => Next::Wait,
            },
        }
    }

    /// Takes what the application found. Returns why the requests fail if that is nothing.
    pub(crate) fn ended(
        &mut self,
        peer: PeerId,
        found: Result<Vec<Multiaddr>, String>,
    ) -> Option<Unreached> {
        let before = match self.running.remove(&peer)? {
            Lookup::Asked(before, _) => before,
            dialling @ Lookup::Dialling(_) => {
                // A second answer changes nothing about the dial that the first has led to.
                self.running.insert(peer, dialling);
                return None;
            }
        };
        let tried = match found {
            Ok(addresses) if !addresses.is_empty() => {
                // "Always": an attempt of somebody else may not know these addresses. Others may have learned of more.
                let opts = DialOpts::peer_id(peer)
                    .addresses(addresses)
                    .extend_addresses_through_behaviour()
                    .condition(PeerCondition::Always)
                    .build();
                self.running
                    .insert(peer, Lookup::Dialling(opts.connection_id()));
                self.dials.push_back(opts);
                return None;
            }
            Ok(_) => "no addresses were found".to_owned(),
            Err(tried) => tried,
        };
        Some(match before {
            Unreached::NoAddresses => Unreached::NotFound(tried),
            Unreached::Failed(reason) => Unreached::Failed(format!("{reason}; {tried}")),
            before => before,
        })
    }

    /// The next peer that the application has been asked for in vain, and why its requests fail.
    pub(crate) fn poll_overdue(&mut self, cx: &Context<'_>) -> Poll<(PeerId, Unreached)> {
        loop {
            let Some(&(due, peer)) = self.due.front() else {
                return Poll::Pending;
            };
            if is_asked(&self.running, due, peer) {
                let alarm = self.alarm.get_or_insert_with(|| Alarm::new(due));
                ready!(alarm.poll(cx));
                let tried = "the application has not said where it is".to_owned();
                if let Some(unreached) = self.ended(peer, Err(tried)) {
                    return Poll::Ready((peer, unreached));
                }
            }
            self.alarm = None;
            self.due.pop_front();
        }
    }

    fn drop_answered(&mut self) {
        let Self { running, due, .. } = self;
        if due.len() > 2 * running.len() {
            due.retain(|&(due, peer)| is_asked(running, due, peer));
        }
    }

    /// Whether a dial is one at what was found.
    pub(crate) fn is_dial(&self, peer: PeerId, attempt: ConnectionId) -> bool {
        matches!(self.running.get(&peer), Some(Lookup::Dialling(ours)) if *ours == attempt)
    }

    /// The peer was reached, whoever dialled.
    pub(crate) fn connected(&mut self, peer: PeerId) {
        self.running.remove(&peer);
    }

    /// The next attempt at what was found.
    pub(crate) fn next_dial(&mut self) -> Option<DialOpts> {
        self.dials.pop_front()
    }
}

/// Whether the application is still to answer by then where a peer is.
fn is_asked(running: &HashMap<PeerId, Lookup>, due: Instant, peer: PeerId) -> bool {
    matches!(running.get(&peer), Some(Lookup::Asked(_, Some(until))) if *until == due)
}

/// Why a peer was not reached.
pub(crate) enum Unreached {
    NoAddresses,
    /// None was found either. Holds what was tried.
    NotFound(String),
    /// Another peer is there.
    WrongPeer(PeerId),
    /// Nobody answers there. Holds the reasons.
    Failed(String),
    /// This node itself does not want to dial, so that other addresses are of no help.
    Refused(String),
}

impl Unreached {
    /// What a request for the peer ends with.
    pub(crate) fn failure(&self) -> OutboundFailure {
        match self {
            Self::NoAddresses => OutboundFailure::NoAddresses,
            Self::NotFound(tried) => OutboundFailure::NotFound {
                tried: tried.clone(),
            },
            Self::WrongPeer(obtained) => OutboundFailure::WrongPeerId {
                obtained: *obtained,
            },
            Self::Failed(reason) | Self::Refused(reason) => OutboundFailure::DialFailure {
                reason: reason.clone(),
            },
        }
    }

    /// What a request ends with whose own addresses were dialled.
    pub(crate) fn failure_at_addresses(&self) -> OutboundFailure {
        match self {
            // The swarm leaves out where it listens itself, and else dials what it is given.
            Self::NoAddresses => OutboundFailure::DialFailure {
                reason: "the addresses of the request are those of this node".to_owned(),
            },
            other => other.failure(),
        }
    }
}

impl From<&DialError> for Unreached {
    fn from(error: &DialError) -> Self {
        match error {
            DialError::NoAddresses => Self::NoAddresses,
            DialError::WrongPeerId { obtained, .. } => Self::WrongPeer(*obtained),
            DialError::Transport(_) => Self::Failed(one_line(error)),
            other => Self::Refused(one_line(other)),
        }
    }
}

/// The error and what caused it on one line, as the swarm's own text spans several.
fn one_line(error: &DialError) -> String {
    match error {
        DialError::Transport(attempts) => {
            let attempts = attempts.iter().map(|(address, error)| {
                let mut cause: &dyn std::error::Error = error;
                while let Some(deeper) = cause.source() {
                    cause = deeper;
                }
                format!("{address}: {cause}")
            });
            attempts.collect::<Vec<_>>().join("; ")
        }
        // The swarm's own text does not say who refused it, and why.
        DialError::Denied { cause } => describe(cause),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker};

    use futures::executor::block_on;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(5);

    fn overdue(lookups: &mut Lookups) -> (PeerId, Unreached) {
        block_on(poll_fn(|cx| lookups.poll_overdue(cx)))
    }

    fn attempt(id: usize) -> ConnectionId {
        ConnectionId::new_unchecked(id)
    }

    fn asked() -> (Lookups, PeerId) {
        let (mut lookups, peer) = (Lookups::default(), PeerId::random());
        let next = lookups.dial_failed(peer, attempt(1), (&DialError::NoAddresses).into(), LIMIT);
        assert!(matches!(next, Next::Ask));
        (lookups, peer)
    }

    fn fail(lookups: &mut Lookups, peer: PeerId, attempt: ConnectionId) -> Next {
        lookups.dial_failed(
            peer,
            attempt,
            Unreached::Failed("refused".to_owned()),
            LIMIT,
        )
    }

    #[test]
    fn the_dials_of_others_do_not_end_a_lookup() {
        let (mut lookups, peer) = asked();
        assert!(matches!(fail(&mut lookups, peer, attempt(2)), Next::Wait));
        let address = "/memory/1".parse().expect("is an address");
        assert!(lookups.ended(peer, Ok(vec![address])).is_none());
        let ours = lookups.next_dial().expect("was found").connection_id();
        let other = attempt(usize::MAX);
        assert!(matches!(fail(&mut lookups, peer, other), Next::Wait));
        assert!(matches!(fail(&mut lookups, peer, ours), Next::Fail(_)));
        // The next failure is a new case.
        assert!(matches!(fail(&mut lookups, peer, attempt(2)), Next::Ask));
    }

    #[test]
    fn what_was_tried_is_told() {
        let (mut lookups, peer) = asked();
        let ended = lookups.ended(peer, Err("nobody knows".to_owned()));
        assert!(matches!(ended, Some(Unreached::NotFound(tried)) if tried == "nobody knows"));

        assert!(matches!(fail(&mut lookups, peer, attempt(1)), Next::Ask));
        let ended = lookups.ended(peer, Ok(Vec::new()));
        let Some(Unreached::Failed(reason)) = ended else {
            panic!("the dial failed before");
        };
        assert_eq!(reason, "refused; no addresses were found");
    }

    #[test]
    fn a_late_answer_is_of_no_consequence() {
        let (mut lookups, peer) = asked();
        lookups.connected(peer);
        assert!(lookups.ended(peer, Err("late".to_owned())).is_none());
        assert!(lookups.next_dial().is_none());
    }

    #[test]
    fn a_second_answer_does_not_end_the_dial_of_the_first() {
        let (mut lookups, peer) = asked();
        let address = "/memory/1".parse().expect("is an address");
        assert!(lookups.ended(peer, Ok(vec![address])).is_none());
        assert!(lookups.ended(peer, Err("late".to_owned())).is_none());
        let ours = lookups.next_dial().expect("was found").connection_id();
        assert!(lookups.is_dial(peer, ours));
        assert!(matches!(fail(&mut lookups, peer, ours), Next::Fail(_)));
    }

    #[test]
    fn an_application_that_does_not_answer_is_asked_again() {
        let began = Instant::now();
        let (mut lookups, first) = asked();
        let (second, third) = (PeerId::random(), PeerId::random());
        for peer in [second, third] {
            assert!(matches!(fail(&mut lookups, peer, attempt(1)), Next::Ask));
        }
        lookups.ended(second, Err("nobody knows".to_owned()));
        assert_eq!(overdue(&mut lookups).0, first);
        assert!(began.elapsed() >= PATIENCE * LIMIT);
        assert!(matches!(fail(&mut lookups, first, attempt(2)), Next::Ask));
        assert_eq!(overdue(&mut lookups).0, third);
        assert_eq!(overdue(&mut lookups).0, first);
        let cx = Context::from_waker(Waker::noop());
        assert!(lookups.poll_overdue(&cx).is_pending());
        assert!(lookups.due.is_empty() && lookups.running.is_empty());
    }

    #[test]
    fn what_was_answered_is_not_remembered_for_long() {
        let mut lookups = Lookups::default();
        let hour = Duration::from_secs(3600);
        for _ in 0..100 {
            let peer = PeerId::random();
            let unreached = Unreached::NoAddresses;
            let next = lookups.dial_failed(peer, attempt(1), unreached, hour);
            assert!(matches!(next, Next::Ask));
            lookups.ended(peer, Err("nobody knows".to_owned()));
        }
        assert!(lookups.due.len() <= 2);
    }

    #[test]
    fn what_this_node_does_not_want_is_not_looked_up() {
        let mut lookups = Lookups::default();
        let unreached = Unreached::from(&DialError::Aborted);
        let next = lookups.dial_failed(PeerId::random(), attempt(1), unreached, LIMIT);
        assert!(matches!(next, Next::Fail(Unreached::Refused(_))));
    }
}
