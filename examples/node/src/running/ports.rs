//! Which ports for HTTP clients are open, and how do they become others?

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use libp2p_http_proxy::{ForwardConfig, Gateway, GatewayConfig, GatewayRules, Rules};
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{bound::Bound, told};
use crate::{
    gateway,
    listen::{self, Allowed, Site},
    output::{self, Fact},
    own,
    setup::Port,
    shutdown::Tasks,
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
    address: SocketAddr,
    /// The same as the one that is served, so that another gateway can go on with it.
    spare: std::net::TcpListener,
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
    /// One that leads to the same is open, and asks programs for this from now on.
    Same(Option<Token>),
}

/// What a port needs of the node around it.
pub(super) struct Around<'a> {
    pub(super) node: &'a mut Node,
    pub(super) tasks: &'a mut Tasks,
    /// The limits of a gateway.
    pub(super) limits: GatewayConfig,
    pub(super) shutdown: &'a CancellationToken,
    pub(super) drain: Duration,
}

impl OpenPort {
    /// Whether another port differs from it in nothing but rules, and what a token is.
    fn leads_to_same(&self, other: &Port) -> bool {
        let attach = |port: &Port| {
            let attach = port.attach.as_ref();
            attach.map(|attach| attach.token.is_some())
        };
        self.is_at(other.listen)
            && self.port.only == other.only
            && attach(&self.port) == attach(other)
    }

    /// Whether it is what was asked for, by the port that was asked for or the one that the system chose.
    fn is_at(&self, listen: SocketAddr) -> bool {
        [self.port.listen, self.address].contains(&listen)
    }
}

impl Ports {
    /// Opens what is not open yet, and reads the tokens of all: one for each of `wanted`.
    ///
    /// # Errors
    ///
    /// Fails if an address is taken or not one of this machine, or a token cannot be read. Then nothing has changed.
    pub(super) fn open(&self, wanted: &[Port]) -> Result<Vec<Prepared>> {
        let mut free: Vec<_> = self.0.iter().collect();
        let prepared = wanted.iter().map(|port| {
            let token = token(port)?;
            if let Some(same) = free.iter().position(|open| open.leads_to_same(port)) {
                free.remove(same);
                return Ok(Prepared::Same(token));
            }
            let taken = self.0.iter().find(|open| open.is_at(port.listen));
            match taken.filter(|_| port.listen.port() != 0) {
                // A gateway becomes a forwarded port, say: no client is to find it closed.
                Some(open) => Bound::new(token, open.spare.try_clone()).map(Prepared::New),
                None => {
                    let (listener, _) = gateway::bind(port.listen)?;
                    Bound::new(token, listener.into_std()).map(Prepared::New)
                }
            }
        });
        prepared.collect()
    }

    /// Serves `wanted` and nothing else, with what [`open`](Self::open) gave for it. Returns what is to be told.
    pub(super) fn set(
        &mut self,
        wanted: &[Port],
        prepared: Vec<Prepared>,
        mut around: Around<'_>,
    ) -> Vec<(SocketAddr, Port)> {
        let mut before = std::mem::take(&mut self.0);
        let mut new = Vec::new();
        for (port, prepared) in wanted.iter().zip(prepared) {
            let token = match prepared {
                Prepared::New(bound) => {
                    new.push((bound.address, port.clone()));
                    self.0.push(around.serve(port.clone(), bound));
                    continue;
                }
                Prepared::Same(token) => token,
            };
            if let Some(same) = before.iter().position(|open| open.leads_to_same(port)) {
                let mut open = before.remove(same);
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
        for gone in before {
            gone.stop.cancel();
        }
        new
    }

    /// The ports as they are shown.
    pub(super) fn told(&self) -> Vec<status::Port> {
        let ports = self.0.iter();
        ports
            .map(|open| told::port(open.address, &open.port))
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
        let stop = self.shutdown.child_token();
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
            listener,
            spare,
            address,
            token,
        } = bound;
        self.spawn(async move {
            let served = gateway.serve(listener, stopped).await;
            served.context("cannot accept HTTP clients any more")
        });
        OpenPort {
            port,
            address,
            spare,
            rules,
            token,
            allowed,
            stop,
        }
    }
}

impl Around<'_> {
    /// What the services of local programs need, whose last exchanges are waited for.
    fn site(&mut self, allowed: Allowed, stop: &CancellationToken) -> Site {
        let running = TaskTracker::new();
        let (asked, all) = (stop.clone(), running.clone());
        self.spawn(async move {
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

    /// Runs what has exchanges, which have their time once the process was asked to stop, and all of it before.
    fn spawn(&mut self, work: impl Future<Output = Result<()>> + Send + 'static) {
        let (shutdown, drain) = (self.shutdown.clone(), self.drain);
        self.tasks.spawn(async move {
            let late = async {
                shutdown.cancelled().await;
                sleep(drain).await;
            };
            tokio::select! {
                biased;
                ended = work => ended,
                () = late => {
                    tracing::warn!("exchanges did not end in time");
                    Ok(())
                }
            }
        });
    }
}

/// Prints where a port is.
pub(super) fn print(address: SocketAddr, port: &Port) {
    output::print(&match &port.only {
        None => Fact::Gateway(address),
        Some((peer, name)) => Fact::Forward(address, *peer, name),
    });
}
