//! Which ports for HTTP clients are open, and how do they become others?

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use libp2p_http_proxy::{ForwardConfig, Gateway, GatewayConfig, GatewayRules, Rules};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    bound::Bound,
    places::{Place, Places},
    told,
    work::Work,
};
use crate::{
    gateway,
    listen::{self, Allowed, Site},
    output::{self, Fact},
    own,
    setup::Port,
    status,
    swarm::Node,
    token::Token,
};

/// The ports that are open.
#[derive(Default)]
pub(super) struct Ports(Vec<OpenPort>);

/// A port with what answers there.
struct OpenPort {
    port: Port,
    place: Place,
    rules: Rules<GatewayRules>,
    /// What programs have to know to become services.
    token: Option<Token>,
    /// Who may use the services that they become.
    allowed: Option<Allowed>,
    /// Ends it while the node goes on.
    stop: CancellationToken,
}

/// What was done in advance for a port that is wanted.
pub(super) enum Prepared {
    /// It was opened, or taken over.
    New(Bound),
    /// The one of this number leads to the same, and asks programs for this from now on.
    Same(usize, Option<Token>),
}

/// What a port needs of the node around it.
pub(super) struct Around<'a> {
    pub(super) node: &'a mut Node,
    pub(super) work: &'a mut Work,
    /// The limits of a gateway.
    pub(super) limits: GatewayConfig,
}

impl OpenPort {
    /// Whether what another port leads to differs from what this one does in nothing but rules, and what a token is.
    fn leads_to_same(&self, other: &Port) -> bool {
        let attach = |port: &Port| {
            let attach = port.attach.as_ref();
            attach.map(|attach| attach.token.is_some())
        };
        self.port.only == other.only && attach(&self.port) == attach(other)
    }
}

impl Ports {
    /// Where the ports are.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().map(|open| &open.place)
    }

    /// The places at which each of `wanted` goes on.
    pub(super) fn keep<'a>(
        &self,
        wanted: &[Port],
        places: &mut Places<'a>,
    ) -> Vec<Option<&'a Place>> {
        let kept = wanted.iter().map(|port| {
            let leads_to_same = |place: &Place| {
                let open = self.at(place).map(|at| &self.0[at]);
                open.is_some_and(|open| open.leads_to_same(port))
            };
            places.keep(port.listen, leads_to_same)
        });
        kept.collect()
    }

    /// Opens what is not open yet, and reads the tokens of all: one for each of `wanted`, where it goes on.
    ///
    /// # Errors
    ///
    /// Fails if an address is taken or not one of this machine, or a token cannot be read. Then nothing has changed.
    pub(super) fn open(
        &self,
        wanted: &[Port],
        kept: Vec<Option<&Place>>,
        places: &Places<'_>,
    ) -> Result<Vec<Prepared>> {
        let prepared = wanted.iter().zip(kept).map(|(port, kept)| {
            let token = token(port)?;
            let same = kept.and_then(|place| self.at(place));
            match same.filter(|at| self.0[*at].leads_to_same(port)) {
                Some(at) => Ok(Prepared::Same(at, token)),
                // A gateway becomes a forwarded port, say.
                None => Bound::new("HTTP", port.listen, kept, places, token).map(Prepared::New),
            }
        });
        prepared.collect()
    }

    /// Which of the ports is at a place.
    fn at(&self, place: &Place) -> Option<usize> {
        self.0.iter().position(|open| open.place.is(place))
    }

    /// Serves `wanted` and nothing else, with what [`open`](Self::open) gave for it. Returns what is to be told.
    pub(super) fn set(
        &mut self,
        wanted: &[Port],
        prepared: Vec<Prepared>,
        mut around: Around<'_>,
    ) -> Vec<(SocketAddr, Port)> {
        let before = std::mem::take(&mut self.0);
        let mut before: Vec<_> = before.into_iter().map(Some).collect();
        let mut new = Vec::new();
        for (port, prepared) in wanted.iter().zip(prepared) {
            let (same, token) = match prepared {
                Prepared::New(bound) => {
                    gateway::warn_of_others(bound.place.address);
                    new.push((bound.place.address, port.clone()));
                    self.0.push(around.serve(port.clone(), bound));
                    continue;
                }
                Prepared::Same(at, token) => (before[at].take(), token),
            };
            if let Some(mut open) = same {
                open.rules.set(port.rules.clone());
                if let Some((old, new)) = open.token.as_ref().zip(token.as_ref()) {
                    old.set(new);
                }
                if let (Some(allowed), Some(attach)) = (&open.allowed, &port.attach) {
                    allowed.set(attach.allowed.as_deref());
                }
                open.port = port.clone();
                self.0.push(open);
            }
        }
        for gone in before.into_iter().flatten() {
            gone.stop.cancel();
        }
        new
    }

    /// The ports as they are shown.
    pub(super) fn told(&self) -> Vec<status::Port> {
        let ports = self.0.iter();
        ports
            .map(|open| told::port(open.place.address, &open.port))
            .collect()
    }
}

/// What programs have to know to become services.
fn token(port: &Port) -> Result<Option<Token>> {
    let attach = port.attach.as_ref();
    let file = attach.and_then(|attach| attach.token.as_deref());
    file.map(Token::load).transpose()
}

impl Around<'_> {
    fn serve(&mut self, port: Port, bound: Bound) -> OpenPort {
        // Where the port is closed and the node goes on, exchanges may take as long as they do.
        let config = self.limits.clone().with_drain_timeout(Duration::MAX);
        let config = config
            .with_rules(port.rules.clone())
            .with_observer(self.node.observer());
        let mut gateway = Gateway::new(self.node.http().client(), self.node.peer(), config);
        let rules = gateway.rules();
        if let Some((peer, service)) = &port.only {
            gateway = gateway.for_service(*peer, service);
        }
        let stop = self.work.shutdown.child_token();
        let status = self.node.status().clone();
        let allowed = port.attach.as_ref();
        let allowed = allowed.map(|attach| Allowed::new(attach.allowed.as_deref()));
        let attached = allowed.clone().map(|allowed| {
            let site = self.site(allowed, &stop);
            listen::page(site, bound.token.clone())
        });
        gateway = gateway.with_own(own::pages(status, attached));
        let stopped = stop.clone().cancelled_owned();
        let Bound {
            place,
            listener,
            token,
        } = bound;
        self.work.spawn(async move {
            let served = gateway.serve(listener, stopped).await;
            served.context("cannot accept HTTP clients any more")
        });
        OpenPort {
            port,
            place,
            rules,
            token,
            allowed,
            stop,
        }
    }

    /// What the services of local programs need, whose last exchanges are waited for.
    fn site(&mut self, allowed: Allowed, stop: &CancellationToken) -> Site {
        let running = TaskTracker::new();
        let (asked, all) = (stop.clone(), running.clone());
        self.work.spawn(async move {
            asked.cancelled().await;
            all.close();
            all.wait().await;
            Ok(())
        });
        // As at the port itself.
        let config = ForwardConfig::default()
            .with_drain_timeout(Duration::MAX)
            .with_observer(self.node.observer());
        Site {
            peer: self.node.peer(),
            offers: self.node.offers(),
            config,
            allowed,
            shutdown: stop.clone(),
            tasks: running,
        }
    }
}

/// Prints where a port is.
pub(super) fn print(address: SocketAddr, port: &Port) {
    output::print(&match &port.only {
        None => Fact::Gateway(address),
        Some((peer, name)) => Fact::Forward(address, *peer, name),
    });
}
