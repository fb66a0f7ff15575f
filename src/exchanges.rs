//! The streams of one connection between two exchanges, and what becomes of them.
//!
//! Driven by the connection's handler; requests to the own peer are driven the same way by the behaviour.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use futures_timer::Delay;
use libp2p_identity::PeerId;
use libp2p_swarm::{ConnectionId, StreamProtocol};

use crate::{
    arrival::{await_request, close_with, refuse_request},
    error::ExchangeError,
    event::InboundFailure,
    failure::Failure,
    h1::Server,
    hop::Hop,
    ids::InboundRequestId,
    inbound::{Inbound, InboundRequest},
    io::Transport,
    link::{Arrival, InboundSeat, Link, Returned},
    service::Protocol,
    services::Undelivered,
    shared::Shared,
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

/// What a task of the set comes to.
enum Outcome {
    /// The stream is gone, and nobody needs to know.
    Over,
    Request(Box<Arrival>),
    /// A request could not be read.
    Unread(ExchangeError),
}

/// Everything that runs on one connection and is not lent out.
pub(crate) struct Exchanges {
    shared: Arc<Shared>,
    link: Arc<Link>,
    tasks: FuturesUnordered<BoxFuture<'static, Outcome>>,
    reports: VecDeque<Report>,
    wanted: VecDeque<Protocol>,
    /// Cloned for every inbound stream of the connection, which counts them.
    places: Arc<()>,
    refusing: Arc<()>,
    upkeep: Option<Delay>,
}

impl Exchanges {
    pub(crate) fn new(shared: Arc<Shared>, link: Arc<Link>) -> Self {
        Self {
            shared,
            link,
            tasks: FuturesUnordered::new(),
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
            self.refuse(hop);
            return;
        };
        let seat = Box::new(InboundSeat {
            link: Arc::clone(&self.link),
            protocol,
            request_id: None,
            running: None,
            _permit: permit,
            _place: Arc::clone(&self.places),
        });
        self.await_request(hop, seat);
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
            match self.tasks.poll_next_unpin(cx) {
                Poll::Ready(Some(outcome)) => self.settle(outcome),
                // The link, and every task of the set, hold the waker.
                Poll::Ready(None) | Poll::Pending if self.reports.is_empty() => {
                    self.poll_upkeep(cx);
                    return Poll::Pending;
                }
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
    }

    fn take_inbox(&mut self, cx: &Context<'_>) {
        let inbox = self.link.take(cx);
        self.wanted.extend(inbox.wanted);
        for job in inbox.jobs {
            self.tasks.push(Box::pin(async move {
                job.await;
                Outcome::Over
            }));
        }
        for returned in inbox.returned {
            self.welcome(returned);
        }
        for arrival in inbox.arrived {
            self.dispatch(arrival);
        }
        for error in inbox.unread {
            self.report(None, InboundFailure::Request(error));
        }
    }

    /// Decides what becomes of a stream whose exchange is over.
    fn welcome(&mut self, Returned { hop, mut seat }: Returned) {
        let request_id = seat.request_id.take();
        if hop.reuse().is_ok() {
            self.await_request(hop, seat);
        } else if !hop.writer.encoder().is_started() {
            self.report(request_id, InboundFailure::ResponseOmitted);
            let reason = "the application did not answer".to_owned();
            self.close_with(hop, seat, Failure::Internal { reason });
        } else if hop.writer.encoder().is_complete() {
            self.tasks.push(Box::pin(async move {
                hop.close().await;
                drop(seat);
                Outcome::Over
            }));
        } else {
            // Dropping the stream resets it: a response that was cut must not look complete.
            self.report(request_id, InboundFailure::ResponseIncomplete);
        }
    }

    fn await_request(&mut self, mut hop: Hop<Server>, mut seat: Box<InboundSeat>) {
        seat.running = None;
        let keep_alive = self.shared.config.keep_alive();
        self.tasks.push(Box::pin(async move {
            match await_request(&mut hop, keep_alive).await {
                Ok(head) => Outcome::Request(Box::new(Arrival { head, hop, seat })),
                Err(error) => match refuse_request(hop, seat, error).await {
                    Some(error) => Outcome::Unread(error),
                    None => Outcome::Over,
                },
            }
        }));
    }

    fn settle(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Over => {}
            Outcome::Unread(error) => self.report(None, InboundFailure::Request(error)),
            Outcome::Request(arrival) => self.dispatch(*arrival),
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
        let Some(service) = self.shared.services.find(&seat.protocol) else {
            self.withdrawn(hop, seat);
            return;
        };
        let request_id = self.shared.ids.inbound();
        seat.request_id = Some(request_id);
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
                let Inbound { hop, seat, .. } = *inbound;
                self.withdrawn(hop, seat);
            }
            Err(Undelivered::Full(inbound)) => {
                self.report(Some(request_id), InboundFailure::QueueFull);
                let what = "requests that wait for the service";
                let Inbound { hop, seat, .. } = *inbound;
                self.close_with(hop, seat, Failure::NoCapacity { what });
            }
        }
    }

    /// The service was removed while the stream was idle.
    fn withdrawn(&mut self, hop: Hop<Server>, seat: Box<InboundSeat>) {
        let Some(protocol) = Protocol::from_stream_protocol(seat.protocol.as_ref()) else {
            return; // only what we offered is ever negotiated
        };
        let peer = self.shared.local_peer;
        self.close_with(hop, seat, Failure::ServiceNotOffered { peer, protocol });
    }

    /// Tells a peer that it has too many streams.
    fn refuse(&mut self, hop: Hop<Server>) {
        self.report(None, InboundFailure::TooManyStreams);
        if Arc::strong_count(&self.refusing) > REFUSING {
            return;
        }
        let guard = (Arc::clone(&self.refusing), self.link.run());
        let what = "inbound streams";
        self.tasks.push(Box::pin(async move {
            close_with(hop, Failure::NoCapacity { what }).await;
            drop(guard);
            Outcome::Over
        }));
    }

    /// Answers with a failure, and ends the stream.
    fn close_with(&mut self, hop: Hop<Server>, mut seat: Box<InboundSeat>, failure: Failure) {
        seat.running.get_or_insert_with(|| self.link.run());
        self.tasks.push(Box::pin(async move {
            close_with(hop, failure).await;
            drop(seat);
            Outcome::Over
        }));
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
        let upkeep = self.upkeep.get_or_insert_with(|| Delay::new(UPKEEP));
        while Pin::new(&mut *upkeep).poll(cx).is_ready() {
            let ran = self.link.begin_upkeep();
            let idle = self.shared.outbound.sweep(&self.link, cx);
            if !(ran || idle || self.link.is_running()) {
                self.upkeep = None;
                return;
            }
            self.link.start_upkeep();
            upkeep.reset(UPKEEP);
        }
    }
}

impl Drop for Exchanges {
    fn drop(&mut self) {
        self.link.close();
        self.shared.outbound.disconnected(&self.link);
    }
}
