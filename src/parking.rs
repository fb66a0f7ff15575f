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
    arrival::{poll_request, refuse_request},
    error::ExchangeError,
    h1::{RequestHead, Server},
    hop::Hop,
    link::{InboundSeat, Returned},
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
    hop.begin_request();
    Parked {
        hop,
        seat,
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

    /// Takes no more streams. Those that stand here, and those that come, go back to their connections, which read their
    /// next requests.
    pub(crate) fn close(&self) {
        for spot in self.clear() {
            // Named, as the lock must not be held while the stream moves.
            let parked = spot.lock().take();
            if let Some(parked) = parked {
                parked.leave();
            }
        }
    }

    /// The streams of services that end, from between two requests.
    pub(crate) fn take_ending(&self) -> Vec<Returned> {
        // The lock on each is taken before that of the parking.
        let spots: Vec<_> = self.state().taken.values().cloned().collect();
        let ending = spots.iter().filter_map(|spot| {
            let parked = spot.lock().take_if(|parked| parked.is_ending())?;
            self.state().taken.remove(&spot.number);
            let Parked { hop, seat, .. } = parked;
            Some(Returned { hop, seat })
        });
        ending.collect()
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
            state.woken.retain(|spot| spot.connection != connection);
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
        // The lock on the stream may be held by whoever calls this. Where the stream has gone for good nothing is
        // listed: nobody might ever take it off the list again.
        let mut state = self.parking.state();
        if state.taken.contains_key(&self.number) && !self.woken.swap(true, Ordering::AcqRel) {
            state.woken.push_back(Arc::clone(self));
            drop(state);
            self.parking.reader.wake();
        }
    }
}

impl Parked {
    /// Whether no request is read from the stream any more. One that has been is answered.
    fn is_ending(&self) -> bool {
        self.seat.is_ending() && self.read.is_none()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<RequestHead, ExchangeError>> {
        match self.read.take() {
            Some(read) => Poll::Ready(*read),
            None => poll_request(cx, &mut self.hop),
        }
    }

    /// Stands where the seat says, unless the service ends. The task that answers for it may be gone.
    fn stay(self) {
        if let Err(parked) = self.enter() {
            parked.leave();
        }
    }

    /// Leaves where nobody reads any more. The task of the connection ends the stream, or reads its next request, and
    /// tells the peer.
    fn leave(mut self) {
        if self.is_ending() {
            let link = Arc::clone(&self.seat.link);
            let Self { hop, seat, .. } = self;
            link.leave(|inbox| inbox.ending.push(Returned { hop, seat }));
            return;
        }
        self.seat.leave_service();
        // Where the connection, too, has gone, nothing is left but to drop the stream.
        let _ = self.enter();
    }

    fn enter(mut self) -> Result<(), Self> {
        let home = Arc::clone(&self.seat.home);
        let spot = self.seat.spot.take();
        let spot = spot
            .filter(|spot| Arc::ptr_eq(&spot.parking, &home))
            .unwrap_or_else(|| home.new_spot(self.seat.link.connection));
        // Until the stream stands here, whoever wants to look at it or to take it away waits for this lock.
        let mut place = spot.lock();
        let mut state = home.state();
        // All is asked under the lock: a connection first ends and then has its streams dropped, and a service first ends
        // and then has those taken that stand here.
        if state.closed || self.seat.link.is_closed() || self.is_ending() {
            drop(state);
            return Err(self);
        }
        state.taken.insert(spot.number, Arc::clone(&spot));
        drop(state);
        let waker = Waker::from(Arc::clone(&spot));
        if let Poll::Ready(read) = self.poll(&mut Context::from_waker(&waker)) {
            self.read = Some(Box::new(read));
        }
        let is_read = self.read.is_some();
        *place = Some(self);
        drop(place);
        if is_read {
            spot.wake_by_ref();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::{AsyncWriteExt, executor::block_on};
    use libp2p_identity::PeerId;
    use libp2p_swarm::StreamProtocol;

    use super::*;
    use crate::{
        admission::{Admission, Permit},
        config::Config,
        h1::RequestContext,
        link::Link,
        local,
        members::{Member, Members},
    };

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    #[derive(Default)]
    struct Reader(AtomicUsize);

    impl Wake for Reader {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Stand {
        link: Arc<Link>,
        admission: Arc<Admission>,
        /// Of a service.
        parking: Arc<Parking>,
        reader: Arc<Reader>,
    }

    impl Stand {
        fn new() -> Self {
            let connection = ConnectionId::new_unchecked(1);
            Self {
                link: Link::new(PeerId::random(), connection, false),
                admission: Arc::default(),
                parking: Arc::default(),
                reader: Arc::default(),
            }
        }

        /// One more stand in the same places, for one more stream.
        fn beside(&self) -> Self {
            Self {
                link: Arc::clone(&self.link),
                parking: Arc::clone(&self.parking),
                ..Self::new()
            }
        }

        /// A stream of the only peer that may have one, and its other end.
        fn open(&self) -> (Hop<Server>, Box<InboundSeat>, local::LocalStream) {
            let config = Arc::new(Config::default().with_max_inbound_streams(1));
            let (near, far) = local::pair();
            let seat = InboundSeat {
                link: Arc::clone(&self.link),
                protocol: StreamProtocol::new("/x/http/app"),
                request_id: None,
                context: RequestContext::default(),
                running: None,
                home: Arc::clone(&self.parking),
                member: None,
                spot: None,
                _permit: self.admit().expect("the place is free"),
                _place: Arc::default(),
            };
            (Hop::new(near, &config), Box::new(seat), far)
        }

        fn admit(&self) -> Option<Permit> {
            let config = Config::default().with_max_inbound_streams(1);
            self.admission.admit(self.link.peer, &config)
        }

        fn poll(&self, parking: &Parking) -> Option<Arrived> {
            let waker = Waker::from(Arc::clone(&self.reader));
            match parking.poll_next(&Context::from_waker(&waker)) {
                Poll::Ready(arrived) => Some(arrived),
                Poll::Pending => None,
            }
        }

        fn woken(&self) -> usize {
            self.reader.0.load(Ordering::Relaxed)
        }
    }

    fn send(far: &mut local::LocalStream) {
        block_on(far.write_all(REQUEST)).expect("is taken");
    }

    #[test]
    fn the_reader_is_woken_by_a_request_and_not_before() {
        let stand = Stand::new();
        let (hop, seat, mut far) = stand.open();
        assert!(stand.poll(&stand.parking).is_none());
        park(hop, seat);
        assert_eq!(stand.woken(), 0);
        send(&mut far);
        assert!(stand.woken() > 0);
        let arrived = stand.poll(&stand.parking).expect("a request");
        assert_eq!(arrived.read.expect("is read").target(), "/");
        assert!(stand.poll(&stand.parking).is_none(), "it has left");
        assert!(stand.parking.state().taken.is_empty());
    }

    #[test]
    fn a_request_that_is_there_already_is_not_missed() {
        let stand = Stand::new();
        let (hop, seat, mut far) = stand.open();
        assert!(stand.poll(&stand.parking).is_none());
        send(&mut far);
        park(hop, seat);
        assert_eq!(stand.woken(), 1);
        let arrived = stand.poll(&stand.parking).expect("a request");
        assert!(arrived.read.is_ok());
    }

    #[test]
    fn streams_go_back_to_their_connection_when_nobody_reads_from_them() {
        let stand = Stand::new();
        let (hop, seat, mut far) = stand.open();
        park(hop, seat);
        stand.parking.close();
        send(&mut far);
        assert!(stand.poll(&stand.parking).is_none());
        let Arrived { hop, seat, read } = stand.poll(stand.link.parking()).expect("a request");
        assert!(read.is_ok());

        // So does one that comes later.
        let mut seat = seat;
        seat.home = Arc::clone(&stand.parking);
        drop((hop, far));
        let (near, mut far) = local::pair();
        park(Hop::new(near, &Arc::default()), seat);
        send(&mut far);
        assert!(stand.poll(stand.link.parking()).is_some());
    }

    #[test]
    fn streams_of_a_service_that_ends_are_taken_from_where_they_stand() {
        let stand = Stand::new();
        let (ending, going_on): (Arc<Members>, Arc<Members>) = Default::default();
        let stay = |members: &Arc<Members>| {
            let (hop, mut seat, far) = stand.beside().open();
            seat.member = Some(Member::new(members));
            park(hop, seat);
            far
        };
        let _other = stay(&going_on);
        let _idle = stay(&ending);
        ending.end();
        assert_eq!(stand.parking.take_ending().len(), 1);
        assert_eq!(stand.parking.take_ending().len(), 0);
        assert_eq!(stand.parking.state().taken.len(), 1);

        // One that comes only now is left to its connection, too, which ends it.
        let _late = stay(&ending);
        assert_eq!(stand.parking.state().taken.len(), 1);
        let inbox = stand.link.take(&Context::from_waker(Waker::noop()));
        assert_eq!(inbox.expect("something was left").ending.len(), 1);
    }

    #[test]
    fn the_end_of_a_connection_frees_the_places_of_its_streams() {
        let stand = Stand::new();
        let (hop, seat, _far) = stand.open();
        park(hop, seat);
        assert!(stand.admit().is_none());
        stand.link.close();
        stand.parking.drop_streams(stand.link.connection);
        assert!(stand.parking.state().woken.is_empty(), "nobody reads");
        drop(stand.admit().expect("the place is free"));

        // Nor does a stream take one that comes back after that.
        let (hop, seat, _far) = stand.open();
        park(hop, seat);
        assert!(stand.admit().is_some());
    }
}
