//! How does a request leave on a new stream without waiting for its negotiation?
//!
//! A swarm proposes a protocol on each new stream, and waits a round trip for the answer. Its setting to go on without
//! (`V1Lazy`) is one for all protocols of a node, and for peers that may have none of them. Here only a protocol is taken for
//! granted that the peer has accepted before on the same connection, and only one of this crate: the negotiation reads the
//! answer that is expected, at once, and what really comes is held against it before anything else is read.
//!
//! Nothing that follows on a refused proposal must be taken for another one, or a request could carry a proposal of its own, and
//! with it a second request that nobody has seen: see [`negotiation`].

mod negotiation;
mod stream;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{TryFutureExt, future::MapOk};
use libp2p_core::{
    muxing::{StreamMuxer, StreamMuxerEvent, StreamMuxerExt as _},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
};

use self::{negotiation::Accepted, stream::OptimisticStream};

/// A stream multiplexer on which requests need not wait for the negotiation of a new stream, where the peer has accepted the
/// same service before: a round trip less for each of many requests at once.
///
/// Nothing changes on the wire but when the request is sent, and nothing for other protocols than those of this crate. A peer
/// that offers the service no more refuses it as ever, and has then not understood a byte of the request, which fails with
/// [`OutboundFailure::UnsupportedProtocol`](crate::OutboundFailure::UnsupportedProtocol). How long the peer takes to accept is
/// part of [`Config::response_timeout`](crate::Config::response_timeout) then, and not of
/// [`Config::dial_timeout`](crate::Config::dial_timeout).
///
/// ```
/// use libp2p_http_proxy::Optimistic;
///
/// let swarm = libp2p::SwarmBuilder::with_new_identity()
///     .with_tokio()
///     .with_tcp(
///         libp2p::tcp::Config::default(),
///         libp2p::noise::Config::new,
///         || Optimistic::new(libp2p::yamux::Config::default()),
///     )?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Optimistic<U> {
    muxer: U,
}

impl<U> Optimistic<U> {
    /// Wraps the configuration of a multiplexer.
    #[must_use]
    pub fn new(muxer: U) -> Self {
        Self { muxer }
    }
}

impl<U: UpgradeInfo> UpgradeInfo for Optimistic<U> {
    type Info = U::Info;
    type InfoIter = U::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.muxer.protocol_info()
    }
}

impl<C, U, M> InboundConnectionUpgrade<C> for Optimistic<U>
where
    U: InboundConnectionUpgrade<C, Output = M>,
    M: StreamMuxer,
{
    type Output = OptimisticMuxer<M>;
    type Error = U::Error;
    type Future = MapOk<U::Future, fn(M) -> OptimisticMuxer<M>>;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        let muxer = self.muxer.upgrade_inbound(io, info);
        muxer.map_ok(OptimisticMuxer::new)
    }
}

impl<C, U, M> OutboundConnectionUpgrade<C> for Optimistic<U>
where
    U: OutboundConnectionUpgrade<C, Output = M>,
    M: StreamMuxer,
{
    type Output = OptimisticMuxer<M>;
    type Error = U::Error;
    type Future = MapOk<U::Future, fn(M) -> OptimisticMuxer<M>>;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        let muxer = self.muxer.upgrade_outbound(io, info);
        muxer.map_ok(OptimisticMuxer::new)
    }
}

/// An [`Optimistic`] multiplexer.
#[derive(Debug)]
pub struct OptimisticMuxer<M> {
    muxer: M,
    accepted: Arc<Accepted>,
}

impl<M> OptimisticMuxer<M> {
    fn new(muxer: M) -> Self {
        Self {
            muxer,
            accepted: Arc::default(),
        }
    }
}

impl<M: StreamMuxer<Substream: Unpin> + Unpin> StreamMuxer for OptimisticMuxer<M> {
    type Substream = OptimisticStream<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let inbound = self.muxer.poll_inbound_unpin(cx);
        inbound.map_ok(OptimisticStream::inbound)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let outbound = self.muxer.poll_outbound_unpin(cx);
        outbound.map_ok(|stream| OptimisticStream::outbound(stream, &self.accepted))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        self.muxer.poll_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.muxer.poll_close_unpin(cx)
    }
}
