//! The connection handler: opens and accepts streams. What happens on them is in [`exchanges`](crate::exchanges).

use std::{
    convert::Infallible,
    mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::{Ready, ready};
use libp2p_core::upgrade::{InboundUpgrade, ReadyUpgrade, UpgradeInfo};
use libp2p_swarm::{
    ConnectionHandler, ConnectionHandlerEvent, Stream, StreamProtocol, StreamUpgradeError,
    SubstreamProtocol,
    handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
};

use crate::{
    error::ExchangeError,
    event::OutboundFailure,
    exchanges::{Exchanges, Report, Work},
    link::Link,
    service::Protocol,
    shared::Shared,
};

/// What a swarm can count: it adds its timeouts to the time of day.
const LONGEST: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Owns the streams of one connection that are between two exchanges.
pub struct Handler {
    shared: Arc<Shared>,
    exchanges: Exchanges,
    /// The streams that could not be opened, until the connection was asked once more. Where it is lost, its streams may
    /// end before it says so, and an end looks as if the peer had refused the service.
    failed: Vec<(Protocol, StreamUpgradeError<Infallible>)>,
    /// Whether none has failed since the last poll.
    settled: bool,
}

impl Handler {
    pub(crate) fn new(shared: Arc<Shared>, link: Arc<Link>) -> Self {
        shared.outbound.connected(&link);
        Self {
            exchanges: Exchanges::new(Arc::clone(&shared), link),
            shared,
            failed: Vec::new(),
            settled: true,
        }
    }

    fn on_streams_failed(&mut self) {
        for (protocol, error) in mem::take(&mut self.failed) {
            self.on_dial_upgrade_error(&protocol, error);
        }
    }

    fn on_dial_upgrade_error(&self, protocol: &Protocol, error: StreamUpgradeError<Infallible>) {
        let failure = || match &error {
            StreamUpgradeError::NegotiationFailed => OutboundFailure::UnsupportedProtocol {
                protocol: protocol.clone(),
            },
            StreamUpgradeError::Timeout => OutboundFailure::StreamTimeout,
            StreamUpgradeError::Io(error) => {
                let copy = std::io::Error::new(error.kind(), error.to_string());
                OutboundFailure::Exchange(ExchangeError::Io(copy))
            }
            StreamUpgradeError::Apply(infallible) => match *infallible {},
        };
        let link = self.exchanges.link();
        self.shared.outbound.open_failed(link, protocol, failure);
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Report;
    type InboundProtocol = Offer;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Protocol;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        SubstreamProtocol::new(Offer(self.shared.services.protocols()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.exchanges.link().is_running()
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Protocol, Report>> {
        if !self.failed.is_empty() {
            if mem::replace(&mut self.settled, true) {
                self.on_streams_failed();
            } else {
                cx.waker().wake_by_ref();
            }
        }
        self.exchanges.poll(cx).map(|work| match work {
            Work::Report(report) => ConnectionHandlerEvent::NotifyBehaviour(report),
            Work::Open(protocol) => {
                let upgrade = ReadyUpgrade::new(protocol.stream_protocol());
                ConnectionHandlerEvent::OutboundSubstreamRequest {
                    protocol: SubstreamProtocol::new(upgrade, protocol)
                        .with_timeout(self.shared.config.dial_timeout().min(LONGEST)),
                }
            }
        })
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Offer, Self::OutboundProtocol, (), Protocol>,
    ) {
        // An idle stream must not keep its connection alive, and what is set on a stream cannot be taken back:
        // so no stream does, and running exchanges are told by `connection_keep_alive`.
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (mut stream, protocol),
                ..
            }) => {
                stream.ignore_for_keep_alive();
                self.exchanges.accept(protocol, stream);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: mut stream,
                info,
            }) => {
                stream.ignore_for_keep_alive();
                let link = self.exchanges.link();
                self.shared.outbound.opened(link, info, stream);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                self.failed.push((info, error));
                self.settled = false;
            }
            // Our inbound upgrade cannot fail, and which protocols the peer announces says nothing: a kubo node
            // announces none of its services.
            _ => {}
        }
    }
}

/// Accepts any protocol of a list, and says which.
///
/// The swarm asks for it at every poll of the connection, so it must not cost more than a reference.
pub struct Offer(Arc<[StreamProtocol]>);

/// Walks over a shared list.
pub struct OfferIter {
    protocols: Arc<[StreamProtocol]>,
    next: usize,
}

impl Iterator for OfferIter {
    type Item = StreamProtocol;

    fn next(&mut self) -> Option<StreamProtocol> {
        let protocol = self.protocols.get(self.next).cloned();
        self.next += 1;
        protocol
    }
}

impl UpgradeInfo for Offer {
    type Info = StreamProtocol;
    type InfoIter = OfferIter;

    fn protocol_info(&self) -> OfferIter {
        OfferIter {
            protocols: Arc::clone(&self.0),
            next: 0,
        }
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}
