//! What can be used up?

use std::fmt;

/// What there is a limited number of, of which none is left for a request.
///
/// `Display` names it in the plural, for the middle of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capacity {
    /// The inbound streams of a connection, a peer, or the node: see
    /// [`Config::with_max_inbound_streams`](crate::Config::with_max_inbound_streams).
    InboundStreams,
    /// The places of requests that wait for the task that answers for the service: see
    /// [`Config::with_max_queued_requests`](crate::Config::with_max_queued_requests).
    QueuedRequests,
    /// The places of requests that wait for a stream to the peer: see
    /// [`Config::with_max_waiting_requests`](crate::Config::with_max_waiting_requests).
    WaitingRequests,
    /// The dials at addresses that came with requests: see
    /// [`Config::with_max_addressed_dials`](crate::Config::with_max_addressed_dials).
    AddressedDials,
    /// What one client of a gateway may have at a time: see `GatewayRules::with_exchanges_per_client`.
    ClientExchanges,
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InboundStreams => "inbound streams",
            Self::QueuedRequests => "requests that wait for the service",
            Self::WaitingRequests => "requests waiting for the peer",
            Self::AddressedDials => "dials at addresses that requests name",
            Self::ClientExchanges => "exchanges of one client",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    /// Clients read it.
    #[test]
    fn a_message_names_what_is_used_up() {
        for (what, named) in [
            (Capacity::InboundStreams, "inbound streams"),
            (
                Capacity::QueuedRequests,
                "requests that wait for the service",
            ),
            (Capacity::WaitingRequests, "requests waiting for the peer"),
            (
                Capacity::AddressedDials,
                "dials at addresses that requests name",
            ),
            (Capacity::ClientExchanges, "exchanges of one client"),
        ] {
            let detail = Failure::NoCapacity { what }.detail();
            let expected =
                format!("there are too many {named} at the moment: try again, or raise the limit");
            assert_eq!(detail, expected);
        }
    }
}
