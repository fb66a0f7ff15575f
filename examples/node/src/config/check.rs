//! Does what the file says fit together? Makes a node of it.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
};

use libp2p_http_proxy::{
    AllowedOrigin, ForwardRules, GatewayRules, ServiceName, Tunnels as TunnelRule,
    rewrite::HostPolicy,
    route::{Domain, RequestAddresses},
};
use toml::Spanned;

use super::{
    file::{
        self, Addresses, File, Filter, Forward, Gateway, Host, HttpAddress, Listen as ListenAt,
        Offered, Pair, Peer, Service,
    },
    values::{Count, Drain, Text, Tunnels},
};
use crate::{
    args::forwarded,
    setup::{self, Attach, Listen, Port, Process, Setup},
};

/// Where a gateway is if nothing is said.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Exchanges at a time that a client of a public gateway has if nothing is said. A browser uses 6 connections for each host.
const PUBLIC_EXCHANGES: NonZeroUsize = NonZeroUsize::new(32).expect("is not zero");

/// Values that do not fit together.
pub(super) struct Misuse {
    /// The byte at which one of them is.
    pub(super) at: usize,
    pub(super) message: String,
}

pub(super) fn setup(file: File) -> Result<Setup, Misuse> {
    let named = file.service.0.into_iter();
    let services: Vec<_> = named.map(|(name, table)| service(name, table)).collect();
    let mut taken = Taken::default();
    let mut ports = Vec::new();
    for table in file.gateway.0 {
        ports.push(gateway(table, &mut taken)?);
    }
    for table in file.forward.0 {
        ports.push(forward(table, &mut taken)?);
    }
    let admin = file
        .admin
        .map(|table| table.setup(&mut taken))
        .transpose()?;
    let offers = !services.is_empty() || ports.iter().any(|port| port.attach.is_some());
    let listen = match file.listen {
        Some(addresses) => Listen::At(all(addresses).map(|ListenAt(address)| address).collect()),
        // Without services there is nothing to be reached for.
        None if offers => Listen::Everywhere,
        None => Listen::default(),
    };
    let setup = Setup {
        identity: file.identity,
        swarm_key: file.network.swarm_key.clone(),
        network: file.network.settings(file.limits, offers),
        listen,
        peers: all(file.peers).collect(),
        services,
        ports,
        admin,
        process: Process {
            drain: file.drain.map(|Drain(time)| time),
            log: file.log.map(|Text(Filter(filter))| filter),
            threads: file
                .threads
                .and_then(|Count(count)| u16::try_from(count).ok()),
        },
    };
    if !setup.is_useful() {
        tracing::warn!(
            "the file has no service, gateway or forwarded port, so that the node only is there; [service.NAME] or [gateway] gives it something to do"
        );
    }
    Ok(setup)
}

fn all<T>(texts: Vec<Text<T>>) -> impl Iterator<Item = T> {
    texts.into_iter().map(|Text(value)| value)
}

fn service(name: ServiceName, table: Service) -> setup::Service {
    let mut rules = ForwardRules::default().with_host(match table.host {
        Host::Preserve => HostPolicy::Preserve,
        Host::Target => HostPolicy::Target,
        Host::Fixed(Text(value)) => HostPolicy::Fixed(value),
    });
    if let Some(kept) = table.forwarded {
        rules = rules.with_forwarded_fields(kept);
    }
    if let Some(peers) = &table.allow {
        rules = rules.with_allowed_peers(peers.iter().map(|Text(Peer(peer))| *peer));
    }
    if let Some(methods) = table.methods {
        rules = rules.with_allowed_methods(all(methods));
    }
    if let Some(paths) = table.paths {
        rules = rules.with_allowed_paths(all(paths));
    }
    let Text(target) = table.to;
    if table.allow.is_none() {
        tracing::warn!(
            "any peer that reaches this node may use the service {name}; `allow` names those who may"
        );
    }
    setup::Service {
        name,
        target,
        rules,
    }
}

fn gateway(table: Gateway, taken: &mut Taken) -> Result<Port, Misuse> {
    let at = table
        .public
        .as_ref()
        .map_or(0, |public| public.span().start);
    let public = table.public.is_some_and(Spanned::into_inner);
    let listen = match table.listen {
        Some(address) => taken.take(address)?,
        None => taken.take(Spanned::new(at..at, Text(HttpAddress(USUAL))))?,
    };
    if public && table.allow.is_none() {
        let message = "a public gateway lets clients use what is listed and nothing else: add allow = [{ peer = \"12D3…\", service = \"app\" }]";
        return Err(Misuse {
            at,
            message: message.to_owned(),
        });
    }
    let tunnels = match table.tunnels {
        None if public => Tunnels::No,
        None => Tunnels::Yes,
        Some(tunnels) if public && *tunnels.get_ref() == Tunnels::Yes => {
            let message = "a public gateway has no tunnels without an end: write false, or the longest time, such as \"10 min\"";
            return Err(Misuse {
                at: tunnels.span().start,
                message: message.to_owned(),
            });
        }
        Some(tunnels) => tunnels.into_inner(),
    };
    let most = table
        .exchanges_per_client
        .or(public.then_some(PUBLIC_EXCHANGES));
    let attach = table
        .attach
        .map(|table| attach(table, public))
        .transpose()?;
    let mut rules = rules(table.domains, table.allow_origins, tunnels, most)
        .with_forwarded(forwarded(table.behind_proxy))
        .with_request_addresses(request_addresses(table.request_addresses, public)?);
    if let Some(pairs) = table.allow {
        let pairs = pairs.into_iter().map(|Pair { peer, service }| {
            let (Text(Peer(peer)), Text(Offered(protocol))) = (peer, service);
            (peer, protocol)
        });
        rules = rules.with_allowed_services(pairs);
    }
    Ok(Port {
        listen,
        only: None,
        rules,
        attach,
    })
}

fn request_addresses(
    which: Option<Spanned<Addresses>>,
    public: bool,
) -> Result<RequestAddresses, Misuse> {
    let Some(which) = which else {
        return Ok(RequestAddresses::Ignored);
    };
    match which.get_ref() {
        Addresses::None => Ok(RequestAddresses::Ignored),
        Addresses::Public => Ok(RequestAddresses::Public),
        Addresses::Any if public => {
            let message = "a public gateway lets no stranger have it connect within its own networks: write \"public\" or \"none\"";
            Err(Misuse {
                at: which.span().start,
                message: message.to_owned(),
            })
        }
        Addresses::Any => Ok(RequestAddresses::Any),
    }
}

fn attach(table: Spanned<file::Attach>, public: bool) -> Result<Attach, Misuse> {
    let at = table.span().start;
    let table = table.into_inner();
    if public && table.token.is_none() {
        let message = "a public gateway lets programs become services only if they know a secret: add token = \"FILE\"";
        return Err(Misuse {
            at,
            message: message.to_owned(),
        });
    }
    if table.allow.is_none() {
        tracing::warn!(
            "any peer that reaches this node may use the services of programs that attach; `allow` names those who may"
        );
    }
    let allowed = table
        .allow
        .map(|peers| all(peers).map(|Peer(peer)| peer).collect());
    Ok(Attach {
        token: table.token,
        allowed,
    })
}

fn forward(table: Forward, taken: &mut Taken) -> Result<Port, Misuse> {
    let (Text(Peer(peer)), Text(service)) = (table.peer, table.service);
    let tunnels = table.tunnels.unwrap_or(Tunnels::Yes);
    Ok(Port {
        listen: taken.take(table.listen)?,
        only: Some((peer, service)),
        rules: rules(
            table.domains,
            table.allow_origins,
            tunnels,
            table.exchanges_per_client,
        )
        .with_forwarded(forwarded(table.behind_proxy)),
        attach: None,
    })
}

/// What a gateway and a forwarded port have in common.
fn rules(
    domains: Vec<Text<Domain>>,
    origins: Vec<Text<AllowedOrigin>>,
    tunnels: Tunnels,
    exchanges_per_client: Option<NonZeroUsize>,
) -> GatewayRules {
    let mut rules = GatewayRules::default().with_tunnels(match tunnels {
        Tunnels::Yes => TunnelRule::Open,
        Tunnels::No => TunnelRule::Refused,
        Tunnels::AtMost(time) => TunnelRule::AtMost(time),
    });
    rules = all(domains).fold(rules, GatewayRules::with_domain);
    rules = all(origins).fold(rules, GatewayRules::with_allowed_origin);
    match exchanges_per_client {
        Some(max) => rules.with_exchanges_per_client(max.get()),
        None => rules,
    }
}

/// The addresses that have a port already.
#[derive(Default)]
pub(super) struct Taken(HashSet<SocketAddr>);

impl Taken {
    pub(super) fn take(
        &mut self,
        address: Spanned<Text<HttpAddress>>,
    ) -> Result<SocketAddr, Misuse> {
        let at = address.span().start;
        let Text(HttpAddress(address)) = address.into_inner();
        // The system chooses another one each time.
        if address.port() == 0 || self.0.insert(address) {
            return Ok(address);
        }
        let message = format!("two ports listen on {address}: choose another one");
        Err(Misuse { at, message })
    }
}
