//! The outbound streams of all peers: idle ones for reuse, and the requests that wait for one.

mod dials;
mod lane;
mod lanes;
mod seat;
mod streams;
mod waiting;

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Context,
};

use futures::task::AtomicWaker;
use libp2p_identity::PeerId;
use libp2p_swarm::{ConnectionId, dial_opts::DialOpts};

use crate::{
    config::Config, destination::Destination, event::OutboundFailure, hop::Hop, io::Transport,
    link::Link, service::Protocol, stats::Stats,
};

pub(crate) use self::{
    dials::Attempted,
    seat::{Lent, OutboundSeat},
    waiting::Awaited,
};
use self::{dials::Dials, lanes::Forgotten, streams::Streams};

/// Whether an idle stream will do for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    Allowed,
    /// One of them has turned out to be dead, and the others may be, too.
    Refused,
}

/// What a waiting request gets in the end.
pub(crate) type Granted = Result<Lent, OutboundFailure>;

/// The outbound side of a behaviour. Requests come here straight from the tasks that make them; the swarm is asked
/// only to dial, and a connection only to open streams.
///
/// Locks are taken in this order: the peers, what concerns one peer, the dials.
pub(crate) struct Outbound {
    config: Arc<Config>,
    peers: Mutex<Peers>,
    dials: Mutex<Dials>,
    dialer: AtomicWaker,
}

#[derive(Default)]
struct Peers {
    known: HashMap<PeerId, Arc<Streams>>,
    /// The peer that was asked for last, which is nearly always the next, too.
    last: Option<Arc<Streams>>,
    /// What is counted of those that were forgotten.
    past: Stats,
    ended: bool,
}

/// How a request for a stream is answered.
#[allow(
    clippy::large_enum_variant,
    reason = "a return value, matched at once and never stored"
)]
pub(crate) enum Acquired {
    Now(Lent),
    Later(Awaited),
}

impl Acquired {
    /// The stream, once it is there.
    pub(crate) async fn granted(self) -> Granted {
        match self {
            Self::Now(lent) => Ok(lent),
            Self::Later(awaited) => awaited.await,
        }
    }
}

impl Outbound {
    pub(crate) fn new(config: Arc<Config>) -> Arc<Self> {
        Arc::new(Self {
            config,
            peers: Mutex::default(),
            dials: Mutex::default(),
            dialer: AtomicWaker::new(),
        })
    }

    /// Asks for a stream to `peer`: an idle one, or the next that becomes free or is opened, in turn. Where none may be
    /// reused, the idle ones are dropped.
    pub(crate) fn acquire(
        self: &Arc<Self>,
        peer: PeerId,
        protocol: &Protocol,
        reuse: Reuse,
    ) -> Result<Acquired, OutboundFailure> {
        loop {
            let streams = self.streams_to(peer)?;
            // Where the streams were forgotten just now, there are others the next time.
            if let Ok(acquired) = streams.acquire(protocol, reuse) {
                if acquired.is_err() {
                    self.forget_if_unused(&streams);
                }
                return acquired;
            }
        }
    }

    fn streams_to(self: &Arc<Self>, peer: PeerId) -> Result<Arc<Streams>, OutboundFailure> {
        let mut peers = self.peers();
        if peers.ended {
            return Err(OutboundFailure::SwarmEnded);
        }
        if let Some(streams) = peers.last.as_ref().filter(|last| last.peer() == peer) {
            return Ok(Arc::clone(streams));
        }
        let known = peers.known.entry(peer);
        let streams = known.or_insert_with(|| Streams::new(self, &self.config, peer));
        let streams = Arc::clone(streams);
        peers.last = Some(Arc::clone(&streams));
        Ok(streams)
    }

    /// Has the swarm dial a peer.
    fn dial(&self, peer: PeerId) {
        self.dials().want(peer);
        self.dialer.wake();
    }

    /// Has the swarm dial a peer at the addresses of its destination, too. `None` if there is a connection to it, or no
    /// such address.
    pub(crate) fn dial_at(
        &self,
        destination: &Destination,
    ) -> Result<Option<Attempted>, OutboundFailure> {
        let streams = self.find(destination.peer());
        let connected = streams.is_some_and(|streams| streams.is_connected());
        if connected || destination.addresses().is_empty() {
            return Ok(None);
        }
        let attempted = self.dials().want_at(destination, &self.config)?;
        self.dialer.wake();
        Ok(Some(attempted))
    }

    /// The next dial for the swarm; the task of `cx` is woken for more.
    pub(crate) fn next_dial(&self, cx: &Context<'_>) -> Option<DialOpts> {
        self.dialer.register(cx.waker());
        self.dials().next()
    }

    /// Whether a dial of the swarm that is under way is one for [`dial_at`](Self::dial_at).
    pub(crate) fn is_dial_at(&self, connection: ConnectionId) -> bool {
        self.dials().is_at_addresses(connection)
    }

    /// A dial of the swarm has led to a connection, whose handler exists.
    pub(crate) fn dialled(&self, peer: PeerId, connection: ConnectionId) {
        self.dials().connected(peer, connection);
        // Its handler may have gone since.
        self.dial_failed(peer, || OutboundFailure::ConnectionClosed);
    }

    /// A dial of the swarm has failed; whether it was one for [`dial_at`](Self::dial_at), which concerns nobody else.
    pub(crate) fn dial_at_failed(
        &self,
        connection: ConnectionId,
        error: impl Fn() -> OutboundFailure,
    ) -> bool {
        self.dials().failed(connection, error)
    }

    /// A dial of the swarm has failed; whether it was one that this asked for by [`dial`](Self::dial).
    pub(crate) fn known_dial_ended(&self, peer: PeerId, connection: ConnectionId) -> bool {
        self.dials().known_ended(peer, connection)
    }

    /// A dial of somebody else has failed; whether that was for a request that names a way through the peer as a relay. Then
    /// the requests for the peer itself go on waiting, for a dial of their own.
    pub(crate) fn relay_dial_failed(&self, peer: PeerId) -> bool {
        let is_wanted = self.is_dialling(peer);
        let is_told = self.dials().relay_failed(peer, is_wanted);
        if is_told {
            self.dialer.wake();
        }
        is_told
    }

    /// A connection to the peer of `link` exists.
    pub(crate) fn connected(self: &Arc<Self>, link: &Arc<Link>) {
        while let Ok(streams) = self.streams_to(link.peer) {
            if streams.connected(link) != Err(Forgotten) {
                return;
            }
        }
    }

    /// The connection of `link` has ended. Streams and requests that depended on it fail at once.
    pub(crate) fn disconnected(&self, link: &Link) {
        if let Some(streams) = self.find(link.peer) {
            streams.disconnected(link.connection);
            self.forget_if_unused(&streams);
        }
    }

    /// Whether requests have made the swarm dial a peer that is not reached yet.
    pub(crate) fn is_dialling(&self, peer: PeerId) -> bool {
        self.find(peer).is_some_and(|streams| streams.is_dialling())
    }

    /// The peer could not be dialled.
    pub(crate) fn dial_failed(&self, peer: PeerId, error: impl Fn() -> OutboundFailure) {
        if let Some(streams) = self.find(peer) {
            streams.dial_ended(error);
            self.forget_if_unused(&streams);
        }
    }

    /// A stream was negotiated.
    pub(crate) fn opened(&self, link: &Arc<Link>, protocol: Protocol, transport: impl Transport) {
        if let Some(streams) = self.find(link.peer) {
            let hop = Hop::new(transport, &self.config);
            streams.opened(link, &protocol, hop);
        }
    }

    /// A stream could not be opened. One waiting request fails, or, where the peer does not offer the service, all
    /// that wait for it.
    pub(crate) fn open_failed(
        &self,
        link: &Link,
        protocol: &Protocol,
        error: impl Fn() -> OutboundFailure,
    ) {
        if let Some(streams) = self.find(link.peer) {
            streams.open_failed(link.connection, protocol, error);
        }
    }

    /// Looks after the idle streams of a connection; whether there are any left.
    pub(crate) fn sweep(&self, link: &Link, cx: &mut Context<'_>) -> bool {
        let streams = self.find(link.peer);
        streams.is_some_and(|streams| streams.sweep(link.connection, cx))
    }

    /// What there is of streams and requests, and what there was.
    pub(crate) fn stats(&self) -> Stats {
        let peers = self.peers();
        let mut all = peers.past;
        for streams in peers.known.values() {
            all += streams.stats();
        }
        all
    }

    /// Tells every connection something, which may leave work for it.
    pub(crate) fn each_link(&self, tell: impl Fn(&Link)) {
        for streams in self.peers().known.values() {
            streams.each_link(&tell);
        }
    }

    /// The swarm is gone: nothing can be opened any more.
    pub(crate) fn end(&self) {
        let mut peers = self.peers();
        peers.ended = true;
        peers.last = None;
        let known = mem::take(&mut peers.known);
        drop(peers);
        self.dials().end();
        for streams in known.values() {
            streams.end();
        }
    }

    fn find(&self, peer: PeerId) -> Option<Arc<Streams>> {
        self.peers().known.get(&peer).cloned()
    }

    fn forget_if_unused(&self, streams: &Arc<Streams>) {
        let mut peers = self.peers();
        if streams.forget_if_unused() {
            peers.past += streams.stats();
            peers.known.remove(&streams.peer());
            peers.last = None;
        }
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dials(&self) -> MutexGuard<'_, Dials> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
