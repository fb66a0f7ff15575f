//! Figures about the exchanges and streams of a node, for Prometheus (feature `metrics`).
//!
//! ```
//! # use std::sync::Arc;
//! # use libp2p_http_proxy::{HttpProxyBehaviour, metrics::Metrics};
//! # fn example(behaviour: &HttpProxyBehaviour) {
//! let mut registry = prometheus_client::registry::Registry::default();
//! let metrics = Arc::new(Metrics::new(&mut registry, behaviour.client()));
//! # #[cfg(feature = "tokio")]
//! let gateway = libp2p_http_proxy::GatewayConfig::default().with_observer(metrics.clone());
//! // In the loop over the swarm's events: metrics.record(&event);
//! # }
//! ```
//!
//! | metric | labels | what it counts |
//! | --- | --- | --- |
//! | `libp2p_http_exchanges_total` | `side`, `service`, `status` | exchanges that have ended, by the class of their status; `none` had no response |
//! | `libp2p_http_exchanges_running` | `side` | exchanges at the moment, tunnels included |
//! | `libp2p_http_failures_total` | `side`, `cause` | exchanges that were refused or failed, by the error type of RFC 9209; `client` is one that left |
//! | `libp2p_http_body_bytes_total` | `side`, `direction` | bytes of bodies and tunnels |
//! | `libp2p_http_stage_seconds` | `side`, `stage` | how long `Stages` took |
//! | `libp2p_http_streams` | `state` | streams at the moment: `inbound`, and of the outbound ones `busy`, `idle`, `opening` |
//! | `libp2p_http_streams_opened_total`, `_reused_total` | | how often a stream was opened, and an idle one used: a hit in the pool |
//! | `libp2p_http_waiting_requests` | | requests that wait for a stream |
//! | `libp2p_http_inbound_failures_total` | `cause` | [`InboundFailure`](crate::InboundFailure)s |
//! | `libp2p_http_outbound_failures_total` | `cause` | [`OutboundFailure`](crate::OutboundFailure)s of requests by swarm events |
//!
//! The first five need [`Metrics`] to be the observer of the proxies (feature `tokio`). `service` is there only for what this
//! node offers: clients of a gateway can ask for any name, and each would be a series of its own.

mod events;
#[cfg(feature = "tokio")]
mod exchanges;
mod streams;

use std::fmt;

use prometheus_client::registry::Registry;

use crate::{client::Client, event::Event};

use self::{events::Failures, streams::Streams};

/// The figures of one behaviour and its proxies.
#[derive(Clone)]
pub struct Metrics {
    failures: Failures,
    #[cfg(feature = "tokio")]
    exchanges: exchanges::Exchanges,
}

impl Metrics {
    /// Registers the figures of the behaviour of `client` under `libp2p_http_`.
    pub fn new(registry: &mut Registry, client: Client) -> Self {
        let registry = registry.sub_registry_with_prefix("libp2p_http");
        registry.register_collector(Box::new(Streams(client)));
        Self {
            failures: Failures::new(registry),
            #[cfg(feature = "tokio")]
            exchanges: exchanges::Exchanges::new(registry),
        }
    }

    /// Counts an event of the behaviour.
    pub fn record(&self, event: &Event) {
        self.failures.record(event);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
