//! What passed through the proxies, how long did it take, and why was something refused?

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::Metrics;
use crate::proxy::{Exchange, Observer, Side};

/// What an exchange is counted as.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    side: &'static str,
    service: Option<String>,
    status: &'static str,
}

/// `side` and something else.
type Labels = [(&'static str, &'static str); 2];

/// The figures of both proxies.
#[derive(Clone)]
pub(super) struct Exchanges {
    ended: Family<Kind, Counter>,
    failed: Family<Labels, Counter>,
    gateway: OneSide,
    origin: OneSide,
}

/// The figures of one proxy. They are found once, and not for every exchange.
#[derive(Clone)]
struct OneSide {
    running: Gauge,
    request_bytes: Counter,
    response_bytes: Counter,
    connect: Histogram,
    head: Histogram,
    body: Histogram,
    total: Histogram,
}

impl Exchanges {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let ended = Family::<Kind, Counter>::default();
        let failed = Family::<Labels, Counter>::default();
        let running = Family::<[(&str, &str); 1], Gauge>::default();
        let bytes = Family::<Labels, Counter>::default();
        let stages = Family::<Labels, Histogram>::new_with_constructor(histogram);
        let help = "Exchanges that have ended, by the class of their status";
        registry.register("exchanges", help, ended.clone());
        let help = "Exchanges that were refused or failed";
        registry.register("failures", help, failed.clone());
        let help = "Exchanges at the moment, tunnels included";
        registry.register("exchanges_running", help, running.clone());
        let help = "Bytes of bodies and tunnels";
        registry.register_with_unit("body", help, Unit::Bytes, bytes.clone());
        let help = "How long the stages of exchanges took";
        registry.register_with_unit("stage", help, Unit::Seconds, stages.clone());
        let one_side = |side: Side| {
            let side = side.as_str();
            let bytes =
                |direction| bytes.get_or_create_owned(&[("side", side), ("direction", direction)]);
            let stage = |stage| stages.get_or_create_owned(&[("side", side), ("stage", stage)]);
            OneSide {
                running: running.get_or_create_owned(&[("side", side)]),
                request_bytes: bytes("request"),
                response_bytes: bytes("response"),
                connect: stage("connect"),
                head: stage("head"),
                body: stage("body"),
                total: stage("total"),
            }
        };
        Self {
            gateway: one_side(Side::Gateway),
            origin: one_side(Side::Origin),
            ended,
            failed,
        }
    }

    fn of(&self, side: Side) -> &OneSide {
        match side {
            Side::Gateway => &self.gateway,
            Side::Origin => &self.origin,
        }
    }
}

/// From half a millisecond to about two minutes, as local exchanges take less and the longest timeouts a minute.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 19))
}

/// The proxies tell what passed through them.
impl Observer for Metrics {
    fn began(&self, side: Side) -> bool {
        self.exchanges.of(side).running.inc();
        true
    }

    fn ended(&self, exchange: &Exchange<'_>) {
        let side = self.exchanges.of(exchange.side);
        side.running.dec();
        side.request_bytes.inc_by(exchange.request_bytes);
        side.response_bytes.inc_by(exchange.response_bytes);
        let stages = exchange.stages;
        for (histogram, time) in [
            (&side.connect, stages.connect),
            (&side.head, stages.head),
            (&side.body, stages.body),
            (&side.total, Some(stages.total)),
        ] {
            if let Some(time) = time.as_ref().map(Duration::as_secs_f64) {
                histogram.observe(time);
            }
        }
        let own = exchange.service.filter(|_| exchange.side == Side::Origin);
        let kind = Kind {
            side: exchange.side.as_str(),
            service: own.map(ToString::to_string),
            status: class(exchange.status),
        };
        self.exchanges.ended.get_or_create(&kind).inc();
        if exchange.error.is_some() {
            let cause = exchange.cause.unwrap_or("client");
            let why = [("side", exchange.side.as_str()), ("cause", cause)];
            self.exchanges.failed.get_or_create(&why).inc();
        }
    }
}

/// The class of a status (RFC 9110, section 15): one series for each of the hundreds that a peer may choose among would be
/// too many.
fn class(status: Option<u16>) -> &'static str {
    match status.map(|status| status / 100) {
        None => "none",
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(_) => "5xx",
    }
}
