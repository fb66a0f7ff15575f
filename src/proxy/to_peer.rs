//! Streams to a service of a peer, as the proxy's way to a server.

use libp2p_identity::PeerId;

use crate::{
    client::Client,
    destination::Destination,
    error::{ExchangeError, describe},
    event::OutboundFailure,
    failure::{Capacity, Failure},
    outbound::{OutboundSeat, Reuse},
    proxy::connect::{Connect, Upstream},
    service::Protocol,
};

/// Streams to a service of a peer, as a proxy uses them.
pub(super) struct ToPeer {
    pub(super) client: Client,
    /// The peer, and where the request says that it is.
    pub(super) to: Destination,
    /// The request says where the peer is, and is not listened to.
    pub(super) is_ignored: bool,
    pub(super) protocol: Protocol,
}

impl Connect for ToPeer {
    type Seat = OutboundSeat;

    async fn connect(&self, reuse: Reuse) -> Result<Upstream<OutboundSeat>, Failure> {
        match self.client.acquire(&self.to, &self.protocol, reuse).await {
            Ok(lent) => Ok(Upstream {
                hop: lent.hop,
                seat: lent.seat,
                reused: lent.reused,
            }),
            Err(error) => Err(self.failure(error)),
        }
    }

    fn terminated(&self, reason: String) -> Failure {
        let peer = self.peer();
        Failure::ConnectionTerminated { peer, reason }
    }

    fn failed(&self, error: ExchangeError) -> Failure {
        self.failure(OutboundFailure::of(error, &self.protocol))
    }

    fn beyond_relay(&self, seat: &OutboundSeat, length: u64) -> Option<u64> {
        seat.beyond_relay(length)
    }

    fn give_back(&self, upstream: Upstream<OutboundSeat>) {
        let Upstream { hop, seat, reused } = upstream;
        seat.give_back(hop, reused);
    }

    fn half_close(&self) -> bool {
        self.client.config().half_close(&self.protocol)
    }
}

impl ToPeer {
    pub(super) fn peer(&self) -> PeerId {
        self.to.peer()
    }

    pub(super) fn failure(&self, error: OutboundFailure) -> Failure {
        let peer = self.peer();
        let limit = self.client.config().dial_timeout();
        match error {
            OutboundFailure::NoAddresses | OutboundFailure::NotFound { .. } if self.is_ignored => {
                Failure::AddressesIgnored { peer }
            }
            OutboundFailure::NoAddresses => Failure::NoAddresses { peer },
            OutboundFailure::NotFound { tried } => Failure::PeerNotFound { peer, tried },
            OutboundFailure::WrongPeerId { obtained } => Failure::WrongPeerId { peer, obtained },
            OutboundFailure::DialFailure { reason } => Failure::PeerUnreachable { peer, reason },
            OutboundFailure::UnsupportedProtocol { protocol } if self.client.is_local(peer) => {
                Failure::UnknownService { peer, protocol }
            }
            OutboundFailure::UnsupportedProtocol { protocol } => {
                Failure::ServiceNotOffered { peer, protocol }
            }
            OutboundFailure::DialTimeout => Failure::DialTimeout { peer, limit },
            OutboundFailure::StreamTimeout => Failure::NegotiationTimeout {
                peer,
                protocol: self.protocol.clone(),
                limit,
            },
            OutboundFailure::TooManyWaiting => Failure::NoCapacity {
                what: Capacity::WaitingRequests,
            },
            OutboundFailure::TooManyDials => Failure::NoCapacity {
                what: Capacity::AddressedDials,
            },
            OutboundFailure::SwarmEnded => Failure::ShuttingDown,
            OutboundFailure::ConnectionClosed => {
                self.terminated("the connection was closed".to_owned())
            }
            OutboundFailure::Exchange(error) => self.terminated(describe(&error)),
        }
    }
}
