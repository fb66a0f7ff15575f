//! How a gateway is set up, and where it sends a request.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use libp2p_identity::PeerId;

#[cfg(feature = "tower")]
use crate::proxy::own::Own;
use crate::{
    browser::{AllowedOrigin, Fetch, preflight},
    client::Client,
    destination::Destination,
    failure::{Failure, Page},
    h1::RequestHead,
    proxy::{
        clients::{self, Clients},
        hosts::{Hosts, Place, Reach, authority, misdirected, split_port},
        last::answer_as_last,
        observer::{Observer, Side},
        recent::Recent,
        record::{Audience, Record},
        rules::{GatewayRules, Rules},
        to_peer::ToPeer,
        told::{Telling, Told},
    },
    rewrite::{CookieScope, ForwardedMode, Pseudonym, Terms, is_loop, origin_form},
    route::{Domain, RequestAddresses, Route, RouteError},
    service::Protocol,
};

/// What answers of a gateway name as the one that failed.
pub(super) const GATEWAY: &str = "p2p-gateway";

/// Settings of a [`Gateway`](crate::Gateway).
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    pub(super) rules: GatewayRules,
    pub(super) half_closed_clients: bool,
    pub(super) max_clients: usize,
    pub(super) drain_timeout: Duration,
    pub(super) audience: Audience,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            rules: GatewayRules::default(),
            half_closed_clients: false,
            max_clients: 16_384,
            drain_timeout: Duration::from_secs(30),
            audience: Audience::default(),
        }
    }
}

impl GatewayConfig {
    /// What clients may do, to begin with: [`Gateway::rules`](crate::Gateway::rules) exchanges it later. Default:
    /// [`GatewayRules::default`].
    #[must_use]
    pub fn with_rules(mut self, rules: GatewayRules) -> Self {
        self.rules = rules;
        self
    }

    /// Answers for a host name, too: as [`GatewayRules::with_domain`].
    #[must_use]
    pub fn with_domain(mut self, domain: Domain) -> Self {
        self.rules = self.rules.with_domain(domain);
        self
    }

    /// Lets the pages of another origin use the gateway: as [`GatewayRules::with_allowed_origin`].
    #[must_use]
    pub fn with_allowed_origin(mut self, origin: AllowedOrigin) -> Self {
        self.rules = self.rules.with_allowed_origin(origin);
        self
    }

    /// What becomes of addresses that requests name for their peers: as [`GatewayRules::with_request_addresses`].
    #[must_use]
    pub fn with_request_addresses(mut self, addresses: RequestAddresses) -> Self {
        self.rules = self.rules.with_request_addresses(addresses);
        self
    }

    /// What becomes of `X-Forwarded-For`, `-Host` and `-Proto`: as [`GatewayRules::with_forwarded`].
    #[must_use]
    pub fn with_forwarded(mut self, mode: ForwardedMode) -> Self {
        self.rules = self.rules.with_forwarded(mode);
        self
    }

    /// Answers clients that close their direction behind the request, as `nc -N` does. Default: off, since a browser or
    /// curl that does so has gone, and the service need not go on for it.
    #[must_use]
    pub fn with_half_closed_clients(mut self, answer: bool) -> Self {
        self.half_closed_clients = answer;
        self
    }

    /// Local connections at the same time; more wait in the listener's backlog. Default: 16,384, at about 70 KiB each
    /// in the worst case and a few KiB while idle.
    #[must_use]
    pub fn with_max_clients(mut self, max: usize) -> Self {
        self.max_clients = max;
        self
    }

    /// How long running exchanges may go on after the shutdown began. Default: 30 s.
    #[must_use]
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Tells `observer` what becomes of every exchange, for figures or a page about them. Default: nobody; the access log
    /// is there in any case, as the `tracing` events of the target `http_access`.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.audience = Audience(Some(observer));
        self
    }
}

/// What all clients of a gateway share.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) client: Client,
    pub(super) config: GatewayConfig,
    pub(super) rules: Rules<GatewayRules>,
    pub(super) clients: Clients,
    pub(super) pseudonym: Pseudonym,
    /// Where every request goes, if not by its host or path.
    pub(super) only: Option<(PeerId, Protocol)>,
    pub(super) reach: Reach,
    /// What a server around the gateway takes off the path before a request gets here.
    pub(super) base: String,
    /// Who answers what is no route.
    #[cfg(feature = "tower")]
    pub(super) own: Option<Own>,
}

/// What is to become of a request.
pub(super) struct Routed<'a> {
    /// What is added to the response, whoever gives it.
    pub(super) terms: Terms<'a>,
    pub(super) turn: Result<Turn<'a>, Failure>,
}

/// Who gives the response to a request.
pub(super) enum Turn<'a> {
    /// A service, which is to get this target.
    Pass(ToPeer, Cow<'a, str>),
    /// The gateway.
    Answer(Page),
    /// The application, which has pages of its own on the gateway.
    #[cfg(feature = "tower")]
    Own(&'a Own),
}

impl Settings {
    /// The hosts that are answered for by `rules`.
    pub(super) fn hosts<'a>(&self, rules: &'a GatewayRules) -> Hosts<'a> {
        Hosts {
            domains: rules.domains(),
            reach: self.reach,
        }
    }

    /// An exchange begins.
    pub(super) fn begin_record(&self) -> Record {
        let audience = &self.config.audience;
        audience.begin(Side::Gateway, || self.client.next_id())
    }

    /// A place for one more exchange of a client, where `rules` limit them.
    pub(super) fn enter(
        &self,
        rules: &GatewayRules,
        client: Option<IpAddr>,
    ) -> Result<Option<clients::Place>, Failure> {
        self.clients.enter(client, rules.exchanges_per_client())
    }

    /// Decides about a request by `rules`, on a connection on which others may have come before.
    pub(super) fn route<'a>(
        &'a self,
        rules: &'a GatewayRules,
        head: &'a RequestHead,
        recent: &mut Recent,
    ) -> Routed<'a> {
        let mut terms = Terms::default();
        let turn = self.turn(rules, head, recent, &mut terms);
        let turn = turn.and_then(|turn| match turn {
            Turn::Pass(..) => Ok(answer_as_last(head, GATEWAY)?.map_or(turn, Turn::Answer)),
            turn => Ok(turn),
        });
        Routed { terms, turn }
    }

    fn turn<'a>(
        &'a self,
        rules: &'a GatewayRules,
        head: &'a RequestHead,
        recent: &mut Recent,
        terms: &mut Terms<'a>,
    ) -> Result<Turn<'a>, Failure> {
        if is_loop(head, self.pseudonym.as_str()) {
            return Err(Failure::LoopDetected);
        }
        let authority = authority(head);
        let place = match authority {
            Some(authority) => recent.place(self.hosts(rules), authority)?,
            None => Place::Gateway(None),
        };
        let fetch = Fetch::of(head);
        let is_foreign = fetch.is_foreign(authority);
        if is_foreign && !fetch.opens_page(head.method()) {
            rules.admit(&fetch)?;
            terms.reader = fetch.origin;
            if let Some(page) = preflight(head, &fetch) {
                return Ok(Turn::Answer(page));
            }
        }
        let is_service_host = matches!(place, Place::Service(..));
        let telling = Telling {
            rules,
            head,
            fetch,
            is_of_stranger: is_foreign || is_service_host && fetch.is_of_browser(),
        };
        match (place, &self.only) {
            (Place::Gateway(domain), None) => {
                self.by_path(domain.zip(authority), telling, recent, terms)
            }
            (place, only) => {
                if is_service_host {
                    terms.cookies = Some(CookieScope::host_only());
                }
                let (peer, protocol) = at_root(place, only.as_ref())
                    .ok_or_else(|| misdirected(authority.unwrap_or_default()))?;
                rules.check(peer, &protocol)?;
                let to = match only {
                    None => telling.told(peer)?,
                    Some(_) => Destination::new(peer).into(),
                };
                let target = origin_form(head.method(), head.target())?;
                Ok(self.pass(to, protocol, target))
            }
        }
    }

    /// Decides about a request whose path names the peer, at a host that may have service hosts below a domain.
    fn by_path<'a>(
        &'a self,
        host: Option<(&Domain, &str)>,
        telling: Telling<'a>,
        recent: &mut Recent,
        terms: &mut Terms<'a>,
    ) -> Result<Turn<'a>, Failure> {
        let Telling {
            rules, head, fetch, ..
        } = telling;
        let route = match recent.route(head.target()) {
            Ok(route) => route,
            Err(error) => return self.without_route(error, telling, terms),
        };
        rules.check(route.peer, &route.protocol)?;
        if let Some((domain, authority)) = host.filter(|_| fetch.runs_scripts(head))
            && let Some(location) = own_origin(&route, domain, authority)
        {
            return Err(Failure::OwnOrigin { location });
        }
        terms.shares_origin = fetch.may_be_of_browser(head);
        terms.cookies = Some(CookieScope::below_route(&self.base, route.prefix));
        let to = telling.told(route.peer)?;
        Ok(self.pass(to, route.protocol, Cow::Borrowed(route.target)))
    }

    /// Decides about a request whose target is no route, for this reason.
    fn without_route<'a>(
        &'a self,
        error: RouteError,
        telling: Telling<'_>,
        terms: &mut Terms<'a>,
    ) -> Result<Turn<'a>, Failure> {
        #[cfg(feature = "tower")]
        if let (RouteError::NotARoute { .. }, Some(own)) = (&error, &self.own) {
            return Ok(Turn::Own(own));
        }
        match error {
            RouteError::ByMultiaddr => self.by_multiaddr(telling, terms),
            error => Err(error.into()),
        }
    }

    /// Decides about a request whose target names its peer by a multiaddr.
    fn by_multiaddr<'a>(
        &'a self,
        telling: Telling<'_>,
        terms: &mut Terms<'a>,
    ) -> Result<Turn<'a>, Failure> {
        let (route, to) = telling.route()?;
        telling.rules.check(route.peer, &route.protocol)?;
        // The same path leads to any peer, so that the host of one would know neither the address nor that it is asked for,
        // and a cookie would be sent to all.
        terms.shares_origin = telling.fetch.may_be_of_browser(telling.head);
        terms.cookies = Some(CookieScope::nowhere());
        Ok(self.pass(to.into(), route.protocol, Cow::Owned(route.target)))
    }

    fn pass<'a>(&self, told: Told, protocol: Protocol, target: Cow<'a, str>) -> Turn<'a> {
        let to = ToPeer {
            client: self.client.clone(),
            to: told.to,
            is_ignored: told.is_ignored,
            protocol,
        };
        Turn::Pass(to, target)
    }
}

/// The service whose root is that of the host: the host's own, or the only one that the gateway is for. `None` if the host
/// is that of another.
fn at_root(place: Place<'_>, only: Option<&(PeerId, Protocol)>) -> Option<(PeerId, Protocol)> {
    match place {
        Place::Gateway(_) => only.cloned(),
        Place::Service(peer, service) => {
            let own = (peer, Protocol::Service(service));
            only.is_none_or(|only| *only == own).then_some(own)
        }
    }
}

/// Where a page of a service is to be opened instead of at its path on the gateway, if it has a host of its own below
/// `domain`.
fn own_origin(route: &Route<'_>, domain: &Domain, authority: &str) -> Option<String> {
    let Protocol::Service(name) = &route.protocol else {
        return None;
    };
    let host = domain.host_of(&route.peer, name)?;
    let (_, port) = split_port(authority);
    // Without a scheme: that of the request stays, and TLS may end in front of the gateway.
    Some(format!("//{host}{port}{}", route.target))
}
