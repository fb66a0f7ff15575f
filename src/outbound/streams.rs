//! The streams to one peer, as the tasks of requests and connections share them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Wake, Waker},
    time::Instant,
};

use libp2p_identity::PeerId;
use libp2p_swarm::ConnectionId;

use crate::{
    config::Config,
    event::OutboundFailure,
    h1::Client,
    hop::Hop,
    link::Link,
    outbound::{
        Acquired, Outbound, Reuse,
        lanes::{Forgotten, Next, Peer},
        seat::Lent,
        waiting::{Reply, refuse},
    },
    service::Protocol,
    stats::Stats,
    timer::Alarm,
};

/// All that concerns streams to one peer. Whoever holds one of the streams holds this, too, and so finds the way back
/// without a look at the other peers.
pub(crate) struct Streams {
    outbound: Weak<Outbound>,
    config: Arc<Config>,
    peer: PeerId,
    state: Mutex<State>,
    /// Wakes nobody, but fails the requests that have waited for too long.
    expiry: Waker,
}

struct State {
    peer: Peer,
    /// Goes off when the longest waiting request is due, or before.
    ///
    /// All requests wait equally long, so whoever comes later is due later: a timer that is running is left alone, and
    /// set again when it goes off. Waiting thus costs no timer of its own.
    timer: Option<Alarm>,
}

/// Calls back to the streams of a peer. Nothing else needs to be polled for it: not the swarm, which may be slow, nor a
/// connection, which may not exist yet.
struct Expiry(Weak<Streams>);

impl Wake for Expiry {
    fn wake(self: Arc<Self>) {
        if let Some(streams) = self.0.upgrade() {
            streams.expire();
        }
    }
}

impl Streams {
    pub(super) fn new(outbound: &Arc<Outbound>, config: &Arc<Config>, peer: PeerId) -> Arc<Self> {
        Arc::new_cyclic(|streams| Self {
            outbound: Arc::downgrade(outbound),
            config: Arc::clone(config),
            peer,
            state: Mutex::new(State {
                peer: Peer::default(),
                timer: None,
            }),
            expiry: Waker::from(Arc::new(Expiry(Weak::clone(streams)))),
        })
    }

    pub(super) fn peer(&self) -> PeerId {
        self.peer
    }

    /// Whether a stream of `protocol` is of no more use after one exchange.
    pub(super) fn is_once(&self, protocol: &Protocol) -> bool {
        protocol.one_request_per_stream() || self.config.half_close(protocol)
    }

    /// See [`Outbound::acquire`].
    pub(super) fn acquire(
        self: &Arc<Self>,
        protocol: &Protocol,
        reuse: Reuse,
    ) -> Result<Result<Acquired, OutboundFailure>, Forgotten> {
        let mut state = self.lock();
        let peer = state.peer.in_use()?;
        if reuse == Reuse::Refused {
            peer.drop_idle(protocol);
        }
        if let Some((link, hop)) = peer.take_idle(protocol, &self.config) {
            drop(state);
            let lent = Lent::new(self, &link, protocol.clone(), hop, true);
            return Ok(Ok(Acquired::Now(lent)));
        }
        if peer.is_crowded(&self.config) {
            return Ok(Err(OutboundFailure::TooManyWaiting));
        }
        let due = Instant::now().checked_add(self.config.dial_timeout());
        let awaited = peer.wait(protocol, due);
        if peer.is_connected() {
            peer.open_wanted(&self.config);
        } else if peer.begin_dial()
            && let Some(outbound) = self.outbound.upgrade()
        {
            outbound.dial(self.peer);
        }
        let due_now = state.timer.is_none() && self.arm(&mut state);
        drop(state);
        if due_now {
            self.expire();
        }
        Ok(Ok(Acquired::Later(awaited)))
    }

    pub(super) fn connected(&self, link: &Arc<Link>) -> Result<(), Forgotten> {
        let mut state = self.lock();
        let peer = state.peer.in_use()?;
        peer.add_link(Arc::clone(link));
        peer.open_wanted(&self.config);
        Ok(())
    }

    pub(super) fn disconnected(&self, connection: ConnectionId) {
        let mut state = self.lock();
        state.peer.remove_link(connection);
        if state.peer.is_connected() {
            state.peer.open_wanted(&self.config);
            return;
        }
        // The connection was never established, as another behaviour has refused it: the dial decides, which goes on unless
        // it was that connection's own.
        if state.peer.is_dialling() {
            return;
        }
        let failed = state.peer.take_waiting();
        drop(state);
        for reply in failed {
            refuse(reply, OutboundFailure::ConnectionClosed);
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.lock().peer.is_connected()
    }

    pub(super) fn is_dialling(&self) -> bool {
        self.lock().peer.is_dialling()
    }

    /// A dial has failed, or there was a connection. `error` is for those who wait, if there is none.
    pub(super) fn dial_ended(&self, error: impl Fn() -> OutboundFailure) {
        let mut state = self.lock();
        state.peer.end_dial();
        if state.peer.is_connected() {
            return;
        }
        let failed = state.peer.take_waiting();
        drop(state);
        for reply in failed {
            refuse(reply, error());
        }
    }

    pub(super) fn opened(
        self: &Arc<Self>,
        link: &Arc<Link>,
        protocol: &Protocol,
        hop: Hop<Client>,
    ) {
        self.lock().peer.opened(link.connection, protocol);
        self.offer(link, protocol, hop, false);
    }

    pub(super) fn open_failed(
        &self,
        connection: ConnectionId,
        protocol: &Protocol,
        error: impl Fn() -> OutboundFailure,
    ) {
        let mut state = self.lock();
        let ticket = state.peer.open_failed(connection, protocol);
        // A stream that the peer dropped, as it has too many, looks as one that it refused: where it has accepted the
        // service before, each request gets an answer of its own, and none that of a stream that was asked for before it.
        let every = matches!(error(), OutboundFailure::UnsupportedProtocol { .. })
            && !state.peer.has_accepted(protocol);
        let failed = if every {
            state.peer.take_waiting_for(protocol)
        } else {
            let first = ticket.and_then(|ticket| state.peer.take_waiting_since(protocol, ticket));
            first.into_iter().collect()
        };
        state.peer.open_wanted(&self.config);
        state.peer.forget_refused(protocol);
        drop(state);
        for reply in failed {
            refuse(reply, error());
        }
    }

    /// Gives a free stream to the request whose turn it is, or keeps it for the next.
    pub(super) fn offer(
        self: &Arc<Self>,
        link: &Arc<Link>,
        protocol: &Protocol,
        hop: Hop<Client>,
        reused: bool,
    ) {
        let mut free = Some(hop);
        while let Some(hop) = free.take() {
            let next = self
                .lock()
                .peer
                .next_for(link, protocol, hop, reused, &self.config);
            match next {
                Next::Lend(reply, hop) => {
                    let lent = Lent::new(self, link, protocol.clone(), hop, reused);
                    if let Err(Ok(lent)) = reply.send(Ok(lent)) {
                        // Nobody waits any more: the stream is still good for the next one.
                        self.not_used(reused);
                        free = Some(lent.into_hop());
                    }
                }
                Next::Kept => link.start_upkeep(),
                // Closed outside the lock.
                Next::Drop(hop) => drop(hop),
            }
        }
    }

    /// Nothing was sent on a stream that was lent, after others or as the first.
    pub(super) fn not_used(&self, reused: bool) {
        if reused {
            self.lock().peer.not_reused();
        }
    }

    /// A lent stream is gone.
    pub(super) fn freed(self: &Arc<Self>) {
        let mut state = self.lock();
        state.peer.lost(&self.config);
        let unused = state.peer.is_unused();
        drop(state);
        if unused && let Some(outbound) = self.outbound.upgrade() {
            outbound.forget_if_unused(self);
        }
    }

    pub(super) fn sweep(&self, connection: ConnectionId, cx: &mut Context<'_>) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        // Shorter than the peer's own patience, so that it seldom closes what we are about to use.
        let patience = self.config.keep_alive() / 4 * 3;
        let left = state.peer.sweep(connection, |idle| {
            if idle.since.is_some() {
                idle.hop.sleep(); // it was idle the last time, too
            }
            let since = *idle.since.get_or_insert(now);
            now.duration_since(since) < patience && idle.hop.reader.poll_idle_end(cx).is_pending()
        });
        state.peer.open_wanted(&self.config);
        left
    }

    pub(super) fn stats(&self) -> Stats {
        self.lock().peer.stats()
    }

    pub(super) fn each_link(&self, tell: impl Fn(&Link)) {
        self.lock().peer.each_link(tell);
    }

    /// The swarm is gone.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.peer.forget();
        let waiting = state.peer.take_waiting();
        drop(state);
        for reply in waiting {
            refuse(reply, OutboundFailure::SwarmEnded);
        }
    }

    /// Forgets the streams if nothing is left of them; nothing new is begun on them then. Whether this call did.
    pub(super) fn forget_if_unused(&self) -> bool {
        let mut state = self.lock();
        // What another has forgotten is no longer known, and the peer may have other streams by now.
        let Ok(peer) = state.peer.in_use() else {
            return false;
        };
        let unused = peer.is_unused();
        if unused {
            peer.forget();
        }
        unused
    }

    /// Fails the requests that have waited for too long.
    fn expire(&self) {
        loop {
            let mut state = self.lock();
            let failed = state.peer.take_due(Instant::now());
            let connected = state.peer.is_connected();
            let due_now = self.arm(&mut state);
            drop(state);
            self.time_out(failed, connected);
            if !due_now {
                return;
            }
        }
    }

    fn time_out(&self, failed: Vec<Reply>, connected: bool) {
        if !failed.is_empty() {
            let (peer, count) = (self.peer, failed.len());
            tracing::debug!(%peer, count, connected, "requests have waited for too long");
        }
        for reply in failed {
            refuse(
                reply,
                if connected {
                    OutboundFailure::StreamTimeout
                } else {
                    OutboundFailure::DialTimeout
                },
            );
        }
    }

    /// Sets the timer for the first request that is due, if there is any; whether it is due already.
    fn arm(&self, state: &mut State) -> bool {
        let due = state.peer.next_due();
        let is_due = due.is_some_and(|due| due <= Instant::now());
        // What is due wants the lock that is held here.
        let later = due.filter(|_| !is_due);
        state.timer = later.map(|due| Alarm::waking(due, &self.expiry));
        is_due
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{FutureExt, executor::block_on, future::join_all};
    use libp2p_swarm::ConnectionId;

    use super::*;
    use crate::{local, outbound::waiting::Awaited, service::ServiceName};

    const SHORT: Duration = Duration::from_millis(100);

    struct Stand {
        outbound: Arc<Outbound>,
        link: Arc<Link>,
        protocol: Protocol,
        /// Keeps the other ends of the streams.
        far: Vec<local::LocalStream>,
    }

    impl Stand {
        fn new(patience: Duration) -> Self {
            let config = Config::default()
                .with_dial_timeout(patience)
                .with_max_outbound_streams(1);
            let name: ServiceName = "app".parse().expect("is a name");
            Self {
                outbound: Outbound::new(Arc::new(config)),
                link: Link::new(PeerId::random(), ConnectionId::new_unchecked(1), false),
                protocol: name.into(),
                far: Vec::new(),
            }
        }

        fn connected(patience: Duration) -> Self {
            let stand = Self::new(patience);
            stand.outbound.connected(&stand.link);
            stand
        }

        fn acquire(&self) -> Acquired {
            let (peer, protocol) = (self.link.peer, &self.protocol);
            let acquired = self.outbound.acquire(peer, protocol, Reuse::Allowed);
            acquired.expect("there is room")
        }

        fn wait(&self) -> Awaited {
            match self.acquire() {
                Acquired::Later(awaited) => awaited,
                Acquired::Now(_) => panic!("no stream is free"),
            }
        }

        /// Opens the stream that was asked for.
        fn open(&mut self) {
            let (near, far) = local::pair();
            self.far.push(far);
            self.outbound
                .opened(&self.link, self.protocol.clone(), near);
        }
    }

    fn is_granted(awaited: &mut Awaited) -> bool {
        matches!(awaited.now_or_never(), Some(Ok(_)))
    }

    #[test]
    fn many_requests_time_out_together_and_none_before_its_time() {
        for connected in [false, true] {
            let stand = Stand::new(SHORT);
            if connected {
                stand.outbound.connected(&stand.link);
            }
            let began = Instant::now();
            let early: Vec<_> = (0..100).map(|_| stand.wait()).collect();
            std::thread::sleep(SHORT / 2);
            let later = Instant::now();
            let late: Vec<_> = (0..100).map(|_| stand.wait()).collect();
            for (awaited, since) in [(early, began), (late, later)] {
                let results = block_on(join_all(awaited));
                assert!(since.elapsed() >= SHORT);
                assert!(results.iter().all(|result| match result {
                    Err(OutboundFailure::StreamTimeout) => connected,
                    Err(OutboundFailure::DialTimeout) => !connected,
                    _ => false,
                }));
            }
        }
    }

    #[test]
    fn a_timer_that_ran_out_runs_again_for_the_next_request() {
        let stand = Stand::connected(SHORT / 4);
        for _ in 0..2 {
            let began = Instant::now();
            assert!(block_on(stand.wait()).is_err());
            assert!(began.elapsed() >= SHORT / 4);
        }
    }

    #[test]
    fn no_patience_at_all_fails_at_once() {
        let stand = Stand::connected(Duration::ZERO);
        let result = block_on(stand.wait());
        assert!(matches!(result, Err(OutboundFailure::StreamTimeout)));
    }

    #[test]
    fn a_stream_that_comes_in_time_is_granted_and_stays_granted() {
        let mut stand = Stand::connected(SHORT);
        let (mut first, second) = (stand.wait(), stand.wait());
        stand.open();
        // The timer goes off between the grant and the look at it.
        let result = block_on(second);
        assert!(matches!(result, Err(OutboundFailure::StreamTimeout)));
        assert!(is_granted(&mut first));
    }

    #[test]
    fn a_request_that_was_given_up_takes_no_stream() {
        let mut stand = Stand::connected(SHORT);
        let (first, mut second) = (stand.wait(), stand.wait());
        drop(first);
        stand.open();
        assert!(is_granted(&mut second));
    }

    #[test]
    fn requests_that_were_given_up_make_room_for_others() {
        let most = 16;
        let config = Config::default().with_max_waiting_requests(most);
        let stand = Stand {
            outbound: Outbound::new(Arc::new(config)),
            ..Stand::new(SHORT)
        };
        let mut waiting: Vec<_> = (0..most).map(|_| stand.wait()).collect();
        let acquire = || {
            let (peer, protocol) = (stand.link.peer, &stand.protocol);
            stand.outbound.acquire(peer, protocol, Reuse::Allowed)
        };
        assert!(matches!(acquire(), Err(OutboundFailure::TooManyWaiting)));
        waiting.truncate(most / 2);
        for _ in 0..most / 2 {
            waiting.push(stand.wait());
        }
        assert!(matches!(acquire(), Err(OutboundFailure::TooManyWaiting)));
    }

    #[test]
    fn an_idle_stream_may_be_kept_for_as_long_as_can_be_said() {
        let config = Config::default().with_keep_alive(Duration::MAX);
        let stand = Stand {
            outbound: Outbound::new(Arc::new(config)),
            ..Stand::new(SHORT)
        };
        stand.outbound.connected(&stand.link);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(!stand.outbound.sweep(&stand.link, &mut cx));
    }

    #[test]
    fn a_connection_that_is_refused_takes_no_requests_with_it() {
        let stand = Stand::new(SHORT);
        let (peer, mut awaited) = (stand.link.peer, stand.wait());
        stand.outbound.connected(&stand.link);
        stand.outbound.disconnected(&stand.link);
        assert!((&mut awaited).now_or_never().is_none(), "the dial goes on");
        stand
            .outbound
            .dial_failed(peer, || OutboundFailure::NoAddresses);
        let failed = awaited.now_or_never();
        assert!(matches!(failed, Some(Err(OutboundFailure::NoAddresses))));
        assert!(stand.outbound.find(peer).is_none());
    }

    #[test]
    fn a_connection_that_ends_as_it_is_established_fails_the_requests_at_once() {
        let stand = Stand::new(SHORT);
        let (peer, awaited) = (stand.link.peer, stand.wait());
        stand.outbound.connected(&stand.link);
        stand.outbound.disconnected(&stand.link);
        stand.outbound.dialled(peer, stand.link.connection);
        let failed = awaited.now_or_never();
        assert!(matches!(
            failed,
            Some(Err(OutboundFailure::ConnectionClosed))
        ));
    }

    #[test]
    fn a_stream_that_nobody_looked_at_goes_to_the_next() {
        let mut stand = Stand::connected(SHORT);
        let (first, mut second) = (stand.wait(), stand.wait());
        stand.open();
        drop(first);
        assert!(is_granted(&mut second));
    }

    #[test]
    fn only_streams_that_are_used_again_count_as_reused() {
        let mut stand = Stand::connected(SHORT);
        let awaited = stand.wait();
        stand.open();
        block_on(awaited).expect("is opened").give_back();
        let Acquired::Now(lent) = stand.acquire() else {
            panic!("the stream is idle");
        };
        assert_eq!(stand.outbound.stats().reused, 1);
        // Given back unused to a request that has gone by the time that it would look.
        let next = stand.wait();
        lent.give_back();
        drop(next);
        let stats = stand.outbound.stats();
        assert_eq!((stats.reused, stats.idle_streams), (0, 1));
    }

    #[test]
    fn a_request_does_not_fail_by_a_stream_that_was_asked_for_before_it() {
        let config = Config::default().with_spare_streams(2);
        let mut stand = Stand {
            outbound: Outbound::new(Arc::new(config)),
            ..Stand::new(SHORT)
        };
        stand.outbound.connected(&stand.link);
        let awaited = stand.wait();
        stand.open();
        block_on(awaited).expect("is opened").give_back();
        // Has another one opened ahead of need, which the peer refuses after the next request has come.
        let Acquired::Now(lent) = stand.acquire() else {
            panic!("the stream is idle");
        };
        let mut next = stand.wait();
        let refuse = || {
            let (link, protocol) = (&stand.link, &stand.protocol);
            let failure = || OutboundFailure::UnsupportedProtocol {
                protocol: protocol.clone(),
            };
            stand.outbound.open_failed(link, protocol, failure);
        };
        refuse();
        assert!((&mut next).now_or_never().is_none(), "has one of its own");
        refuse();
        let failed = next.now_or_never();
        assert!(matches!(
            failed,
            Some(Err(OutboundFailure::UnsupportedProtocol { .. }))
        ));
        drop(lent);
    }

    #[test]
    fn the_peer_is_forgotten_with_its_last_stream() {
        let mut stand = Stand::connected(SHORT);
        let awaited = stand.wait();
        stand.open();
        let lent = block_on(awaited);
        stand.outbound.disconnected(&stand.link);
        assert!(stand.outbound.find(stand.link.peer).is_some(), "is lent");
        drop(lent);
        assert!(stand.outbound.find(stand.link.peer).is_none());
    }

    #[test]
    fn a_peer_that_was_forgotten_does_not_take_the_next_one_along() {
        let mut stand = Stand::connected(SHORT);
        let awaited = stand.wait();
        stand.open();
        let old = stand.outbound.find(stand.link.peer).expect("is in use");
        drop(block_on(awaited));
        stand.outbound.disconnected(&stand.link);
        let opened = stand.outbound.stats().opened;
        let _waiting = stand.wait();
        // Another task had found the old streams unused as well, and says so only now.
        stand.outbound.forget_if_unused(&old);
        assert!(stand.outbound.find(stand.link.peer).is_some());
        assert_eq!(stand.outbound.stats().opened, opened);
    }
}
