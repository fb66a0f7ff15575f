//! Where do the hops to a server come from?

use std::future::Future;

use crate::{
    error::{ExchangeError, describe},
    failure::Failure,
    h1::Client,
    hop::Hop,
    lease::Seat,
    outbound::Reuse,
};

/// A hop to the server, for one exchange.
pub(crate) struct Upstream<S> {
    pub(crate) hop: Hop<Client>,
    pub(crate) seat: S,
    /// Whether the hop has carried an exchange before: the server may be closing it at this moment.
    pub(crate) reused: bool,
}

/// Where the hops to a server come from: streams to a peer, or sockets.
pub(crate) trait Connect: Sync {
    /// The place of such a hop.
    type Seat: Seat<Client>;

    /// A hop to the server.
    fn connect(
        &self,
        reuse: Reuse,
    ) -> impl Future<Output = Result<Upstream<Self::Seat>, Failure>> + Send;

    /// What it means that the server ended the hop before it answered.
    fn terminated(&self, reason: String) -> Failure;

    /// What it means that the hop failed before the server answered.
    fn failed(&self, error: ExchangeError) -> Failure {
        self.terminated(describe(&error))
    }

    /// Whether a body of this many bytes cannot come through, and if so, what a relay in between carries at most.
    fn beyond_relay(&self, _: &Self::Seat, _: u64) -> Option<u64> {
        None
    }

    /// Takes back a hop on which nothing was sent.
    fn give_back(&self, upstream: Upstream<Self::Seat>) {
        drop(upstream);
    }

    /// Whether our direction ends behind every request.
    fn half_close(&self) -> bool {
        false
    }
}
