//! What the behaviour tells the application.

use libp2p_identity::PeerId;
use libp2p_swarm::ConnectionId;
use thiserror::Error;

use crate::{
    body::Body,
    error::ExchangeError,
    ids::{InboundRequestId, OutboundRequestId},
    message::{Request, Response},
    responder::Responder,
    service::{Protocol, ServiceName},
};

/// What [`HttpProxyBehaviour`](crate::HttpProxyBehaviour) reports to the swarm.
#[allow(
    clippy::large_enum_variant,
    reason = "the large variant is the common one"
)]
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A peer sent a request to a service that was added with
    /// [`add_service`](crate::HttpProxyBehaviour::add_service).
    Request {
        /// The authenticated peer.
        peer: PeerId,
        /// The connection that the request came on. Requests of this node itself have an id that none of the swarm has.
        connection_id: ConnectionId,
        /// Identifies the request in later events.
        request_id: InboundRequestId,
        /// The service that was asked for.
        service: ServiceName,
        /// The request. Its body is read from the stream as the application reads it. Its fields are what
        /// the peer says, and so is any `X-Libp2p-Peer` among them.
        request: Request<Body>,
        /// Answers the request.
        responder: Responder,
    },
    /// The head of the response to a request of [`send_request`](crate::HttpProxyBehaviour::send_request) has come.
    Response {
        /// The peer that answered.
        peer: PeerId,
        /// The request that is answered.
        request_id: OutboundRequestId,
        /// The response. Its body is read from the stream as the application reads it.
        response: Response<Body>,
    },
    /// A request of [`send_request`](crate::HttpProxyBehaviour::send_request) got no response.
    OutboundFailure {
        /// The peer that was asked.
        peer: PeerId,
        /// The request that failed.
        request_id: OutboundRequestId,
        /// Why.
        error: OutboundFailure,
    },
    /// Requests wait for a peer that has no known addresses, or answers at none of them. Only with
    /// [`Config::with_peer_lookup`](crate::Config::with_peer_lookup).
    ///
    /// The application looks the peer up, in a distributed hash table for example, and answers with
    /// [`lookup_ended`](crate::HttpProxyBehaviour::lookup_ended), also where it finds nothing. There is one such event
    /// for a peer until then, or until ten times [`Config::dial_timeout`](crate::Config::dial_timeout) have passed.
    AddressesWanted {
        /// The peer that is to be found.
        peer: PeerId,
    },
    /// A service that was ended by [`close_service`](crate::HttpProxyBehaviour::close_service) has no stream left: its peers
    /// have what was sent to them, as far as they took it in time, and the swarm may be dropped.
    ServiceClosed {
        /// The service that was ended.
        service: ServiceName,
    },
    /// An inbound exchange went wrong.
    InboundFailure {
        /// The authenticated peer.
        peer: PeerId,
        /// The connection of the exchange.
        connection_id: ConnectionId,
        /// The request, where it came to one.
        request_id: Option<InboundRequestId>,
        /// What happened.
        error: InboundFailure,
    },
}

/// Why an outbound request got no response.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OutboundFailure {
    /// No address of the peer is known.
    #[error("no address of the peer is known")]
    NoAddresses,
    /// No address of the peer was known, and the application found none; see [`Event::AddressesWanted`].
    #[error("the peer was not found: {tried}")]
    NotFound {
        /// What the application says of its search.
        tried: String,
    },
    /// At an address of the peer another peer answered.
    #[error("another peer, {obtained}, answers at the address")]
    WrongPeerId {
        /// The peer that answers there.
        obtained: PeerId,
    },
    /// The peer could not be dialled.
    #[error("the peer could not be dialled: {reason}")]
    DialFailure {
        /// What the swarm says of the attempt, for every address that was tried.
        reason: String,
    },
    /// As many dials at addresses that came with requests as may be are under way:
    /// [`Config::max_addressed_dials`](crate::Config::max_addressed_dials) in all, or 4 at this peer.
    #[error("too many dials at addresses of requests are under way")]
    TooManyDials,
    /// The peer does not offer the service.
    #[error("the peer does not offer {protocol}")]
    UnsupportedProtocol {
        /// The protocol that was proposed.
        protocol: Protocol,
    },
    /// The connection ended before the response head.
    #[error("the connection ended before the response")]
    ConnectionClosed,
    /// Dialling the peer took longer than [`Config::dial_timeout`](crate::Config::dial_timeout).
    #[error("dialling the peer took too long")]
    DialTimeout,
    /// Negotiating a stream, or waiting for one to become free, took longer than
    /// [`Config::dial_timeout`](crate::Config::dial_timeout).
    #[error("no stream to the peer became available in time")]
    StreamTimeout,
    /// [`Config::max_waiting_requests`](crate::Config::max_waiting_requests) others already wait for a stream.
    #[error("too many requests wait for a stream to the peer")]
    TooManyWaiting,
    /// The behaviour that the client belongs to is gone.
    #[error("the swarm has ended")]
    SwarmEnded,
    /// The exchange failed on its stream.
    #[error("the exchange failed")]
    Exchange(#[source] ExchangeError),
}

impl OutboundFailure {
    /// What it means that an exchange with a service failed on its stream.
    pub(crate) fn of(error: ExchangeError, protocol: &Protocol) -> Self {
        if error.is_refusal() {
            let protocol = protocol.clone();
            return Self::UnsupportedProtocol { protocol };
        }
        Self::Exchange(error)
    }

    /// Whether no address led to the peer, so that another one may.
    pub(crate) fn is_of_dial(&self) -> bool {
        matches!(
            self,
            Self::NoAddresses
                | Self::NotFound { .. }
                | Self::WrongPeerId { .. }
                | Self::DialFailure { .. }
        )
    }

    /// This failure of a dial at the addresses of a request, with what came of those that were known.
    pub(crate) fn and(self, known: Self) -> Self {
        match (self, known) {
            (Self::DialFailure { reason }, Self::DialFailure { reason: known }) => {
                let reason = format!("{reason}; {known}");
                Self::DialFailure { reason }
            }
            (at_addresses, _) => at_addresses,
        }
    }
}

impl From<ExchangeError> for OutboundFailure {
    fn from(error: ExchangeError) -> Self {
        Self::Exchange(error)
    }
}

/// What went wrong with an inbound exchange.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InboundFailure {
    /// The request could not be read. The peer was told, where a response was still possible.
    #[error("the request could not be read")]
    Request(#[source] ExchangeError),
    /// The [`Responder`] was dropped unused, and the peer got a 500.
    #[error("the request was not answered")]
    ResponseOmitted,
    /// The response was begun and not finished, and the stream was reset.
    #[error("the response was not finished")]
    ResponseIncomplete,
    /// A limit on inbound streams of [`Config`](crate::Config) was reached, and the peer got a 503.
    #[error("too many inbound streams")]
    TooManyStreams,
    /// The queue of the service, [`Config::max_queued_requests`](crate::Config::max_queued_requests), was full,
    /// and the peer got a 503.
    #[error("too many requests wait for the service")]
    QueueFull,
}

/// A service cannot be added, because the node offers one of that name already.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the service {0} is offered already; remove it first, or choose another name")]
pub struct ServiceTaken(pub ServiceName);
