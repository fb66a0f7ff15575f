//! A request that a peer sent, before and after it is handed to the application.

use std::sync::Arc;

use libp2p_identity::PeerId;
use libp2p_swarm::ConnectionId;

use crate::{
    body::Body,
    config::Config,
    h1::{RequestHead, Server},
    hop::Hop,
    ids::InboundRequestId,
    lease::Lease,
    link::InboundSeat,
    message::Request,
    responder::Responder,
    service::ServiceName,
    services::Service,
};

/// A request whose head was read, with the stream that it came on.
pub(crate) struct Inbound {
    pub(crate) request_id: InboundRequestId,
    pub(crate) service: Arc<Service>,
    pub(crate) head: RequestHead,
    pub(crate) hop: Hop<Server>,
    pub(crate) seat: Box<InboundSeat>,
    pub(crate) config: Arc<Config>,
}

/// A request of a peer, and the means to answer it.
#[derive(Debug)]
#[non_exhaustive]
pub struct InboundRequest {
    /// The authenticated peer.
    pub peer: PeerId,
    /// The connection that the request came on. Requests of this node itself have an id that none of the swarm has.
    pub connection_id: ConnectionId,
    /// Identifies the request.
    pub request_id: InboundRequestId,
    /// The service that was asked for.
    pub service: ServiceName,
    /// The request. Its body is read from the stream as the application reads it. Its fields are what
    /// the peer says, and so is any `X-Libp2p-Peer` among them.
    pub request: Request<Body>,
    /// Answers the request.
    pub responder: Responder,
}

impl Inbound {
    /// Lends the halves of the stream to the application.
    pub(crate) fn into_request(self) -> InboundRequest {
        let Self {
            request_id,
            service,
            head,
            hop,
            seat,
            config,
        } = self;
        let link = Arc::clone(&seat.link);
        let context = head.context();
        let lease = Lease::new(seat, context.expect_continue);
        InboundRequest {
            peer: link.peer,
            connection_id: link.connection,
            request_id,
            service: service.name.clone(),
            request: Request {
                head,
                body: Body::lend(hop.reader, lease.clone(), None),
            },
            responder: Responder::lend(hop.writer, lease, context, link, config, request_id),
        }
    }
}
