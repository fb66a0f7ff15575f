//! Can a peer be reached, is it what it is meant to be, and what does it let this node do?

use std::time::{Duration, Instant};

use libp2p::{
    Multiaddr, PeerId, StreamProtocol, relay,
    swarm::dial_opts::{DialOpts, PeerCondition},
};
use libp2p_http_proxy::{Body, OutboundFailure, Request, Response, ServiceName};
use tokio::time::timeout;

use super::{
    report::{Finding, Report},
    server::millis,
};
use crate::swarm::{Met, Node, Unmet};

/// Bytes of the reason for a refusal.
const REASON: usize = 4096;

/// Services of a peer that are told.
const TOLD: usize = 10;

/// What a peer is meant to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// One that has services, or uses ours.
    Service,
    /// One through which others are found, by this protocol.
    Bootstrap(StreamProtocol),
    /// One that passes connections on.
    Relay,
}

/// A peer to look at.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) purpose: Purpose,
    pub(super) peer: PeerId,
    pub(super) addresses: Vec<Multiaddr>,
    /// Those that it is asked for.
    pub(super) services: Vec<ServiceName>,
}

/// A service of a peer, as one node asked for it.
struct Answer {
    status: u16,
    /// Whether the peer's node says so, and not the application behind it.
    is_by_node: bool,
    reason: String,
    took: Duration,
}

impl Contact {
    pub(super) fn new(purpose: Purpose, peer: PeerId) -> Self {
        Self {
            purpose,
            peer,
            addresses: Vec::new(),
            services: Vec::new(),
        }
    }

    pub(super) fn is_at(&mut self, address: &Multiaddr) {
        if !self.addresses.contains(address) {
            self.addresses.push(address.clone());
        }
    }

    pub(super) fn wants(&mut self, service: &ServiceName) {
        if !self.services.contains(service) {
            self.services.push(service.clone());
        }
    }

    fn what(&self) -> String {
        let kind = match self.purpose {
            Purpose::Service => "peer",
            Purpose::Bootstrap(_) => "bootstrap peer",
            Purpose::Relay => "relay",
        };
        format!("{kind} {}", self.peer)
    }

    /// Looks at each address, then at what the peer is, then at its services. A connection stays: those that find others,
    /// and relays, are of use for what comes after them.
    pub(super) async fn examine(
        &self,
        node: &mut Node,
        finds_peers: bool,
        limit: Duration,
        report: &mut Report,
    ) {
        if self.peer == node.peer() {
            report.add(Finding::ok(self.what(), "this node itself"));
            for service in &self.services {
                let what = format!("service {service} of {}", self.peer);
                let found = "not asked for, as a node cannot be its own peer; without --identity, or with that of another \
                             node, the doctor asks for it";
                report.add(Finding::warning(what, found));
            }
            return;
        }
        let mut met = self.try_addresses(node, limit, report).await;
        if met.is_none() && finds_peers && self.purpose == Purpose::Service {
            met = self.find(node, limit, report).await;
        } else if self.addresses.is_empty() {
            let found = "no address is known; name one, or --bootstrap or --mdns to find it";
            report.add(Finding::problem(self.what(), found));
        }
        let Some(met) = met else { return };
        report.add_some(self.fitness(&met));
        for service in &self.services {
            let finding = self.ask(node, service, &met, limit).await;
            report.add(finding);
        }
    }

    /// Returns the first connection that there is. It is as good as any other for what follows.
    async fn try_addresses(
        &self,
        node: &mut Node,
        limit: Duration,
        report: &mut Report,
    ) -> Option<Met> {
        let mut first = None;
        for address in &self.addresses {
            let what = format!("{} at {address}", self.what());
            let there = DialOpts::peer_id(self.peer)
                .addresses(vec![address.clone()])
                .condition(PeerCondition::Always);
            match node.meet(there.build(), limit).await {
                Ok(met) => {
                    report.add(Finding::ok(what, reached("connected", &met)));
                    match first {
                        None => first = Some(met),
                        Some(_) => node.part(met).await,
                    }
                }
                Err(unmet) => report.add(Finding::problem(what, unreached(&unmet))),
            }
        }
        first
    }

    async fn find(&self, node: &mut Node, limit: Duration, report: &mut Report) -> Option<Met> {
        let what = format!("{} by its id", self.what());
        match node.find(self.peer, limit).await {
            Ok(met) => {
                let how = format!("found at {}, and connected", met.address);
                report.add(Finding::ok(what, reached(&how, &met)));
                Some(met)
            }
            Err(unmet) => {
                report.add(Finding::problem(what, unreached(&unmet)));
                None
            }
        }
    }

    /// What is wrong if a peer is not what it is meant to be.
    fn fitness(&self, met: &Met) -> Option<Finding> {
        let speaks = |protocol: &StreamProtocol| met.protocols.contains(protocol);
        // One that says nothing of itself may speak anything.
        if met.protocols.is_empty() {
            return None;
        }
        match &self.purpose {
            Purpose::Bootstrap(protocol) if !speaks(protocol) => {
                let found = format!(
                    "does not speak {protocol}; correct --kad-protocol (`kad_protocol`), or name a node that does, such as `p2p-http meet`"
                );
                Some(Finding::problem(self.what(), found))
            }
            Purpose::Relay if !speaks(&relay::HOP_PROTOCOL_NAME) => {
                let found =
                    "passes no connections on; start it with --relay-server, or name another relay";
                Some(Finding::problem(self.what(), found))
            }
            _ => None,
        }
    }

    async fn ask(
        &self,
        node: &mut Node,
        service: &ServiceName,
        met: &Met,
        limit: Duration,
    ) -> Finding {
        let what = format!("service {service} of {}", self.peer);
        let client = node.http().client();
        let own = node.peer();
        let work = async {
            let request = Request::new("GET", "/", service.as_str(), ());
            let request = request.map_err(|error| error.to_string())?;
            let began = Instant::now();
            let asked = client.send(self.peer, service.clone(), request);
            let answered = timeout(limit, asked).await;
            match answered {
                Ok(Ok(response)) => Ok(Answer::read(response, began.elapsed(), limit).await),
                Ok(Err(error)) => Err(unanswered(&error, met)),
                Err(_) => Err(format!(
                    "no answer within {} s; is its server stuck?",
                    limit.as_secs()
                )),
            }
        };
        match node.run_until(work).await {
            Ok(Ok(answer)) => answer.judge(&what, &own),
            Ok(Err(found)) => Finding::problem(what, found),
            // Where a listener of the node closes, and it has none.
            Err(error) => Finding::problem(what, format_args!("{error:#}")),
        }
    }
}

impl Answer {
    async fn read(response: Response<Body>, took: Duration, limit: Duration) -> Self {
        let status = response.head.status();
        let said = response.head.fields().get("Proxy-Status");
        let is_by_node = said.is_some_and(|said| said.starts_with(b"p2p-origin"));
        let reason = match is_by_node {
            true => match timeout(limit, response.body.collect(REASON)).await {
                Ok(Ok(bytes)) => reason(&String::from_utf8_lossy(&bytes)),
                _ => String::new(),
            },
            // The pages of an application tell nothing about the way there.
            false => String::new(),
        };
        Self {
            status,
            is_by_node,
            reason,
            took,
        }
    }

    fn judge(&self, what: &str, own: &PeerId) -> Finding {
        let Self { status, reason, .. } = self;
        if !self.is_by_node {
            let found = format!(
                "lets this node in, and answers {status} to GET / after {}",
                millis(self.took)
            );
            return match status {
                500.. => Finding::warning(what, format_args!("{found}; its own log may tell why")),
                _ => Finding::ok(what, found),
            };
        }
        // The text of a refusal of the node names it; others are about the path or the method.
        if *status == 403 && reason.contains(&own.to_string()) {
            let found = format!("does not let this node in: {reason}");
            return Finding::problem(what, found);
        }
        match status {
            403 | 405 => Finding::ok(
                what,
                format_args!("lets this node in, and not for GET /: {reason}"),
            ),
            _ => Finding::problem(
                what,
                format_args!("its node answers {status} for it: {reason}"),
            ),
        }
    }
}

/// The text of an error page, without the status in its first line.
fn reason(page: &str) -> String {
    let (_, reason) = page.split_once('\n').unwrap_or(("", page));
    reason.to_owned()
}

/// How a peer was reached, and how far away it is.
fn reached(how: &str, met: &Met) -> String {
    let way = if met.is_relayed {
        "through a relay"
    } else {
        "directly"
    };
    let mut found = format!("{how} {way} after {}", millis(met.took));
    if let Some(round_trip) = met.round_trip {
        found += &format!(", {} there and back", millis(round_trip));
    }
    if let Some(agent) = &met.agent {
        found += &format!("; it runs {agent}");
    }
    found
}

fn unreached(unmet: &Unmet) -> String {
    match unmet {
        Unmet::Itself => "this node itself is there; correct the address or the peer id".to_owned(),
        Unmet::Other(peer) => format!("another peer is there, {peer}; correct the address or the peer id"),
        Unmet::Unknown(tried) => format!("was not found: {tried}; is it running, and known there?"),
        Unmet::Silent => "no answer in time; is it running, is the address its current one, and does a firewall let it through?".to_owned(),
        Unmet::NoTransport => "a node cannot go there; TCP and QUIC can be dialled, and only TCP with a swarm key".to_owned(),
        Unmet::Refused => "the machine refuses the connection: nobody listens there; start the peer, or correct the port".to_owned(),
        Unmet::Stranger(reason) => format!(
            "something else is there, or a node of another private network ({reason}); correct the port, or the swarm key"
        ),
        Unmet::Failed(reason) => format!("cannot be reached: {reason}; correct the address"),
    }
}

fn unanswered(error: &OutboundFailure, met: &Met) -> String {
    match error {
        OutboundFailure::UnsupportedProtocol { .. } => {
            let names = met
                .protocols
                .iter()
                .filter_map(|name| name.as_ref().strip_prefix("/x/http/"));
            let names: Vec<_> = names.take(TOLD).collect();
            let others = match &names[..] {
                [] => "it offers none by the names of this program".to_owned(),
                names => format!("it offers {}", names.join(", ")),
            };
            format!(
                "the peer does not offer it; {others}: correct the name, or start the service there"
            )
        }
        error => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(deeper) = cause {
                text += &format!(": {deeper}");
                cause = deeper.source();
            }
            format!("{text}; try again, and look at the log of the peer")
        }
    }
}
