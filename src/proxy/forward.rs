//! The origin's side of the proxy: requests of peers go to a local HTTP server.

use std::{borrow::Cow, collections::HashSet, future::Future, pin::pin, sync::Arc, time::Duration};

use futures::future::{Either, poll_fn, select};
use libp2p_identity::PeerId;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    failure::Failure,
    h1::RequestHead,
    inbound::Inbound,
    lease::Seat,
    proxy::{
        access::Record,
        drain::Drain,
        exchange::{Passage, pass, refuse},
        target::Target,
        to_server::{Connections, ToServer},
    },
    requests::Requests,
    rewrite::{HostPolicy, RequestRewrite, is_loop, origin_form},
    service::Protocol,
};

/// What answers of this side name as the one that failed.
const NAME: &str = "p2p-origin";

/// How often idle connections to the server are looked after.
const SWEEP: Duration = Duration::from_secs(5);

/// Settings of a [`Forward`].
#[derive(Clone, Debug)]
pub struct ForwardConfig {
    allowed_peers: HashSet<PeerId>,
    host: HostPolicy,
    drain_timeout: Duration,
}

impl Default for ForwardConfig {
    fn default() -> Self {
        Self {
            allowed_peers: HashSet::new(),
            host: HostPolicy::default(),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl ForwardConfig {
    /// Lets only these peers use the service; any other gets a 403. Default: empty, which lets every peer use it.
    #[must_use]
    pub fn with_allowed_peers(mut self, peers: impl IntoIterator<Item = PeerId>) -> Self {
        self.allowed_peers = peers.into_iter().collect();
        self
    }

    /// Which `Host` the server sees. Default: [`HostPolicy::Preserve`].
    #[must_use]
    pub fn with_host(mut self, host: HostPolicy) -> Self {
        self.host = host;
        self
    }

    /// How long running exchanges may go on after the shutdown began. Default: 30 s.
    #[must_use]
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }
}

/// Sends the requests of one service to a local HTTP server.
///
/// The server sees the requests as they came, without the fields that concern a single hop, and with
/// `X-Libp2p-Peer`: the peer that the connection authenticated, whatever the request claims. WebSockets and other
/// upgrades go through.
#[derive(Debug)]
pub struct Forward {
    config: ForwardConfig,
    target: Target,
    local_peer: PeerId,
}

/// What the requests of one service have in common.
struct Service {
    config: ForwardConfig,
    connections: Arc<Connections>,
    pseudonym: String,
}

impl Forward {
    /// Forwards to `target`; `local_peer` names this node in `Via`.
    #[must_use]
    pub fn new(target: Target, local_peer: PeerId, config: ForwardConfig) -> Self {
        Self {
            config,
            target,
            local_peer,
        }
    }

    /// Serves `requests` until `shutdown` is done or the service is removed, and then lets running exchanges end, for
    /// at most [`ForwardConfig::with_drain_timeout`].
    pub async fn serve(self, mut requests: Requests, shutdown: impl Future<Output = ()>) {
        let service = Arc::new(Service {
            connections: Connections::new(self.target, requests.config()),
            pseudonym: format!("origin-{}", self.local_peer),
            config: self.config,
        });
        let exchanges = Drain::default();
        let mut shutdown = pin!(shutdown);
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = poll_fn(|cx| {
                while sweep.poll_tick(cx).is_ready() {
                    service.connections.sweep();
                }
                requests.poll_inbound(cx)
            });
            match select(&mut shutdown, next).await {
                Either::Left(_) | Either::Right((None, _)) => break,
                Either::Right((Some(inbound), _)) => {
                    exchanges.spawn(answer(Arc::clone(&service), inbound));
                }
            }
        }
        // Peers learn that the service is gone before the last exchanges end.
        drop(requests);
        exchanges.finish(service.config.drain_timeout).await;
    }
}

/// Answers one request. A stream that can be used again goes home.
async fn answer(service: Arc<Service>, inbound: Box<Inbound>) {
    let peer = inbound.peer();
    let Inbound {
        service: name,
        head,
        mut hop,
        seat,
        ..
    } = *inbound;
    let mut record = Record::new();
    record.remote = Some((peer, Protocol::Service(name.clone())));
    let config = &service.config;
    let target = match check(&service, &head) {
        Ok(_) if !config.allowed_peers.is_empty() && !config.allowed_peers.contains(&peer) => {
            Err(Failure::NotAllowed {
                peer,
                service: name,
            })
        }
        checked => checked,
    };
    let left = match target {
        Ok(target) => {
            let passage = Passage {
                head: &head,
                target: &target,
                rewrite: RequestRewrite::new(&head)
                    .with_peer(&peer)
                    .with_host(&config.host, service.connections.target().host())
                    .with_via(&service.pseudonym),
                name: NAME,
                pseudonym: &service.pseudonym,
            };
            let connect = ToServer(Arc::clone(&service.connections));
            pass(hop, passage, &connect, &mut record).await
        }
        Err(failure) => {
            record.error = Some(failure.to_string());
            refuse(&mut hop, &head, NAME, &failure, &mut record).await;
            Some(hop)
        }
    };
    if let Some(hop) = left {
        seat.returned(hop);
    }
    record.write("origin", head.method(), head.target());
}

/// The target for the server, if the request may go on.
fn check<'a>(service: &Service, head: &'a RequestHead) -> Result<Cow<'a, str>, Failure> {
    if is_loop(head, &service.pseudonym) {
        return Err(Failure::LoopDetected);
    }
    Ok(origin_form(head.method(), head.target())?)
}
