//! The streams of one connection between two exchanges, and what becomes of them.
//!
//! Driven by the connection's handler; requests to the own peer are driven the same way by the behaviour.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::FuturesUnordered};
use libp2p_identity::PeerId;
use libp2p_swarm::{ConnectionId, StreamProtocol};

use crate::{
    arrival::{refuse, turn_away},
    event::InboundFailure,
    failure::{Capacity, Failure},
    h1::{RequestContext, Server},
    hop::Hop,
    ids::InboundRequestId,
    inbound::{Inbound, InboundRequest},
    io::Transport,
    link::{Arrival, InboundSeat, Job, Link, Returned},
    parking::{Arrived, park, refuse_unread},
    service::Protocol,
    services::Undelivered,
    shared::Shared,
    timer::Alarm,
};

/// How often a connection that is in use is looked after. Idle outbound streams that the peer has closed, or that have
/// been idle for too long, stay at most this much longer (before a stream is used it is looked at in any case); and so
/// long after its last exchange a connection may begin to count as idle.
const UPKEEP: Duration = Duration::from_secs(2);

/// Streams over the limit that are told so at the same time; the rest is reset.
const REFUSING: usize = 32;

/// What comes of driving the streams.
pub(crate) enum Work {
    /// A stream is to be opened.
    Open(Protocol),
    Report(Report),
}

/// What the behaviour tells the application.
#[derive(Debug)]
pub enum Report {
    /// A request of a peer.
    Request(Box<InboundRequest>),
    /// An exchange went wrong.
    Failure {
        /// The peer.
        peer: PeerId,
        /// The connection.
        connection_id: ConnectionId,
        /// The request, where it came to one.
        request_id: Option<InboundRequestId>,
        /// What happened.
        error: InboundFailure,
    },
}

/// Everything that runs on one connection and is not lent out.
pub(crate) struct Exchanges {
    shared: Arc<Shared>,
    link: Arc<Link>,
    jobs: FuturesUnordered<Job>,
    reports: VecDeque<Report>,
    wanted: VecDeque<Protocol>,
    /// Cloned for every inbound stream of the connection, which counts them.
    places: Arc<()>,
    refusing: Arc<()>,
    /// Streams may wait for requests outside the parking of the connection.
    away: bool,
    upkeep: Option<Alarm>,
}

impl Exchanges {
    pub(crate) fn new(shared: Arc<Shared>, link: Arc<Link>) -> Self {
        Self {
            shared,
            link,
            jobs: FuturesUnordered::new(),
            away: false,
            reports: VecDeque::new(),
            wanted: VecDeque::new(),
            places: Arc::default(),
            refusing: Arc::default(),
            upkeep: None,
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Takes a stream that the peer opened.
    pub(crate) fn accept(&mut self, protocol: StreamProtocol, transport: impl Transport) {
        let config = &self.shared.config;
        let hop = Hop::new(transport, config);
        let room = Arc::strong_count(&self.places) <= config.max_inbound_streams_per_connection();
        let permit = room
            .then(|| self.shared.admission.admit(self.link.peer, config))
            .flatten();
        let Some(permit) = permit else {
            self.turn_away(hop);
            return;
        };
        let seat = Box::new(InboundSeat {
            link: Arc::clone(&self.link),
            protocol,
            request_id: None,
            context: RequestContext::default(),
            running: None,
            home: Arc::clone(self.link.parking()),
            spot: None,
            member: None,
            _permit: permit,
            _place: Arc::clone(&self.places),
        });
        park(hop, seat);
    }

    /// Drives everything. Pending only once the task is registered for all that can happen.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Work> {
        loop {
            if let Some(report) = self.reports.pop_front() {
                return Poll::Ready(Work::Report(report));
            }
            self.take_inbox(cx);
            if let Some(protocol) = self.wanted.pop_front() {
                return Poll::Ready(Work::Open(protocol));
            }
            if let Poll::Ready(arrived) = self.link.parking().poll_next(cx) {
                self.settle(arrived);
                continue;
            }
            match self.jobs.poll_next_unpin(cx) {
                Poll::Ready(Some(())) => {}
                // The link, its parking, and every job hold the waker.
                Poll::Ready(None) | Poll::Pending if self.reports.is_empty() => {
                    self.poll_upkeep(cx);
                    return Poll::Pending;
                }
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
    }

    fn take_inbox(&mut self, cx: &Context<'_>) {
        let Some(inbox) = self.link.take(cx) else {
            return;
        };
        self.wanted.extend(inbox.wanted);
        self.jobs.extend(inbox.jobs);
        for returned in inbox.returned {
            self.welcome(returned);
        }
        let standing = inbox
            .service_ends
            .then(|| self.link.parking().take_ending());
        for Returned { hop, seat } in inbox
            .ending
            .into_iter()
            .chain(standing.into_iter().flatten())
        {
            self.end(hop, seat, None);
        }
        for arrival in inbox.arrived {
            self.dispatch(arrival);
        }
        for request_id in inbox.unsent {
            self.report(request_id, InboundFailure::ResponseIncomplete);
        }
        for error in inbox.unread {
            self.report(None, InboundFailure::Request(error));
        }
    }

    /// Decides what becomes of a stream whose last exchange is over.
    fn welcome(&mut self, Returned { mut hop, mut seat }: Returned) {
        let request_id = seat.request_id.take();
        if !hop.writer.encoder().is_started() {
            self.report(request_id, InboundFailure::ResponseOmitted);
            let reason = "it left the request without a response".to_owned();
            self.refuse(hop, seat, Failure::Application { reason });
        } else if !hop.writer.encoder().is_complete() {
            // Dropping the stream resets it: a response that was cut must not look complete.
            self.report(request_id, InboundFailure::ResponseIncomplete);
        } else {
            hop.reader.start_waiting();
            self.end(hop, seat, request_id);
        }
    }

    /// Ends a stream. `request_id` is the request whose response may still be on its way.
    fn end(
        &mut self,
        hop: Hop<Server>,
        mut seat: Box<InboundSeat>,
        request_id: Option<InboundRequestId>,
    ) {
        seat.running.get_or_insert_with(|| self.link.run());
        let is_sent = hop.writer.check_sent().is_ok();
        let link = Arc::clone(&self.link);
        self.jobs.push(Box::pin(async move {
            if let Err(error) = seat.end(hop).await {
                tracing::debug!(%error, "stream failed while it was closed");
                if !is_sent {
                    link.leave(|inbox| inbox.unsent.push(request_id));
                }
            }
            drop(seat);
        }));
    }

    /// Takes a stream out of the parking of the connection.
    fn settle(&mut self, Arrived { read, hop, seat }: Arrived) {
        match read {
            Ok(head) => self.dispatch(Arrival { head, hop, seat }),
            Err(error) => refuse_unread(hop, seat, error),
        }
    }

    /// Hands a request to whoever answers for the service.
    fn dispatch(&mut self, arrival: Arrival) {
        let Arrival {
            head,
            hop,
            mut seat,
        } = arrival;
        seat.running = Some(self.link.run());
        seat.context = head.context();
        let Some(service) = self.shared.services.join(&seat.protocol, &mut seat.member) else {
            self.withdrawn(hop, seat);
            return;
        };
        let request_id = self.shared.ids.inbound();
        seat.request_id = Some(request_id);
        let parking = service.parking();
        self.away |= parking.is_some();
        let home = parking.unwrap_or(self.link.parking());
        if !Arc::ptr_eq(&seat.home, home) {
            seat.home = Arc::clone(home);
        }
        let inbound = Box::new(Inbound {
            request_id,
            service: Arc::clone(&service),
            head,
            hop,
            seat,
            config: Arc::clone(&self.shared.config),
        });
        match service.deliver(inbound) {
            Ok(()) => {}
            Err(Undelivered::ByEvent(inbound)) => {
                let request = Box::new(inbound.into_request());
                self.reports.push_back(Report::Request(request));
            }
            Err(Undelivered::Gone(inbound)) => {
                let Inbound {
                    head, hop, seat, ..
                } = *inbound;
                // Between the look and the delivery another may have taken its place.
                match service.is_replaced() {
                    true => self.dispatch(Arrival { head, hop, seat }),
                    false => self.withdrawn(hop, seat),
                }
            }
            Err(Undelivered::Full(inbound)) => {
                self.report(Some(request_id), InboundFailure::QueueFull);
                let what = Capacity::QueuedRequests;
                let Inbound { hop, seat, .. } = *inbound;
                self.refuse(hop, seat, Failure::NoCapacity { what });
            }
        }
    }

    /// The service was removed while the stream was idle.
    fn withdrawn(&mut self, hop: Hop<Server>, seat: Box<InboundSeat>) {
        let Some(protocol) = Protocol::from_stream_protocol(seat.protocol.as_ref()) else {
            return; // only what we offered is ever negotiated
        };
        let peer = self.shared.local_peer;
        self.refuse(hop, seat, Failure::ServiceNotOffered { peer, protocol });
    }

    /// Tells a peer that it has too many streams.
    fn turn_away(&mut self, hop: Hop<Server>) {
        self.report(None, InboundFailure::TooManyStreams);
        if Arc::strong_count(&self.refusing) > REFUSING {
            return;
        }
        let guard = (Arc::clone(&self.refusing), self.link.run());
        let what = Capacity::InboundStreams;
        self.jobs.push(Box::pin(async move {
            turn_away(hop, Failure::NoCapacity { what }).await;
            drop(guard);
        }));
    }

    /// Answers with a failure, and ends the stream.
    fn refuse(&mut self, hop: Hop<Server>, mut seat: Box<InboundSeat>, failure: Failure) {
        seat.running.get_or_insert_with(|| self.link.run());
        self.jobs.push(Box::pin(refuse(hop, seat, failure)));
    }

    fn report(&mut self, request_id: Option<InboundRequestId>, error: InboundFailure) {
        self.reports.push_back(Report::Failure {
            peer: self.link.peer,
            connection_id: self.link.connection,
            request_id,
            error,
        });
    }

    fn poll_upkeep(&mut self, cx: &mut Context<'_>) {
        if !self.link.needs_upkeep() {
            return;
        }
        let next = || Alarm::new(Instant::now() + UPKEEP);
        while self.upkeep.get_or_insert_with(next).poll(cx).is_ready() {
            self.upkeep = None;
            let ran = self.link.begin_upkeep();
            let idle = self.shared.outbound.sweep(&self.link, cx);
            if !(ran || idle || self.link.is_running()) {
                return;
            }
            self.link.start_upkeep();
        }
    }
}

impl Drop for Exchanges {
    fn drop(&mut self) {
        self.link.close();
        if self.away {
            self.shared.services.drop_streams(self.link.connection);
        }
        self.shared.outbound.disconnected(&self.link);
    }
}
