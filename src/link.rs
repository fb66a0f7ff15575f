//! One libp2p connection as the rest of the crate sees it: where work for the task that drives it is left.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Context,
};

use futures::{future::BoxFuture, task::AtomicWaker};
use libp2p_identity::PeerId;
use libp2p_swarm::{ConnectionId, StreamProtocol};

use crate::{
    admission::Permit,
    error::ExchangeError,
    h1::{RequestContext, RequestHead, Server},
    hop::{Hop, LINGER},
    ids::InboundRequestId,
    lease::Seat,
    members::Member,
    parking::{Parking, Spot, park},
    service::Protocol,
};

/// Work that the task of the connection does.
pub(crate) type Job = BoxFuture<'static, ()>;

/// A connection, from the moment its handler is made until the handler is dropped.
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    /// Whether the connection goes through a relay, which is slower and limited.
    pub(crate) relayed: bool,
    /// The bytes that the relay passes on, as far as known.
    capacity: OnceLock<u64>,
    inbox: Mutex<Inbox>,
    /// Whether there is anything in the inbox: the connection looks far more often than something is left.
    left: AtomicBool,
    closed: AtomicBool,
    /// The task of the connection does its upkeep from time to time.
    upkeep: AtomicBool,
    /// Whether an exchange has run since the last upkeep.
    ran: AtomicBool,
    running: AtomicUsize,
    waker: AtomicWaker,
    parking: Arc<Parking>,
}

/// What was left for the task of the connection. Every entry stands for a stream, so their number is bounded by the
/// limits on streams.
#[derive(Default)]
pub(crate) struct Inbox {
    /// Streams that an application has done with, and that carry no more exchanges.
    pub(crate) returned: Vec<Returned>,
    /// Idle streams of services that end.
    pub(crate) ending: Vec<Returned>,
    /// There may be more such streams, in the parking of the connection.
    pub(crate) service_ends: bool,
    /// Requests that were read elsewhere, and are to be handed out here.
    pub(crate) arrived: Vec<Arrival>,
    /// Requests whose responses have not left.
    pub(crate) unsent: Vec<Option<InboundRequestId>>,
    /// Why requests could not be read elsewhere.
    pub(crate) unread: Vec<ExchangeError>,
    pub(crate) jobs: Vec<Job>,
    /// Streams to open.
    pub(crate) wanted: Vec<Protocol>,
}

impl Link {
    pub(crate) fn new(peer: PeerId, connection: ConnectionId, relayed: bool) -> Arc<Self> {
        Arc::new(Self {
            peer,
            connection,
            relayed,
            capacity: OnceLock::new(),
            inbox: Mutex::default(),
            left: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            upkeep: AtomicBool::new(false),
            ran: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            waker: AtomicWaker::new(),
            parking: Arc::default(),
        })
    }

    /// Notes how many bytes the connection carries at most before its relay ends it.
    pub(crate) fn set_capacity(&self, bytes: u64) {
        // A relay does not change its mind while a connection lasts.
        let _ = self.capacity.set(bytes);
    }

    /// How many bytes the connection carries at most, in both directions together; `None` for any number.
    pub(crate) fn capacity(&self) -> Option<u64> {
        self.capacity.get().copied()
    }

    /// Leaves work. After the connection has ended it is dropped, and with it the streams that it holds.
    pub(crate) fn leave(&self, put: impl FnOnce(&mut Inbox)) {
        let mut dropped = Inbox::default();
        let mut inbox = self.inbox();
        // Under the lock, as whoever closes it empties the inbox just once.
        if self.is_closed() {
            drop(inbox);
            put(&mut dropped);
            return;
        }
        put(&mut inbox);
        drop(inbox);
        self.left.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Takes what was left, if anything was; the task of `cx` is woken for more.
    pub(crate) fn take(&self, cx: &Context<'_>) -> Option<Inbox> {
        self.waker.register(cx.waker());
        let left = self.left.swap(false, Ordering::AcqRel);
        left.then(|| mem::take(&mut *self.inbox()))
    }

    /// There is something to look after: idle outbound streams, or the end of the last exchange. Wakes the connection
    /// only where it is not doing that already.
    pub(crate) fn start_upkeep(&self) {
        if !self.upkeep.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    /// Upkeep begins: what asks for it from here on is for the next time. Whether an exchange has run since the last.
    pub(crate) fn begin_upkeep(&self) -> bool {
        self.upkeep.store(false, Ordering::Release);
        self.ran.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn needs_upkeep(&self) -> bool {
        self.upkeep.load(Ordering::Acquire)
    }

    /// A service ends: has the task of the connection end the streams of it that are idle.
    pub(crate) fn end_streams(&self) {
        self.leave(|inbox| inbox.service_ends = true);
    }

    /// Has the task of the connection look at everything again, such as which services there are.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The connection has ended.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // Dropped outside the lock: streams find their way home through this very link.
        let left = mem::take(&mut *self.inbox());
        drop(left);
        self.parking.end();
    }

    /// Where streams wait whose requests the task of the connection reads.
    pub(crate) fn parking(&self) -> &Arc<Parking> {
        &self.parking
    }

    /// Whether an exchange is running on any stream of the connection, or has been since the last upkeep: a connection
    /// that was called idle between any two exchanges would pay for a timer each time.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0 || self.ran.load(Ordering::Acquire)
    }

    /// Keeps the connection alive until the guard is dropped.
    pub(crate) fn run(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::AcqRel);
        self.ran.store(true, Ordering::Release);
        self.start_upkeep();
        Running(Arc::clone(self))
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running exchange.
pub(crate) struct Running(Arc<Link>);

impl Running {
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The place of an inbound stream on its connection.
pub(crate) struct InboundSeat {
    pub(crate) link: Arc<Link>,
    /// What the stream was negotiated for.
    pub(crate) protocol: StreamProtocol,
    /// The request that is being answered.
    pub(crate) request_id: Option<InboundRequestId>,
    /// What must be known of it where this node answers it itself.
    pub(crate) context: RequestContext,
    /// Held while an exchange runs.
    pub(crate) running: Option<Running>,
    /// Where the stream waits for its next request.
    pub(crate) home: Arc<Parking>,
    /// Its place there.
    pub(crate) spot: Option<Arc<Spot>>,
    /// Counts the stream among those of the service that its last request was for.
    pub(crate) member: Option<Member>,
    /// Counts the stream; see [`Admission`](crate::admission::Admission).
    pub(crate) _permit: Permit,
    /// Counts the stream among those of the connection.
    pub(crate) _place: Arc<()>,
}

impl InboundSeat {
    /// The stream does not come back to the service that it was lent to.
    pub(crate) fn leave_service(&mut self) {
        self.home = Arc::clone(self.link.parking());
        self.member = None;
    }

    /// Whether the service ends, and with it the stream.
    pub(crate) fn is_ending(&self) -> bool {
        self.member.as_ref().is_some_and(Member::is_ending)
    }

    /// Ends the stream in order; where its service ends, once the peer has what was sent to it, too.
    pub(crate) async fn end(&self, hop: Hop<Server>) -> Result<(), ExchangeError> {
        match self.is_ending() {
            true => hop.linger(LINGER).await,
            false => hop.try_close().await,
        }
    }
}

/// A request whose head was read.
pub(crate) struct Arrival {
    pub(crate) head: RequestHead,
    pub(crate) hop: Hop<Server>,
    pub(crate) seat: Box<InboundSeat>,
}

impl Arrival {
    /// Has the task of the connection find out anew who answers.
    pub(crate) fn hand_back(self) {
        let link = Arc::clone(&self.seat.link);
        link.leave(|inbox| inbox.arrived.push(self));
    }
}

/// An inbound stream that carries no more exchanges.
pub(crate) struct Returned {
    pub(crate) hop: Hop<Server>,
    pub(crate) seat: Box<InboundSeat>,
}

impl Seat<Server> for Box<InboundSeat> {
    fn is_last(&self) -> bool {
        self.is_ending()
    }

    fn returned(self, hop: Hop<Server>) {
        if hop.reuse().is_ok() {
            park(hop, self);
            return;
        }
        let link = Arc::clone(&self.link);
        link.leave(|inbox| inbox.returned.push(Returned { hop, seat: self }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn work_that_is_left_while_the_connection_ends_is_dropped() {
        const ROUNDS: usize = 20_000;
        let peer = PeerId::random();
        let links: Vec<_> = (0..ROUNDS)
            .map(|_| Link::new(peer, ConnectionId::new_unchecked(1), false))
            .collect();
        let (begin, end) = (Barrier::new(2), Barrier::new(2));
        let mut kept = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for link in &links {
                    begin.wait();
                    link.close();
                    end.wait();
                }
            });
            for link in &links {
                let held = Arc::new(());
                let job = Arc::clone(&held);
                begin.wait();
                link.leave(|inbox| inbox.jobs.push(Box::pin(async move { drop(job) })));
                end.wait();
                kept += Arc::strong_count(&held) - 1;
            }
        });
        assert_eq!(kept, 0);
    }
}
