//! How many streams are there when somebody asks?

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::client::Client;

/// Looks at the streams of a behaviour whenever its figures are read, so that nothing has to be kept for it.
#[derive(Debug)]
pub(super) struct Streams(pub(super) Client);

impl Collector for Streams {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let busy = stats.outbound_streams.saturating_sub(stats.idle_streams);
        let streams = "Streams at the moment";
        let mut family = encoder.encode_descriptor("streams", streams, None, MetricType::Gauge)?;
        for (state, count) in [
            ("inbound", stats.inbound_streams),
            ("busy", busy),
            ("idle", stats.idle_streams),
            ("opening", stats.opening_streams),
        ] {
            gauge(count).encode(family.encode_family(&[("state", state)])?)?;
        }
        let waiting = "Requests that wait for a stream";
        gauge(stats.waiting_requests).encode(encoder.encode_descriptor(
            "waiting_requests",
            waiting,
            None,
            MetricType::Gauge,
        )?)?;
        for (name, help, count) in [
            (
                "streams_opened",
                "Streams that were opened to peers",
                stats.opened,
            ),
            (
                "streams_reused",
                "Requests that got an idle stream",
                stats.reused,
            ),
        ] {
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(encoder)?;
        }
        Ok(())
    }
}

fn gauge(count: usize) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
}
