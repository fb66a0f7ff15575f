//! Who may use a gateway, and for what?

use std::{collections::HashSet, time::Duration};

use libp2p_identity::PeerId;

use crate::{
    browser::{AllowedOrigin, Fetch, allows},
    failure::Failure,
    rewrite::{ForwardedMode, RequestRewrite},
    route::{Domain, RequestAddresses},
    service::Protocol,
};

/// What becomes of requests that ask for a tunnel: a WebSocket, or another upgrade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tunnels {
    /// They go through, and the tunnel lives until an end closes it or it is silent for
    /// [`Config::tunnel_timeout`](crate::Config::tunnel_timeout).
    #[default]
    Open,
    /// They go through, and the tunnel is cut after this time.
    AtMost(Duration),
    /// They are refused with 403.
    Refused,
}

/// What a [`Gateway`](crate::Gateway) lets its clients do. Exchanged while it runs by [`Rules::set`](super::Rules::set).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRules {
    /// `localhost`, then those of the settings.
    domains: Vec<Domain>,
    origins: Vec<AllowedOrigin>,
    services: Option<HashSet<(PeerId, Protocol)>>,
    request_addresses: RequestAddresses,
    tunnels: Tunnels,
    exchanges_per_client: Option<usize>,
    forwarded: ForwardedMode,
}

impl Default for GatewayRules {
    fn default() -> Self {
        Self {
            domains: vec![Domain::localhost()],
            origins: Vec::new(),
            services: None,
            request_addresses: RequestAddresses::default(),
            tunnels: Tunnels::default(),
            exchanges_per_client: None,
            forwarded: ForwardedMode::default(),
        }
    }
}

impl GatewayRules {
    /// Answers for a host name, too, and for the hosts of services below it ([`Domain::host_of`]). Repeatable. Default:
    /// `localhost`, which cannot be taken away, and everything below it.
    ///
    /// Requests for other names are refused with 421, so that nobody reaches the gateway through a name that they made
    /// point to it (DNS rebinding). The addresses of the machine are answered for where the listener is not bound to the
    /// loopback interface.
    #[must_use]
    pub fn with_domain(mut self, domain: Domain) -> Self {
        self.domains.push(domain);
        self
    }

    /// Lets the pages of another origin use the gateway and its services from within a browser. Repeatable. Default: none,
    /// so that what a browser sends for a page of another origin is refused with 403, unless it opens a page by itself,
    /// as a link does.
    ///
    /// Their requests get the fields of [CORS](https://fetch.spec.whatwg.org/#http-cors-protocol), and preflights are
    /// answered by the gateway. Browsers let them read what comes of their cookies only where the service itself says so.
    #[must_use]
    pub fn with_allowed_origin(mut self, origin: AllowedOrigin) -> Self {
        self.origins.push(origin);
        self
    }

    /// Lets clients use only these services of these peers, and none if there are none; others are refused with 403.
    /// Default: every service of every peer.
    #[must_use]
    pub fn with_allowed_services<P: Into<Protocol>>(
        mut self,
        pairs: impl IntoIterator<Item = (PeerId, P)>,
    ) -> Self {
        let pairs = pairs.into_iter();
        self.services = Some(
            pairs
                .map(|(peer, service)| (peer, service.into()))
                .collect(),
        );
        self
    }

    /// What becomes of addresses at which requests say that their peer is, in the field
    /// [`X-Libp2p-Addrs`](crate::route::ADDRESSES_FIELD) or by a [multiaddr](crate::route::MultiaddrRoute) as their target. Default:
    /// [`RequestAddresses::Ignored`].
    ///
    /// They are dialled for this request only, beside those that are known, if there is no connection to the peer:
    /// see [`Destination`](crate::Destination). Neither field is ever passed on. Pages of other origins, links
    /// in them, and pages of a service at its own host may name addresses only if their origin is
    /// [allowed](Self::with_allowed_origin). A gateway [for one service](crate::Gateway::for_service) takes none, as its owner
    /// says where that is.
    ///
    /// Where a peer says that it is itself is not checked here: libp2p's identify, with its cache, has it dialled there when it is
    /// asked for again. A swarm that lets clients lead it to peers of theirs does better without that cache, and learns nothing
    /// of the peers on connections for which
    /// [`is_dial_of_request`](crate::HttpProxyBehaviour::is_dial_of_request) was true.
    #[must_use]
    pub fn with_request_addresses(mut self, addresses: RequestAddresses) -> Self {
        self.request_addresses = addresses;
        self
    }

    /// What becomes of requests for a tunnel. Default: [`Tunnels::Open`].
    #[must_use]
    pub fn with_tunnels(mut self, tunnels: Tunnels) -> Self {
        self.tunnels = tunnels;
        self
    }

    /// Exchanges of one client at a time, tunnels included; one more is refused with 503. Default: as many as there is
    /// room for.
    ///
    /// It may have four times as many connections, idle ones included, to a [`Gateway`](crate::Gateway); what is beyond that is
    /// closed at once.
    ///
    /// A client is an IPv4 address, or the 64 bits of an IPv6 address that name its network. All that comes through a
    /// server in front of the gateway is one client. In a `GatewayService` (feature `tower`), so are all requests
    /// whose address its `with_client_address` does not find.
    #[must_use]
    pub fn with_exchanges_per_client(mut self, max: usize) -> Self {
        self.exchanges_per_client = Some(max);
        self
    }

    /// What services are told of the client, and of what it says itself: `X-Forwarded-For`, `-Host` and `-Proto`. Default:
    /// [`ForwardedMode::Replace`], and [`ForwardedMode::Append`] is for a gateway that is reached through another proxy only.
    #[must_use]
    pub fn with_forwarded(mut self, mode: ForwardedMode) -> Self {
        self.forwarded = mode;
        self
    }

    /// The services of peers that clients may use, in no order; `None` where they may use all.
    pub fn allowed_services(&self) -> Option<impl Iterator<Item = (PeerId, &Protocol)> + '_> {
        let services = self.services.as_ref()?;
        Some(services.iter().map(|(peer, service)| (*peer, service)))
    }

    pub(crate) fn domains(&self) -> &[Domain] {
        &self.domains
    }

    pub(crate) fn forwarded(&self) -> ForwardedMode {
        self.forwarded
    }

    pub(crate) fn request_addresses(&self) -> RequestAddresses {
        self.request_addresses
    }

    /// Refuses what comes from a page of another origin, unless that may use the gateway.
    pub(crate) fn admit(&self, fetch: &Fetch<'_>) -> Result<(), Failure> {
        if allows(&self.origins, fetch) {
            return Ok(());
        }
        let origin = fetch.origin;
        let origin = origin.map(|origin| String::from_utf8_lossy(origin).into_owned());
        Err(Failure::OriginNotAllowed { origin })
    }

    pub(crate) fn exchanges_per_client(&self) -> Option<usize> {
        self.exchanges_per_client
    }

    /// Browsers keep some open for each host, and those that send nothing take places, too.
    pub(crate) fn connections_per_client(&self) -> Option<usize> {
        const FOR_EACH_EXCHANGE: usize = 4;
        let exchanges = self.exchanges_per_client?;
        Some(exchanges.saturating_mul(FOR_EACH_EXCHANGE))
    }

    /// Refuses a service that clients may not use.
    pub(crate) fn check(&self, peer: PeerId, protocol: &Protocol) -> Result<(), Failure> {
        let Some(services) = &self.services else {
            return Ok(());
        };
        let pair = (peer, protocol.clone());
        if services.contains(&pair) {
            return Ok(());
        }
        let (peer, protocol) = pair;
        Err(Failure::PairNotAllowed { peer, protocol })
    }

    /// Refuses a request for a tunnel, if there may be none; says how long it may live.
    pub(crate) fn check_tunnel(
        &self,
        request: &RequestRewrite<'_>,
    ) -> Result<Option<Duration>, Failure> {
        match self.tunnels {
            Tunnels::Open => Ok(None),
            Tunnels::AtMost(limit) => Ok(Some(limit)),
            Tunnels::Refused if request.upgrade().is_some() => Err(Failure::TunnelNotAllowed),
            Tunnels::Refused => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        h1::{Decoder, Limits, Server, Step},
        service::ServiceName,
    };

    #[test]
    fn only_listed_pairs_are_let_through() {
        let (one, other) = (PeerId::random(), PeerId::random());
        let app: ServiceName = "app".parse().unwrap();
        let open = GatewayRules::default();
        let closed = open.clone().with_allowed_services([(one, &app)]);
        let kubo = open
            .clone()
            .with_allowed_services([(one, Protocol::Kubo), (other, Protocol::Kubo)]);
        let none = open.clone().with_allowed_services([(one, &app); 0]);
        let protocol = Protocol::from(&app);
        assert!(open.allowed_services().is_none());
        let told: Vec<_> = closed.allowed_services().unwrap().collect();
        assert_eq!(told, [(one, &protocol)]);
        for (rules, peer, protocol, allowed) in [
            (&open, other, &protocol, true),
            (&closed, one, &protocol, true),
            (&closed, other, &protocol, false),
            (&closed, one, &Protocol::Kubo, false),
            (&closed, one, &Protocol::KuboService(app.clone()), false),
            (&kubo, other, &Protocol::Kubo, true),
            (&kubo, one, &protocol, false),
            (&none, one, &protocol, false),
        ] {
            let result = rules.check(peer, protocol);
            assert_eq!(result.is_ok(), allowed, "{result:?}");
            if let Err(failure) = result {
                let text = failure.to_string();
                assert!(text.contains(&peer.to_string()) && text.contains(&protocol.to_string()));
                assert_eq!(failure.status(), 403);
            }
        }
    }

    #[test]
    fn tunnels_may_be_refused_or_limited() {
        let read = |fields: &str| {
            let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
            let mut decoder = Decoder::<Server>::new(Limits::default().into());
            match decoder.decode(text.as_bytes()) {
                Ok((_, Step::Head(head))) => head,
                other => panic!("{text}: {other:?}"),
            }
        };
        let plain = read("");
        let socket = read("Connection: upgrade\r\nUpgrade: websocket\r\n");
        let h2c = read("Connection: upgrade\r\nUpgrade: h2c\r\n");
        let limit = Duration::from_secs(1);
        for (tunnels, head, expected) in [
            (Tunnels::Open, &socket, Ok(None)),
            (Tunnels::AtMost(limit), &socket, Ok(Some(limit))),
            (Tunnels::Refused, &socket, Err(Failure::TunnelNotAllowed)),
            (Tunnels::Refused, &plain, Ok(None)),
            // What is never passed on need not be refused.
            (Tunnels::Refused, &h2c, Ok(None)),
        ] {
            let rules = GatewayRules::default().with_tunnels(tunnels);
            let found = rules.check_tunnel(&RequestRewrite::new(head));
            assert_eq!(found, expected, "{tunnels:?}");
        }
    }
}
