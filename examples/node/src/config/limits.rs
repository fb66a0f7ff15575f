//! Which limits does the file set? Its table `[limits]`.

use libp2p_http_proxy::{Config, GatewayConfig, h1};
use serde::Deserialize;

use super::values::{Count, Size, Time, TimeOrNever};

/// Limits and timeouts, as far as they are set; the others are those of the crate.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table, [limits]")]
pub(crate) struct Limits {
    head_size: Option<Size>,
    head_fields: Option<Count<256>>,
    target_size: Option<Size>,
    trailers_size: Option<Size>,
    dial_timeout: Option<Time>,
    head_timeout: Option<Time>,
    response_timeout: Option<TimeOrNever>,
    body_gap_timeout: Option<Time>,
    keep_alive: Option<Time>,
    tunnel_timeout: Option<Time>,
    /// The most that yamux lets a peer open before they are accepted.
    inbound_streams_per_connection: Option<Count<256>>,
    inbound_streams_per_peer: Option<Count<1_000_000>>,
    inbound_streams: Option<Count<1_000_000>>,
    /// QUIC stalls above it, and yamux ends the connection at twice as many.
    outbound_streams_per_peer: Option<Count<254>>,
    waiting_requests_per_peer: Option<Count<1_000_000>>,
    clients: Option<Count<1_000_000>>,
}

/// Calls a setter for each setting that is there.
macro_rules! set {
    ($value:ident: $($with:ident($option:expr, $pattern:pat => $inner:expr);)*) => {
        $(if let Some($pattern) = $option {
            $value = $value.$with($inner);
        })*
    };
}

impl Limits {
    /// The limits of the protocol.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default().with_limits(self.of_messages());
        set!(config:
            with_dial_timeout(self.dial_timeout, Time(time) => time);
            with_head_timeout(self.head_timeout, Time(time) => time);
            with_response_timeout(self.response_timeout, TimeOrNever(time) => time);
            with_body_gap_timeout(self.body_gap_timeout, Time(time) => time);
            with_keep_alive(self.keep_alive, Time(time) => time);
            with_tunnel_timeout(self.tunnel_timeout, Time(time) => time);
            with_max_inbound_streams_per_connection(self.inbound_streams_per_connection, Count(max) => max);
            with_max_inbound_streams_per_peer(self.inbound_streams_per_peer, Count(max) => max);
            with_max_inbound_streams(self.inbound_streams, Count(max) => max);
            with_max_outbound_streams(self.outbound_streams_per_peer, Count(max) => max);
            with_max_waiting_requests(self.waiting_requests_per_peer, Count(max) => max);
        );
        config
    }

    fn of_messages(&self) -> h1::Limits {
        let mut limits = h1::Limits::default();
        set!(limits:
            with_head_size(self.head_size, Size(bytes) => bytes);
            with_fields(self.head_fields, Count(max) => max);
            with_target(self.target_size, Size(bytes) => bytes);
            with_trailers_size(self.trailers_size, Size(bytes) => bytes);
        );
        limits
    }

    /// The limits of a port for HTTP clients.
    pub(crate) fn gateway(&self) -> GatewayConfig {
        let mut config = GatewayConfig::default();
        set!(config:
            with_max_clients(self.clients, Count(max) => max);
        );
        config
    }
}
