//! What runs at the moment, and how does it become what another description says, without dropping an exchange?

pub(crate) mod admin;

mod bound;
mod places;
mod ports;
mod told;
mod work;

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use anyhow::{Context, Error, Result, bail};
use libp2p::{Multiaddr, core::transport::ListenerId};
use libp2p_http_proxy::{
    Forward, ForwardConfig, ForwardRules, Requests, Rules, ServiceName, Target,
};
use tokio_util::sync::CancellationToken;

use self::{
    admin::Admin,
    bound::Bound,
    places::{Leaving, Places},
    ports::{Around, Ports, Prepared},
    work::Work,
};
use crate::{
    gateway, output,
    setup::{Listen, Port, Process, Service, Setup},
    shutdown::{self, Drain, Tasks},
    swarm::Node,
};

/// Where to listen when nothing is said: every interface, both transports, ports chosen by the system. IPv4 comes first:
/// a machine without IPv6 is normal, one without IPv4 is not.
const EVERYWHERE: [&str; 4] = [
    "/ip4/0.0.0.0/tcp/0",
    "/ip4/0.0.0.0/udp/0/quic-v1",
    "/ip6/::/tcp/0",
    "/ip6/::/udp/0/quic-v1",
];

/// A node at work.
pub(crate) struct Running {
    /// What it does.
    setup: Setup,
    listeners: Vec<(Multiaddr, ListenerId)>,
    services: HashMap<ServiceName, (Target, Rules<ForwardRules>)>,
    ports: Ports,
    admin: Admin,
    work: Work,
    /// How long running exchanges have at the end, whatever a file says.
    drain: Option<Duration>,
}

/// What can fail of a change, done in advance.
struct Opened {
    listeners: Vec<(Multiaddr, ListenerId)>,
    ports: Vec<Prepared>,
    admin: Option<Bound>,
    leaving: Leaving,
    /// The requests to names that were not offered before.
    services: HashMap<ServiceName, Requests>,
}

/// What a change brought, to be told.
struct News {
    services: Vec<Service>,
    ports: Vec<(SocketAddr, Port)>,
    admin: Option<SocketAddr>,
}

impl Running {
    /// Begins what is described, and prints it.
    ///
    /// # Errors
    ///
    /// Fails if an address cannot be listened on.
    pub(crate) async fn start(
        node: &mut Node,
        setup: Setup,
        shutdown: CancellationToken,
        drain: Option<Duration>,
    ) -> Result<Self> {
        let mut running = Self {
            setup: Setup {
                identity: setup.identity.clone(),
                network: setup.network.clone(),
                swarm_key: setup.swarm_key.clone(),
                process: setup.process.clone(),
                ..Setup::default()
            },
            listeners: Vec::new(),
            services: HashMap::new(),
            ports: Ports::default(),
            admin: Admin::default(),
            work: Work {
                tasks: Tasks::new(),
                shutdown,
                drain: Drain::new(shutdown::USUAL),
            },
            drain,
        };
        running.apply(node, setup).await?.print(node);
        Ok(running)
    }

    /// Becomes what is described, or stays as it is. Exchanges that run go on.
    ///
    /// # Errors
    ///
    /// Fails, and changes nothing, if an address cannot be listened on or something cannot be changed at all.
    pub(crate) async fn change(&mut self, node: &mut Node, setup: Setup) -> Result<()> {
        if setup.identity != self.setup.identity {
            bail!("another identity makes another node: restart for it, or put the old one back");
        }
        if setup.network.limits != self.setup.network.limits {
            bail!(
                "[limits] are set at the start: restart for other ones, or put the old ones back"
            );
        }
        if (&setup.network, &setup.swarm_key) != (&self.setup.network, &self.setup.swarm_key) {
            bail!("[network] is set at the start: restart for another, or put the old one back");
        }
        let fixed = |process: &Process| (process.log.clone(), process.threads);
        if fixed(&setup.process) != fixed(&self.setup.process) {
            bail!(
                "log and threads are set at the start: restart for other ones, or put the old ones back"
            );
        }
        self.apply(node, setup).await?.print(node);
        Ok(())
    }

    async fn apply(&mut self, node: &mut Node, setup: Setup) -> Result<News> {
        let opened = self.open(node, &setup)?;
        let told = tokio::select! {
            told = node.listening() => told.map(drop),
            // A relay takes its time to answer.
            () = self.work.shutdown.cancelled() => Ok(()),
        };
        if let Err(error) = told {
            unlisten(node, opened.listeners);
            return Err(error);
        }
        let drain = self.drain.or(setup.process.drain);
        self.work.drain.set(drain.unwrap_or(shutdown::USUAL));
        self.set_peers(node, &setup);
        self.set_listeners(node, &setup.listen, opened.listeners);
        let services = self.set_services(node, &setup.services, opened.services);
        let around = Around {
            node,
            work: &mut self.work,
            limits: setup.network.limits.gateway(),
        };
        let ports = self.ports.set(&setup.ports, opened.ports, around);
        let status = node.status();
        let around = (&mut self.work.tasks, status, &self.work.shutdown);
        let admin = self.admin.set(setup.admin.as_ref(), opened.admin, around);
        opened.leaving.close();
        status.set_services(setup.services.iter().map(told::service).collect());
        status.set_ports(self.ports.told());
        self.setup = setup;
        Ok(News {
            services,
            ports,
            admin,
        })
    }

    /// Cancelled when the process is asked to stop.
    pub(crate) fn shutdown(&self) -> CancellationToken {
        self.work.shutdown.clone()
    }

    /// Waits until something ends by an error. Services and ports that were closed end without one.
    pub(crate) async fn failed(&mut self) -> Error {
        loop {
            match self.work.tasks.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return error,
                Some(Err(error)) => return shutdown::broken_task(error),
                None => std::future::pending().await,
            }
        }
    }

    /// What has to end before the process does, and how long it has for that.
    pub(crate) fn into_tasks(self) -> (Tasks, Duration) {
        (self.work.tasks, self.work.drain.time())
    }

    /// Opens what a description has beyond what is open, or nothing.
    fn open(&self, node: &mut Node, setup: &Setup) -> Result<Opened> {
        let admin = setup.admin.as_ref();
        let listen = setup.ports.iter().map(|port| port.listen);
        let wanted = listen.chain(admin.map(|admin| admin.listen));
        let open = self.ports.places().chain(self.admin.place());
        let mut places = Places::new(open, wanted);
        let (kept_ports, kept_admin) = (
            self.ports.keep(&setup.ports, &mut places),
            self.admin.keep(admin, &mut places),
        );
        let mut opened = Opened {
            listeners: Vec::new(),
            ports: self.ports.open(&setup.ports, kept_ports, &places)?,
            admin: self.admin.open(admin, kept_admin, &places)?,
            leaving: places.leaving()?,
            // Removed again if they are dropped.
            services: self.open_services(node, &setup.services)?,
        };
        match self.open_listeners(node, &setup.listen, &mut opened.listeners) {
            Ok(()) => Ok(opened),
            Err(error) => {
                unlisten(node, opened.listeners);
                Err(error)
            }
        }
    }

    fn open_services(
        &self,
        node: &mut Node,
        services: &[Service],
    ) -> Result<HashMap<ServiceName, Requests>> {
        let is_new = |service: &&Service| !self.services.contains_key(&service.name);
        let names = services.iter().filter(is_new).map(|service| &service.name);
        let opened = names.map(|name| {
            let requests = node.http().accept(name.clone()).with_context(|| {
                format!("cannot offer the service {name}, which a program is attached as")
            })?;
            Ok((name.clone(), requests))
        });
        opened.collect()
    }

    /// Listens where asked, all of it; or everywhere, as far as this machine can.
    fn open_listeners(
        &self,
        node: &mut Node,
        listen: &Listen,
        opened: &mut Vec<(Multiaddr, ListenerId)>,
    ) -> Result<()> {
        let mut failures = Vec::new();
        for address in addresses(listen)? {
            // One that has closed by itself is opened again.
            let is_open = |(open, listener): &(Multiaddr, _)| {
                *open == address && node.is_listening(*listener)
            };
            if self.listeners.iter().any(is_open) {
                continue;
            }
            match node.listen(&address) {
                Ok(listener) => opened.push((address, listener)),
                Err(error) if *listen == Listen::Everywhere => {
                    tracing::debug!("{error:#}");
                    failures.push(format!("{error:#}"));
                }
                Err(error) => return Err(error),
            }
        }
        if failures.len() == EVERYWHERE.len() {
            bail!("no address to listen on: {}", failures.join("; "));
        }
        Ok(())
    }

    fn set_listeners(
        &mut self,
        node: &mut Node,
        listen: &Listen,
        opened: Vec<(Multiaddr, ListenerId)>,
    ) {
        let wanted = addresses(listen).unwrap_or_default();
        self.listeners.retain(|(address, listener)| {
            let stays = wanted.contains(address) && node.is_listening(*listener);
            if !stays {
                node.unlisten(*listener);
            }
            stays
        });
        self.listeners.extend(opened);
    }

    fn set_peers(&self, node: &mut Node, setup: &Setup) {
        for gone in &self.setup.peers {
            if !setup.peers.contains(gone) {
                node.http().remove_peer_address(gone.peer, &gone.address);
            }
        }
        gateway::know_peers(node, setup.peers.clone());
    }

    /// Returns the services that are new, or answered by another server.
    fn set_services(
        &mut self,
        node: &mut Node,
        services: &[Service],
        mut opened: HashMap<ServiceName, Requests>,
    ) -> Vec<Service> {
        let names = services.iter().map(|service| &service.name);
        let names: Vec<_> = names.collect();
        self.services.retain(|name, _| {
            let stays = names.contains(&name);
            if !stays {
                node.http().remove_service(name);
            }
            stays
        });
        let mut new = Vec::new();
        for service in services {
            if let Some((target, rules)) = self.services.get(&service.name)
                && *target == service.target
            {
                rules.set(service.rules.clone());
                continue;
            }
            let requests = match opened.remove(&service.name) {
                Some(requests) => requests,
                None => node.http().replace_service(service.name.clone()),
            };
            let config = ForwardConfig::default()
                .with_rules(service.rules.clone())
                .with_observer(node.observer())
                .with_drain_timeout(Duration::MAX);
            let forward = Forward::new(service.target.clone(), node.peer(), config);
            let running = (service.target.clone(), forward.rules());
            self.services.insert(service.name.clone(), running);
            let asked = self.work.shutdown.clone().cancelled_owned();
            self.work.spawn(async move {
                forward.serve(requests, asked).await;
                Ok(())
            });
            new.push(service.clone());
        }
        new
    }
}

impl News {
    fn print(&self, node: &Node) {
        for Service { name, target, .. } in &self.services {
            output::print_service(&node.peer(), name, target);
        }
        for (address, port) in &self.ports {
            ports::print(*address, port);
        }
        admin::print(self.admin);
    }
}

fn unlisten(node: &mut Node, listeners: Vec<(Multiaddr, ListenerId)>) {
    for (_, listener) in listeners {
        node.unlisten(listener);
    }
}

fn addresses(listen: &Listen) -> Result<Vec<Multiaddr>> {
    match listen {
        Listen::At(addresses) => Ok(addresses.clone()),
        Listen::Everywhere => EVERYWHERE
            .iter()
            .map(|address| address.parse().context("a default address is wrong"))
            .collect(),
    }
}
