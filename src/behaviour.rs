//! The behaviour: dials, offers services, and turns what the connections report into swarm events.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    num::NonZeroUsize,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use libp2p_core::{
    ConnectedPoint, Endpoint, Multiaddr, multiaddr::Protocol as Part, transport::PortUse,
};
use libp2p_identity::PeerId;
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, PeerAddresses,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};

use crate::{
    client::Client,
    config::Config,
    destination::Destination,
    event::{Event, OutboundFailure, ServiceTaken},
    exchanges::{Exchanges, Report, Work},
    handler::Handler,
    ids::OutboundRequestId,
    link::Link,
    local,
    lookup::{Lookups, Next, Unreached},
    members::Waiting,
    message::{Request, Response},
    payload::Payload,
    relay::RelayLimits,
    requests::Requests,
    responder::Responder,
    service::{Protocol, ServiceName},
    services::Service,
    shared::Shared,
};

/// Peers whose addresses are remembered as other behaviours report them.
const KNOWN_PEERS: NonZeroUsize = NonZeroUsize::new(1024).expect("is not zero");

/// What becomes of a request that the application sent by [`HttpProxyBehaviour::send_request`].
type Outcome = BoxFuture<'static, Event>;

/// Serves HTTP to peers, and sends HTTP requests to them.
///
/// See the [crate documentation](crate) for the three ways to use it.
pub struct HttpProxyBehaviour {
    shared: Arc<Shared>,
    /// Requests to the own peer id, which need no connection.
    local: Exchanges,
    outgoing: FuturesUnordered<Outcome>,
    events: VecDeque<Event>,
    given_addresses: HashMap<PeerId, Vec<Multiaddr>>,
    learned_addresses: PeerAddresses,
    lookups: Lookups,
    relay_limits: RelayLimits,
    /// Services that are offered no longer, and have streams left.
    closing: Vec<Arc<Service>>,
}

impl HttpProxyBehaviour {
    /// A behaviour for the swarm of `local_peer`, which offers no service yet.
    #[must_use]
    pub fn new(local_peer: PeerId, config: Config) -> Self {
        let shared = Shared::new(local_peer, config);
        let link = Link::new(local_peer, local::connection_id(), false);
        shared.outbound.connected(&link);
        Self {
            local: Exchanges::new(Arc::clone(&shared), link),
            shared,
            outgoing: FuturesUnordered::new(),
            events: VecDeque::new(),
            given_addresses: HashMap::new(),
            learned_addresses: PeerAddresses::new(KNOWN_PEERS),
            lookups: Lookups::default(),
            relay_limits: RelayLimits::default(),
            closing: Vec::new(),
        }
    }

    /// A handle that sends requests from any task.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Arc::clone(&self.shared))
    }

    /// Offers a service whose requests are reported as [`Event::Request`]. Peers learn of it at once.
    ///
    /// # Errors
    ///
    /// A service of that name is offered already.
    pub fn add_service(&mut self, service: ServiceName) -> Result<(), ServiceTaken> {
        self.shared.services.add(service)?;
        self.shared.outbound.each_link(Link::wake);
        Ok(())
    }

    /// Offers a service whose requests come as a stream, beside the swarm's event loop. Dropping the stream removes
    /// the service.
    ///
    /// # Errors
    ///
    /// A service of that name is offered already.
    pub fn accept(&mut self, service: ServiceName) -> Result<Requests, ServiceTaken> {
        Requests::new(Arc::clone(&self.shared), service)
    }

    /// As [`accept`](Self::accept), in the place of a service of that name, if there is one: its exchanges that have begun
    /// go on, its [`Requests`] stream ends, and peers do not notice.
    pub fn replace_service(&mut self, service: ServiceName) -> Requests {
        Requests::replacing(Arc::clone(&self.shared), service)
    }

    /// Offers a service no longer; says whether it was offered. Exchanges that have begun go on, and a
    /// [`Requests`] stream of the service ends. Before the swarm is dropped, [`close_service`](Self::close_service) is better.
    pub fn remove_service(&mut self, service: &ServiceName) -> bool {
        let removed = self.shared.services.remove(service, None);
        if removed {
            self.shared.outbound.each_link(Link::wake);
        }
        removed
    }

    /// Removes a service as [`remove_service`](Self::remove_service) does, and has [`Event::ServiceClosed`] tell, once for every
    /// call that says `true`, when its peers have what was sent to them. The swarm may be dropped then; before, what is on its
    /// way could be lost with it, as QUIC throws that away. Says whether the service was offered.
    ///
    /// Requests that have come before are reported and answered as ever. Idle streams end now, those that carry an exchange
    /// after it, and what is answered from here on says `Connection: close`. They have gone once the peer has ended them, too,
    /// or ten seconds after their last exchange. There is no limit for exchanges that run on, such as requests that the
    /// application never answers; those that became a tunnel are not waited for.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use libp2p_http_proxy::{Event, HttpProxyBehaviour, ServiceName};
    /// use libp2p_swarm::{Swarm, SwarmEvent};
    ///
    /// async fn stop(mut swarm: Swarm<HttpProxyBehaviour>, service: &ServiceName) {
    ///     let mut open = swarm.behaviour_mut().close_service(service);
    ///     while open {
    ///         let event = swarm.select_next_some().await;
    ///         open = !matches!(event, SwarmEvent::Behaviour(Event::ServiceClosed { .. }));
    ///     }
    /// }
    /// ```
    pub fn close_service(&mut self, service: &ServiceName) -> bool {
        let Some(service) = self.shared.services.get(service) else {
            return false;
        };
        service.end_streams();
        self.shared.services.remove(&service.name, Some(&service));
        self.shared.outbound.each_link(Link::end_streams);
        self.closing.push(service);
        true
    }

    /// Sends a request. [`Event::Response`] or [`Event::OutboundFailure`] tells how it ends.
    ///
    /// Otherwise as [`Client::send`], which is the better choice for large bodies and in tasks.
    pub fn send_request(
        &mut self,
        to: impl Into<Destination>,
        service: impl Into<Protocol>,
        request: Request<impl Into<Payload>>,
    ) -> OutboundRequestId {
        let request_id = self.shared.ids.outbound();
        let (to, protocol) = (to.into(), service.into());
        let peer = to.peer();
        let sent =
            self.client()
                .send_on_connection(to, protocol, request.head, request.body.into());
        self.outgoing
            .push(Box::pin(sent.map(move |result| match result {
                Ok(response) => Event::Response {
                    peer,
                    request_id,
                    response,
                },
                Err(error) => Event::OutboundFailure {
                    peer,
                    request_id,
                    error,
                },
            })));
        request_id
    }

    /// Answers a request with a response whose body is in memory or reads itself; the connection's own task sends it,
    /// so a source that blocks its thread, or panics, is for a task that calls [`Responder::send`] instead.
    /// A failure to send is seen as [`Event::InboundFailure`], unless it is the end of the connection, which the swarm reports.
    pub fn respond(&mut self, responder: Responder, response: Response<impl Into<Payload>>) {
        responder.send_in_background(Response {
            head: response.head,
            body: response.body.into(),
        });
    }

    /// Remembers where a peer may be reached, until [`remove_peer_address`](Self::remove_peer_address): also when
    /// dialling it fails. Says whether the address is new.
    pub fn add_peer_address(&mut self, peer: PeerId, address: Multiaddr) -> bool {
        let addresses = self.given_addresses.entry(peer).or_default();
        let new = !addresses.contains(&address);
        if new {
            addresses.push(address);
        }
        new
    }

    /// Forgets an address; says whether it was known.
    pub fn remove_peer_address(&mut self, peer: PeerId, address: &Multiaddr) -> bool {
        let Some(addresses) = self.given_addresses.get_mut(&peer) else {
            return false;
        };
        let before = addresses.len();
        addresses.retain(|known| known != address);
        let removed = addresses.len() < before;
        if addresses.is_empty() {
            self.given_addresses.remove(&peer);
        }
        removed
    }

    /// Answers an [`Event::AddressesWanted`]: where the peer may be, or in a few words what was tried in vain. The
    /// addresses are dialled, and not remembered.
    pub fn lookup_ended(&mut self, peer: PeerId, found: Result<Vec<Multiaddr>, String>) {
        if let Some(unreached) = self.lookups.ended(peer, found) {
            let outbound = &self.shared.outbound;
            outbound.dial_failed(peer, || unreached.failure());
        }
    }

    /// Whether a dial is one at addresses that came with a request ([`Destination`]). What it fails with says nothing to
    /// other requests, and nothing about where the peer is. To be asked at
    /// [`SwarmEvent::Dialing`](libp2p_swarm::SwarmEvent::Dialing): later the dial may be over.
    #[must_use]
    pub fn is_dial_of_request(&self, connection: ConnectionId) -> bool {
        self.shared.outbound.is_dial_at(connection)
    }

    /// Notes how many bytes a relay carries for one connection, in both directions together; `None` for any number.
    /// Bodies that are declared to be larger are refused at once where the peer is reached through this relay only,
    /// instead of being cut in the middle.
    ///
    /// Relays tell their limit with each circuit, before the connection through it is established: call this for the
    /// `OutboundCircuitEstablished` events of libp2p's relay client. It holds for connections from then on.
    pub fn set_relay_limit(&mut self, relay: PeerId, bytes: Option<u64>) {
        self.relay_limits.set(relay, bytes);
    }

    /// Opens a stream to ourselves.
    fn open_local(&mut self, protocol: Protocol) {
        let name = protocol.stream_protocol();
        let link = Arc::clone(self.local.link());
        if self.shared.services.find(&name).is_none() {
            let failure = || OutboundFailure::UnsupportedProtocol {
                protocol: protocol.clone(),
            };
            self.shared.outbound.open_failed(&link, &protocol, failure);
            return;
        }
        let (near, far) = local::pair();
        self.local.accept(name, far);
        self.shared.outbound.opened(&link, protocol, near);
    }

    /// Reports a service whose last stream has gone.
    fn poll_closed(&mut self, cx: &Context<'_>) -> Option<Event> {
        let is_gone = |service: &Arc<Service>| service.poll_gone(cx, Waiting::Behaviour).is_ready();
        let closed = self.closing.iter().position(is_gone)?;
        let service = self.closing.swap_remove(closed);
        Some(Event::ServiceClosed {
            service: service.name.clone(),
        })
    }

    fn on_report(&mut self, report: Report) {
        self.events.push_back(match report {
            Report::Request(inbound) => Event::Request {
                peer: inbound.peer,
                connection_id: inbound.connection_id,
                request_id: inbound.request_id,
                service: inbound.service,
                request: inbound.request,
                responder: inbound.responder,
            },
            Report::Failure {
                peer,
                connection_id,
                request_id,
                error,
            } => Event::InboundFailure {
                peer,
                connection_id,
                request_id,
                error,
            },
        });
    }

    fn on_dial_failure(&mut self, peer: PeerId, attempt: ConnectionId, error: &DialError) {
        let outbound = &self.shared.outbound;
        let is_own =
            outbound.known_dial_ended(peer, attempt) || self.lookups.is_dial(peer, attempt);
        // Somebody else is dialling the peer: that attempt decides.
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            return;
        }
        let unreached = Unreached::from(error);
        if outbound.dial_at_failed(attempt, || unreached.failure_at_addresses()) {
            return;
        }
        if !is_own && outbound.relay_dial_failed(peer) {
            return;
        }
        if !self.shared.config.peer_lookup() || !outbound.is_dialling(peer) {
            outbound.dial_failed(peer, || unreached.failure());
            return;
        }
        let limit = self.shared.config.dial_timeout();
        match self.lookups.dial_failed(peer, attempt, unreached, limit) {
            Next::Ask => self.events.push_back(Event::AddressesWanted { peer }),
            Next::Wait => {}
            Next::Fail(unreached) => outbound.dial_failed(peer, || unreached.failure()),
        }
    }
}

impl NetworkBehaviour for HttpProxyBehaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection_id: ConnectionId,
        peer: PeerId,
        local_addr: &Multiaddr,
        remote_addr: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let point = ConnectedPoint::Listener {
            local_addr: local_addr.clone(),
            send_back_addr: remote_addr.clone(),
        };
        let link = Link::new(peer, connection_id, point.is_relayed());
        Ok(Handler::new(Arc::clone(&self.shared), link))
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        maybe_peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let Some(peer) = maybe_peer else {
            return Ok(Vec::new());
        };
        let given = self.given_addresses.get(&peer).into_iter().flatten();
        let mut addresses: Vec<_> = given.cloned().collect();
        for address in self.learned_addresses.get(&peer) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection_id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let relayed = addr.iter().any(|part| part == Part::P2pCircuit);
        let link = Link::new(peer, connection_id, relayed);
        if let Some(limit) = self.relay_limits.on(addr) {
            link.set_capacity(limit);
        }
        Ok(Handler::new(Arc::clone(&self.shared), link))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.learned_addresses.on_swarm_event(&event);
        // Connections report their own beginning and end, as their handlers come and go.
        match event {
            FromSwarm::DialFailure(failure) => {
                if let Some(peer) = failure.peer_id {
                    self.on_dial_failure(peer, failure.connection_id, failure.error);
                }
            }
            FromSwarm::ConnectionEstablished(established) => {
                let peer = established.peer_id;
                self.lookups.connected(peer);
                let outbound = &self.shared.outbound;
                outbound.dialled(peer, established.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        report: THandlerOutEvent<Self>,
    ) {
        self.on_report(report);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(ToSwarm::GenerateEvent(event));
            }
            if let Some(opts) = self.lookups.next_dial() {
                return Poll::Ready(ToSwarm::Dial { opts });
            }
            if let Poll::Ready((peer, unreached)) = self.lookups.poll_overdue(cx) {
                let outbound = &self.shared.outbound;
                outbound.dial_failed(peer, || unreached.failure());
                continue;
            }
            if let Some(opts) = self.shared.outbound.next_dial(cx) {
                return Poll::Ready(ToSwarm::Dial { opts });
            }
            if let Poll::Ready(Some(event)) = self.outgoing.poll_next_unpin(cx) {
                self.events.push_back(event);
                continue;
            }
            if let Some(event) = self.poll_closed(cx) {
                return Poll::Ready(ToSwarm::GenerateEvent(event));
            }
            match self.local.poll(cx) {
                Poll::Ready(Work::Report(report)) => self.on_report(report),
                Poll::Ready(Work::Open(protocol)) => self.open_local(protocol),
                // Lookups, new dials, outgoing requests, services that close and the local streams each hold the waker.
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for HttpProxyBehaviour {
    fn drop(&mut self) {
        self.shared.services.end();
        self.shared.outbound.end();
    }
}

impl fmt::Debug for HttpProxyBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProxyBehaviour").finish_non_exhaustive()
    }
}
