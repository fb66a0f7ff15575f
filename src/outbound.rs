//! The outbound streams of all peers: idle ones for reuse, and the requests that wait for one.

mod lanes;
mod seat;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Instant,
};

use futures::{channel::oneshot, task::AtomicWaker};
use libp2p_identity::PeerId;

use crate::{
    config::Config, event::OutboundFailure, h1::Client, hop::Hop, io::Transport, link::Link,
    service::Protocol,
};

use self::lanes::{Idle, Peer};
pub(crate) use self::seat::{Lent, OutboundSeat};

/// What a waiting request gets in the end.
pub(crate) type Granted = Result<Lent, OutboundFailure>;

/// The outbound side of a behaviour. Requests come here straight from the tasks that make them; the swarm is asked
/// only to dial, and a connection only to open streams.
pub(crate) struct Outbound {
    config: Arc<Config>,
    state: Mutex<State>,
    dialer: AtomicWaker,
}

#[derive(Default)]
struct State {
    peers: HashMap<PeerId, Peer>,
    dials: VecDeque<PeerId>,
    ended: bool,
}

/// How a request for a stream is answered.
#[allow(
    clippy::large_enum_variant,
    reason = "a return value, matched at once and never stored"
)]
pub(crate) enum Acquired {
    Now(Lent),
    Later(oneshot::Receiver<Granted>),
}

impl Outbound {
    pub(crate) fn new(config: Arc<Config>) -> Arc<Self> {
        Arc::new(Self {
            config,
            state: Mutex::default(),
            dialer: AtomicWaker::new(),
        })
    }

    /// Asks for a stream to `peer`: an idle one, or the next that becomes free or is opened, in turn. `fresh` passes
    /// over the idle ones and drops them, after one of them turned out to be dead.
    pub(crate) fn acquire(
        self: &Arc<Self>,
        peer: PeerId,
        protocol: &Protocol,
        fresh: bool,
    ) -> Result<Acquired, OutboundFailure> {
        let mut state = self.lock();
        if state.ended {
            return Err(OutboundFailure::SwarmEnded);
        }
        let streams = state.peers.entry(peer).or_default();
        if fresh {
            streams.drop_idle(protocol);
        }
        if let Some((link, hop)) = streams.take_idle(protocol) {
            streams.open_spare(protocol, &self.config);
            return Ok(Acquired::Now(self.lend(link, protocol.clone(), hop, true)));
        }
        if streams.waiting() >= self.config.max_waiting_requests() {
            return Err(OutboundFailure::TooManyWaiting);
        }
        let (reply, receiver) = oneshot::channel();
        streams.wait(protocol, reply);
        if streams.is_connected() {
            streams.open_wanted(&self.config);
        } else if !std::mem::replace(&mut streams.dialing, true) {
            state.dials.push_back(peer);
            self.dialer.wake();
        }
        Ok(Acquired::Later(receiver))
    }

    /// Whether there is a connection to `peer`.
    pub(crate) fn is_connected(&self, peer: PeerId) -> bool {
        let state = self.lock();
        state.peers.get(&peer).is_some_and(Peer::is_connected)
    }

    /// The next peer to dial; the task of `cx` is woken for more.
    pub(crate) fn next_dial(&self, cx: &Context<'_>) -> Option<PeerId> {
        self.dialer.register(cx.waker());
        self.lock().dials.pop_front()
    }

    /// A connection to the peer of `link` exists.
    pub(crate) fn connected(&self, link: Arc<Link>) {
        let mut state = self.lock();
        let streams = state.peers.entry(link.peer).or_default();
        streams.dialing = false;
        streams.add_link(link);
        streams.open_wanted(&self.config);
    }

    /// The connection of `link` has ended. Streams and requests that depended on it fail at once.
    pub(crate) fn disconnected(&self, link: &Link) {
        let mut state = self.lock();
        let Some(streams) = state.peers.get_mut(&link.peer) else {
            return;
        };
        streams.remove_link(link.connection);
        if streams.is_connected() {
            streams.open_wanted(&self.config);
            return;
        }
        let failed = streams.take_waiting();
        if streams.is_unused() {
            state.peers.remove(&link.peer);
        }
        drop(state);
        for reply in failed {
            refuse(reply, OutboundFailure::ConnectionClosed);
        }
    }

    /// The peer could not be dialled.
    pub(crate) fn dial_failed(&self, peer: PeerId, error: impl Fn() -> OutboundFailure) {
        let mut state = self.lock();
        let Some(streams) = state.peers.get_mut(&peer) else {
            return;
        };
        streams.dialing = false;
        if streams.is_connected() {
            return;
        }
        let failed = streams.take_waiting();
        if streams.is_unused() {
            state.peers.remove(&peer);
        }
        drop(state);
        for reply in failed {
            refuse(reply, error());
        }
    }

    /// A stream was negotiated.
    pub(crate) fn opened(
        self: &Arc<Self>,
        link: &Arc<Link>,
        protocol: Protocol,
        transport: impl Transport,
    ) {
        let hop = Hop::new(transport, &self.config);
        if let Some(streams) = self.lock().peers.get_mut(&link.peer) {
            streams.opened(link.connection, &protocol);
        }
        self.offer(Arc::clone(link), protocol, hop, false);
    }

    /// A stream could not be opened. One waiting request fails, or, where the peer does not offer the service, all
    /// that wait for it.
    pub(crate) fn open_failed(
        &self,
        link: &Link,
        protocol: &Protocol,
        error: impl Fn() -> OutboundFailure,
    ) {
        let mut state = self.lock();
        let Some(streams) = state.peers.get_mut(&link.peer) else {
            return;
        };
        streams.open_failed(link.connection, protocol);
        let every = matches!(error(), OutboundFailure::UnsupportedProtocol { .. });
        let failed = streams.take_waiting_for(protocol, if every { usize::MAX } else { 1 });
        streams.open_wanted(&self.config);
        drop(state);
        for reply in failed {
            refuse(reply, error());
        }
    }

    /// Gives a free stream to the request whose turn it is, or keeps it for the next.
    fn offer(
        self: &Arc<Self>,
        link: Arc<Link>,
        protocol: Protocol,
        hop: Hop<Client>,
        reused: bool,
    ) {
        let mut free = Some(hop);
        let mut cx = Context::from_waker(Waker::noop());
        while let Some(mut hop) = free.take() {
            // Bytes that nobody asked for would be taken for the next response.
            let useless = reused && hop.reader.poll_idle_end(&mut cx).is_ready();
            let mut state = self.lock();
            let Some(streams) = state.peers.get_mut(&link.peer) else {
                return;
            };
            if useless {
                streams.lost(&self.config);
                return;
            }
            let Some(reply) = streams.next_for(&link, &protocol, &self.config) else {
                hop.rest();
                if streams.keep(&link, &protocol, hop) {
                    link.start_upkeep();
                } else {
                    streams.lost(&self.config);
                }
                return;
            };
            drop(state);
            let lent = self.lend(Arc::clone(&link), protocol.clone(), hop, reused);
            if let Err(Ok(lent)) = reply.send(Ok(lent)) {
                // Nobody waits any more: the stream is still good for the next one.
                free = Some(lent.unused());
            }
        }
    }

    /// Looks after the idle streams of a connection; whether there are any left.
    pub(crate) fn sweep(&self, link: &Link, cx: &mut Context<'_>) -> bool {
        let mut state = self.lock();
        let Some(streams) = state.peers.get_mut(&link.peer) else {
            return false;
        };
        // Shorter than the peer's own patience, so that it seldom closes what we are about to use.
        let oldest = Instant::now().checked_sub(self.config.keep_alive() * 3 / 4);
        let left = streams.sweep(link.connection, |idle: &mut Idle| {
            oldest.is_none_or(|oldest| idle.since > oldest)
                && idle.hop.reader.poll_idle_end(cx).is_pending()
        });
        streams.open_wanted(&self.config);
        left
    }

    /// Has every connection look at its protocols and streams again.
    pub(crate) fn wake_links(&self) {
        for streams in self.lock().peers.values() {
            streams.wake_links();
        }
    }

    /// The swarm is gone: nothing can be opened any more.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let peers = std::mem::take(&mut state.peers);
        drop(state);
        for (_, mut streams) in peers {
            for reply in streams.take_waiting() {
                refuse(reply, OutboundFailure::SwarmEnded);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuse(reply: oneshot::Sender<Granted>, error: OutboundFailure) {
    // Whoever no longer waits needs no answer.
    let _ = reply.send(Err(error));
}
