//! Every limit and timeout of the protocol, with its default and what it costs at worst.

use std::{sync::Arc, time::Duration};

use crate::{
    h1::Limits,
    service::{Protocol, ServiceName},
};

/// Settings of [`HttpProxyBehaviour`](crate::HttpProxyBehaviour).
///
/// A limit that is hit is always visible: as a status for the requester, as an error of the call, or as an
/// [`Event`](crate::Event).
#[derive(Clone, Debug)]
pub struct Config {
    limits: Arc<Limits>,
    dial_timeout: Duration,
    peer_lookup: bool,
    head_timeout: Duration,
    keep_alive: Duration,
    body_gap_timeout: Duration,
    response_timeout: Option<Duration>,
    tunnel_timeout: Duration,
    max_inbound_streams_per_connection: usize,
    max_inbound_streams_per_peer: usize,
    max_inbound_streams: usize,
    max_outbound_streams: usize,
    spare_streams: usize,
    max_waiting_requests: usize,
    max_addressed_dials: usize,
    max_queued_requests: usize,
    kubo_names: bool,
    aliases: Vec<(Protocol, ServiceName)>,
    half_close: Vec<Protocol>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Arc::new(Limits::default()),
            dial_timeout: Duration::from_secs(10),
            peer_lookup: false,
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            body_gap_timeout: Duration::from_secs(60),
            response_timeout: Some(Duration::from_secs(60)),
            tunnel_timeout: Duration::from_secs(10 * 60),
            max_inbound_streams_per_connection: 256,
            max_inbound_streams_per_peer: 512,
            max_inbound_streams: 10_000,
            max_outbound_streams: 128,
            spare_streams: 2,
            max_waiting_requests: 16_384,
            max_addressed_dials: 64,
            max_queued_requests: 1_024,
            kubo_names: false,
            aliases: Vec::new(),
            half_close: Vec::new(),
        }
    }
}

/// Declares a setter and the getter of the same setting, so that no setting has only one of them.
macro_rules! settings {
    ($($(#[$doc:meta])* $with:ident / $name:ident: $type:ty;)*) => {
        impl Config {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $with(mut self, $name: $type) -> Self {
                    self.$name = $name;
                    self
                }

                #[doc = concat!("The setting of [`", stringify!($with), "`](Self::", stringify!($with), ").")]
                #[must_use]
                pub fn $name(&self) -> $type {
                    self.$name
                }
            )*
        }
    };
}

settings! {
    /// How long dialling a peer and negotiating a stream may take together, waiting for a free stream included; where
    /// [`Optimistic`](crate::Optimistic) does not wait for the negotiation, that is part of
    /// [`with_response_timeout`](Self::with_response_timeout). Default: 10 s.
    with_dial_timeout / dial_timeout: Duration;

    /// Whether the application is asked, by [`Event::AddressesWanted`](crate::Event::AddressesWanted), where a peer is
    /// that has no known addresses or answers at none of them. The requests for it wait meanwhile, at most for
    /// [`with_dial_timeout`](Self::with_dial_timeout). Default: off; they fail at once.
    with_peer_lookup / peer_lookup: bool;

    /// How long a request head may take from its first byte to its last, in total: a slow sender gains nothing
    /// by sending single bytes. Default: 10 s.
    with_head_timeout / head_timeout: Duration;

    /// How long a stream may stay idle between two exchanges, and before its first request. Default: 60 s. The requesting
    /// side gives an idle stream up after three quarters of it, so that it seldom sends into a stream that is just being
    /// closed.
    with_keep_alive / keep_alive: Duration;

    /// The longest gap between two body bytes, in each direction; also how long a write may make no progress.
    /// Default: 60 s. A response of server-sent events (`text/event-stream`) may be silent for as long as
    /// [a tunnel](Self::with_tunnel_timeout).
    with_body_gap_timeout / body_gap_timeout: Duration;

    /// How long a response head may take after the request was sent; `None` waits for ever. Default: 60 s.
    with_response_timeout / response_timeout: Option<Duration>;

    /// How long a tunnel (a WebSocket, say) may carry nothing in both directions, and a response of server-sent events
    /// nothing in its own. Default: 10 min.
    with_tunnel_timeout / tunnel_timeout: Duration;

    /// Inbound streams of one connection, idle ones included. What exceeds it gets a 503. Default: 256, the
    /// most that rust-yamux lets a peer open before they are accepted. Worst-case memory: this many heads
    /// ([`Limits::head_size`]) and read buffers of 64 KiB.
    with_max_inbound_streams_per_connection / max_inbound_streams_per_connection: usize;

    /// Inbound streams of one peer over all its connections. Default: 512.
    with_max_inbound_streams_per_peer / max_inbound_streams_per_peer: usize;

    /// Inbound streams of all peers together. Default: 10,000. Worst-case memory: this many read buffers of
    /// 64 KiB, 640 MiB, and only while each of them carries a large body.
    with_max_inbound_streams / max_inbound_streams: usize;

    /// Outbound streams to one peer, idle ones included. Requests beyond it wait for one to become free.
    /// Default: 128, well below the 512 at which yamux ends the connection and the 254 at which QUIC stalls.
    with_max_outbound_streams / max_outbound_streams: usize;

    /// Idle streams that a service in use is to have ready for the next requests. Default: 2, so that a few requests at
    /// once need one round trip each and not a second one for negotiating a stream. They count among
    /// [`with_max_outbound_streams`](Self::with_max_outbound_streams) and are opened from the second request on.
    with_spare_streams / spare_streams: usize;

    /// Requests that may wait for a stream to one peer; one more fails with
    /// [`OutboundFailure::TooManyWaiting`](crate::OutboundFailure::TooManyWaiting). Default: 16,384, so that a
    /// gateway queues 10,000 local clients instead of turning them away; a waiting request costs about 200 bytes
    /// besides its own head.
    with_max_waiting_requests / max_waiting_requests: usize;

    /// Dials under way at addresses that came with requests ([`Destination`](crate::Destination)); one more fails with
    /// [`OutboundFailure::TooManyDials`](crate::OutboundFailure::TooManyDials). Requests with the same destination share one,
    /// and one peer has 4 at most. Default: 64, at a few sockets and KiB each for as long as the transport tries.
    with_max_addressed_dials / max_addressed_dials: usize;

    /// New streams whose first request may wait in one [`Requests`](crate::Requests) stream; one more is answered with
    /// a 503. Later requests of a stream are read when they are asked for. Default: 1,024.
    with_max_queued_requests / max_queued_requests: usize;

    /// Whether every service is also offered as `/x/$name/http`, the form of kubo's gateway path
    /// `/p2p/$peer/x/$name/http/`. Default: off.
    with_kubo_names / kubo_names: bool;
}

impl Config {
    /// Sets the bounds on a single message. Default: [`Limits::default`].
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Arc::new(limits);
        self
    }

    /// The bounds on a single message.
    #[must_use]
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Offers `service` under a protocol that carries no name of its own, such as [`Protocol::Kubo`] (`/http`) or
    /// [`Protocol::Libp2pHttp`] (`/http/1.1`), while the service is offered at all. Default: no alias. A second
    /// alias for the same protocol replaces the first.
    #[must_use]
    pub fn with_alias(mut self, protocol: Protocol, service: ServiceName) -> Self {
        self.aliases.retain(|(known, _)| *known != protocol);
        self.aliases.push((protocol, service));
        self
    }

    /// The aliases set by [`with_alias`](Self::with_alias).
    pub fn aliases(&self) -> impl Iterator<Item = (&Protocol, &ServiceName)> {
        self.aliases
            .iter()
            .map(|(protocol, service)| (protocol, service))
    }

    /// Half-closes streams of `protocol` behind the request. Default: for no protocol, because kubo closes both
    /// directions at the first end-of-stream, and the response is lost. A stream that was half-closed is not
    /// reused. Half-closed requests of peers are always answered.
    #[must_use]
    pub fn with_half_close(mut self, protocol: Protocol) -> Self {
        self.half_close.push(protocol);
        self
    }

    /// Whether streams of `protocol` are half-closed behind the request.
    #[must_use]
    pub fn half_close(&self, protocol: &Protocol) -> bool {
        self.half_close.contains(protocol)
    }
}
