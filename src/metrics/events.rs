//! How often did exchanges fail, as the behaviour's events tell it?

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::event::{Event, InboundFailure, OutboundFailure};

/// `cause`.
type Labels = [(&'static str, &'static str); 1];

/// The failures by their causes.
#[derive(Clone, Default)]
pub(super) struct Failures {
    inbound: Family<Labels, Counter>,
    outbound: Family<Labels, Counter>,
}

impl Failures {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let failures = Self::default();
        registry.register(
            "inbound_failures",
            "Exchanges with peers that went wrong on their stream, or were refused",
            failures.inbound.clone(),
        );
        registry.register(
            "outbound_failures",
            "Requests of the application that got no response",
            failures.outbound.clone(),
        );
        failures
    }

    pub(super) fn record(&self, event: &Event) {
        let (family, cause) = match event {
            Event::InboundFailure { error, .. } => (&self.inbound, inbound(error)),
            Event::OutboundFailure { error, .. } => (&self.outbound, outbound(error)),
            _ => return,
        };
        family.get_or_create(&[("cause", cause)]).inc();
    }
}

fn inbound(failure: &InboundFailure) -> &'static str {
    match failure {
        InboundFailure::Request(_) => "request",
        InboundFailure::ResponseOmitted => "response_omitted",
        InboundFailure::ResponseIncomplete => "response_incomplete",
        InboundFailure::TooManyStreams => "too_many_streams",
        InboundFailure::QueueFull => "queue_full",
    }
}

fn outbound(failure: &OutboundFailure) -> &'static str {
    match failure {
        OutboundFailure::NoAddresses => "no_addresses",
        OutboundFailure::NotFound { .. } => "not_found",
        OutboundFailure::WrongPeerId { .. } => "wrong_peer_id",
        OutboundFailure::DialFailure { .. } => "dial_failure",
        OutboundFailure::UnsupportedProtocol { .. } => "unsupported_protocol",
        OutboundFailure::ConnectionClosed => "connection_closed",
        OutboundFailure::DialTimeout => "dial_timeout",
        OutboundFailure::StreamTimeout => "stream_timeout",
        OutboundFailure::TooManyWaiting => "too_many_waiting",
        OutboundFailure::TooManyDials => "too_many_dials",
        OutboundFailure::SwarmEnded => "swarm_ended",
        OutboundFailure::Exchange(_) => "exchange",
    }
}
