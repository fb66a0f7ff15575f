//! Where do inbound streams stand between two requests, and who reads the next one?
//!
//! A stream stands in the parking of its connection, whose task reads its first request, and later in that of the
//! service if a task answers for it ([`Requests`](crate::Requests)): this task then reads the next request itself, and
//! the one of the connection has nothing to do with it. Whoever gives a stream back looks at once whether there is a
//! request on it, so nobody need be woken before there is.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures::task::AtomicWaker;
use libp2p_swarm::ConnectionId;

use crate::{
    arrival::{NextRequest, refuse_request},
    error::ExchangeError,
    h1::{RequestHead, Server},
    hop::Hop,
    link::InboundSeat,
};

/// The streams whose next request one task reads.
#[derive(Default)]
pub(crate) struct Parking {
    state: Mutex<State>,
    /// The task that reads the requests.
    reader: AtomicWaker,
}

#[derive(Default)]
struct State {
    taken: HashMap<u64, Arc<Spot>>,
    /// Those on whose streams something has happened.
    woken: VecDeque<Arc<Spot>>,
    next: u64,
    closed: bool,
}

/// Where one stream stands whenever it is between two requests. Kept while the stream is lent, for the next time.
///
/// Its own lock is taken before that of the parking.
pub(crate) struct Spot {
    parking: Arc<Parking>,
    number: u64,
    connection: ConnectionId,
    /// Among those that were woken.
    woken: AtomicBool,
    parked: Mutex<Option<Parked>>,
}

/// A stream between two requests.
struct Parked {
    hop: Hop<Server>,
    seat: Box<InboundSeat>,
    next: NextRequest,
    /// What was there when the stream came. Boxed, as there seldom is anything.
    read: Option<Box<Result<RequestHead, ExchangeError>>>,
}

/// A stream whose wait is over.
pub(crate) struct Arrived {
    pub(crate) read: Result<RequestHead, ExchangeError>,
    pub(crate) hop: Hop<Server>,
    pub(crate) seat: Box<InboundSeat>,
}

/// Has a stream wait for its next request, in the parking that its seat names. Only on a fresh stream, or where another
/// exchange may follow.
pub(crate) fn park(mut hop: Hop<Server>, mut seat: Box<InboundSeat>) {
    seat.request_id = None;
    seat.running = None;
    let next = NextRequest::begin(&mut hop);
    Parked {
        hop,
        seat,
        next,
        read: None,
    }
    .stay();
}

/// Ends a stream on which no request could be read, in the task of its connection, which reports what there is to
/// report.
pub(crate) fn refuse_unread(hop: Hop<Server>, seat: Box<InboundSeat>, error: ExchangeError) {
    let link = Arc::clone(&seat.link);
    let reports = Arc::clone(&link);
    link.leave(|inbox| {
        inbox.jobs.push(Box::pin(async move {
            if let Some(error) = refuse_request(hop, seat, error).await {
                reports.leave(|inbox| inbox.unread.push(error));
            }
        }));
    });
}

impl Parking {
    /// The next stream on which there is a request, or none will come. The task of `cx` is woken for more.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Arrived> {
        self.reader.register(cx.waker());
        loop {
            let woken = self.state().woken.pop_front();
            let Some(spot) = woken else {
                return Poll::Pending;
            };
            if let Poll::Ready(arrived) = spot.poll() {
                return Poll::Ready(arrived);
            }
        }
    }

    /// Takes no more streams. Those that stand here go back to their connections.
    pub(crate) fn close(&self) {
        for spot in self.clear() {
            // Named, as the lock must not be held while the stream moves.
            let parked = spot.lock().take();
            if let Some(mut parked) = parked {
                parked.go_back();
                parked.stay();
            }
        }
    }

    /// Takes no more streams, and drops those that stand here.
    pub(crate) fn end(&self) {
        for spot in self.clear() {
            let parked = spot.lock().take();
            drop(parked);
        }
    }

    fn clear(&self) -> Vec<Arc<Spot>> {
        let mut state = self.state();
        state.closed = true;
        state.woken.clear();
        let taken = mem::take(&mut state.taken);
        taken.into_values().collect()
    }

    /// Drops the streams of a connection that has ended.
    pub(crate) fn drop_streams(&self, connection: ConnectionId) {
        let ended: Vec<_> = {
            let mut state = self.state();
            let ended = state
                .taken
                .extract_if(|_, spot| spot.connection == connection);
            ended.map(|(_, spot)| spot).collect()
        };
        for spot in ended {
            let parked = spot.lock().take();
            drop(parked);
        }
    }

    fn new_spot(self: &Arc<Self>, connection: ConnectionId) -> Arc<Spot> {
        let mut state = self.state();
        state.next += 1;
        Arc::new(Spot {
            parking: Arc::clone(self),
            number: state.next,
            connection,
            woken: AtomicBool::new(false),
            parked: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spot {
    /// Looks at the stream; it leaves once there is a request.
    fn poll(self: Arc<Self>) -> Poll<Arrived> {
        self.woken.store(false, Ordering::Release);
        let mut place = self.lock();
        // Nobody is here where the stream has left since it was woken.
        let Some(mut parked) = place.take() else {
            return Poll::Pending;
        };
        let waker = Waker::from(Arc::clone(&self));
        let Poll::Ready(read) = parked.poll(&mut Context::from_waker(&waker)) else {
            *place = Some(parked);
            return Poll::Pending;
        };
        drop(place);
        self.parking.state().taken.remove(&self.number);
        let Parked { hop, mut seat, .. } = parked;
        seat.spot = Some(self);
        Poll::Ready(Arrived { read, hop, seat })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Parked>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Spot {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    /// Something has happened on the stream.
    fn wake_by_ref(self: &Arc<Self>) {
        // The lock on the stream may be held by whoever calls this.
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.parking.state().woken.push_back(Arc::clone(self));
            self.parking.reader.wake();
        }
    }
}

impl Parked {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<RequestHead, ExchangeError>> {
        match self.read.take() {
            Some(read) => Poll::Ready(*read),
            None => self.next.poll(cx, &mut self.hop),
        }
    }

    /// Stands where the seat says. The task that answers for the service may be gone; then that of the connection
    /// tells the peer.
    fn stay(self) {
        if let Err(mut parked) = self.enter() {
            parked.go_back();
            // Where the connection, too, has gone, nothing is left but to drop the stream.
            let _ = parked.enter();
        }
    }

    fn go_back(&mut self) {
        self.seat.home = Arc::clone(self.seat.link.parking());
    }

    fn enter(mut self) -> Result<(), Self> {
        let home = Arc::clone(&self.seat.home);
        let spot = self.seat.spot.take();
        let spot = spot
            .filter(|spot| Arc::ptr_eq(&spot.parking, &home))
            .unwrap_or_else(|| home.new_spot(self.seat.link.connection));
        let mut place = spot.lock();
        let waker = Waker::from(Arc::clone(&spot));
        if let Poll::Ready(read) = self.poll(&mut Context::from_waker(&waker)) {
            self.read = Some(Box::new(read));
        }
        let mut state = home.state();
        // The latter is asked under the lock: a connection first ends and then has its streams dropped.
        if state.closed || self.seat.link.is_closed() {
            drop(state);
            return Err(self);
        }
        state.taken.insert(spot.number, Arc::clone(&spot));
        drop(state);
        let is_read = self.read.is_some();
        *place = Some(self);
        drop(place);
        if is_read {
            spot.wake_by_ref();
        }
        Ok(())
    }
}
