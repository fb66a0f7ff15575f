//! What is counted of the node, for Prometheus?

use std::sync::Arc;

use libp2p::{
    metrics::{Metrics as Network, Recorder as _},
    swarm::SwarmEvent,
};
use libp2p_http_proxy::{Client, Exchange, Observer, Side, metrics::Metrics};
use prometheus_client::registry::Registry;

use super::behaviour::BehaviourEvent;
use crate::status::Status;

/// The figures of the protocols of a node.
pub(super) struct Figures {
    http: Metrics,
    network: Network,
}

impl Figures {
    pub(super) fn new(registry: &mut Registry, client: Client) -> Self {
        Self {
            http: Metrics::new(registry, client),
            network: Network::new(registry),
        }
    }

    /// Counts what has happened in the network.
    pub(super) fn record(&self, event: &SwarmEvent<BehaviourEvent>) {
        self.network.record(event);
        let SwarmEvent::Behaviour(event) = event else {
            return;
        };
        match event {
            BehaviourEvent::Http(event) => self.http.record(event),
            BehaviourEvent::Identify(event) => self.network.record(event),
            BehaviourEvent::Ping(event) => self.network.record(event),
            BehaviourEvent::Kad(event) => self.network.record(event),
            BehaviourEvent::RelayServer(event) => self.network.record(event),
            BehaviourEvent::HolePunching(event) => self.network.record(event),
            _ => {}
        }
    }

    /// Counts the exchanges of the proxies, and shows them.
    pub(super) fn observer(&self, status: &Status) -> Arc<dyn Observer> {
        Arc::new(Both {
            http: self.http.clone(),
            status: status.clone(),
        })
    }
}

/// Tells the page and the figures, where anybody can look at them.
struct Both {
    http: Metrics,
    status: Status,
}

impl Observer for Both {
    fn began(&self, side: Side) -> bool {
        self.status.began(side) && self.http.began(side)
    }

    fn ended(&self, exchange: &Exchange<'_>) {
        self.http.ended(exchange);
        self.status.ended(exchange);
    }
}
