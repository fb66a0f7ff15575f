//! `p2p-http doctor`: what is wrong with a configuration, an identity, a port, a server or a peer?

mod files;
mod machine;
mod peers;
mod ports;
mod report;
mod server;

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Result;
use libp2p::{PeerId, identity::Keypair};
use libp2p_http_proxy::{GatewayRules, Target};

use self::{
    peers::{Contact, Purpose},
    report::{Finding, Report},
};
use crate::{
    address::{PeerAddress, PeerPlace},
    args::{Common, DoctorArgs, Listener, To, swarm_key},
    config,
    setup::{Listen, Port, Setup},
    swarm::{Node, Role},
};

/// A node that looks around under a peer id of its own.
struct Scout {
    node: Node,
    /// Whether only nodes of a private network talk to it.
    is_private: bool,
}

/// Looks at everything that was named, and says what it finds.
///
/// # Errors
///
/// Fails if this machine cannot look at all.
pub(crate) async fn run(args: DoctorArgs, common: &Common) -> Result<ExitCode> {
    let mut report = Report::new(args.json);
    let limit = args.timeout();
    let setup = describe(&args, common, &mut report);
    let key = look_at_files(&setup, args.config.is_some(), &mut report);

    let mut settings = setup.network.for_looking();
    // One that cannot be read was told.
    let network_key = setup.swarm_key.as_deref().map(swarm_key);
    settings.swarm_key = network_key.and_then(Result::ok);
    let mut scout = Scout {
        node: Node::new(Keypair::generate_ed25519(), &settings)?,
        is_private: settings.swarm_key.is_some(),
    };
    let own = key.as_ref().map(|key| key.public().to_peer_id());
    look_at_ports(&setup, own, &mut scout, limit, &mut report).await;
    look_at_servers(&setup, &args.targets, limit, &mut report).await;

    // Whom a peer lets in is decided by the id; for the rest it is better not to be mistaken for the node.
    let mut asking = match key {
        Some(key) => Some(Node::new(key, &settings)?),
        None => None,
    };
    for contact in contacts(&setup, &args) {
        let node = match &mut asking {
            Some(node) if !contact.services.is_empty() => node,
            _ => &mut scout.node,
        };
        let finds_peers = settings.finds_peers();
        contact.examine(node, finds_peers, limit, &mut report).await;
    }
    report.add_some(machine::open_files());
    for node in asking.into_iter().chain([scout.node]) {
        node.close().await;
    }
    Ok(match report.is_well() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The node that the file and the options describe, as far as they do.
fn describe(args: &DoctorArgs, common: &Common, report: &mut Report) -> Setup {
    let mut setup = match &args.config {
        Some(file) => configuration(file, report),
        None => Setup {
            identity: common.identity.clone(),
            network: args.net.without_key(Role::Client),
            swarm_key: args.net.swarm_key_file().map(Path::to_owned),
            ..Setup::default()
        },
    };
    let mut more = Vec::new();
    for listener in &args.listen {
        match listener {
            Listener::Peers(address) => more.push(address.clone()),
            Listener::Http(address) => setup.ports.push(Port {
                listen: *address,
                only: None,
                rules: GatewayRules::default(),
                attach: None,
            }),
        }
    }
    setup.listen = match setup.listen {
        Listen::At(addresses) => Listen::At([addresses, more].concat()),
        // Where the system chooses the ports there is nothing to look at.
        Listen::Everywhere => Listen::At(more),
    };
    setup
}

fn configuration(file: &Path, report: &mut Report) -> Setup {
    let what = format!("configuration {}", file.display());
    match config::load(file) {
        Ok(setup) => {
            let (services, ports) = (setup.services.len(), setup.ports.len());
            let found = format!("right, with services: {services}, ports for HTTP: {ports}");
            report.add(Finding::ok(what, found));
            setup
        }
        Err(error) => {
            report.add(Finding::problem(what, format_args!("{error:#}")));
            Setup::default()
        }
    }
}

/// Returns the key of the node.
fn look_at_files(setup: &Setup, is_file: bool, report: &mut Report) -> Option<Keypair> {
    let mut key = None;
    match &setup.identity {
        Some(path) => {
            let (finding, found) = files::identity(path);
            report.add(finding);
            key = found;
        }
        None if is_file && *setup != Setup::default() => {
            let found = "none is named, so that the node has a new peer id at every start; add identity = \"node.key\"";
            report.add(Finding::warning("identity", found));
        }
        None => {}
    }
    report.add_some(setup.swarm_key.as_deref().map(files::network_key));
    let attached = setup.ports.iter().filter_map(|port| port.attach.as_ref());
    let attached = attached.map(|attach| &attach.token);
    let admin = setup.admin.iter().map(|admin| &admin.token);
    for token in attached.chain(admin).flatten() {
        report.add(files::token(token));
    }
    key
}

async fn look_at_ports(
    setup: &Setup,
    own: Option<PeerId>,
    scout: &mut Scout,
    limit: Duration,
    report: &mut Report,
) {
    if let Listen::At(addresses) = &setup.listen {
        for address in addresses {
            report.add(ports::for_peers(address, own, scout, limit).await);
        }
    }
    for port in &setup.ports {
        report.add(ports::for_http(port.listen, "HTTP", limit).await);
    }
    if let Some(admin) = &setup.admin {
        report.add(ports::for_http(admin.listen, "the admin page", limit).await);
    }
}

async fn look_at_servers(setup: &Setup, more: &[Target], limit: Duration, report: &mut Report) {
    let services = setup.services.iter();
    let named = services.map(|service| (format!("service {}, ", service.name), &service.target));
    for (name, target) in named.chain(more.iter().map(|target| (String::new(), target))) {
        let what = format!("{name}server {target}");
        // The two are written in the same way.
        match target.to_string().parse::<To>() {
            Ok(to) => report.add(server::examine(&what, &to, limit).await),
            Err(error) => report.add(Finding::problem(what, error)),
        }
    }
}

/// The peers to look at, each once for what it is meant to be.
fn contacts(setup: &Setup, args: &DoctorArgs) -> Vec<Contact> {
    let mut contacts = Contacts::default();
    if let Some(kad) = &setup.network.kad {
        let purpose = Purpose::Bootstrap(kad.protocol.clone());
        contacts.know(&purpose, &kad.bootstrap);
    }
    contacts.know(&Purpose::Relay, &setup.network.relays);
    contacts.know(&Purpose::Service, &setup.peers);
    for (peer, service) in setup.ports.iter().filter_map(|port| port.only.as_ref()) {
        contacts.of(&Purpose::Service, *peer).wants(service);
    }
    for place in &args.peers {
        let contact = contacts.of(&Purpose::Service, place.peer());
        if let PeerPlace::At(PeerAddress { address, .. }) = place {
            contact.is_at(address);
        }
        args.names.iter().for_each(|name| contact.wants(name));
    }
    contacts.0
}

#[derive(Default)]
struct Contacts(Vec<Contact>);

impl Contacts {
    fn know(&mut self, purpose: &Purpose, known: &[PeerAddress]) {
        for PeerAddress { peer, address } in known {
            self.of(purpose, *peer).is_at(address);
        }
    }

    fn of(&mut self, purpose: &Purpose, peer: PeerId) -> &mut Contact {
        let is_it = |contact: &Contact| contact.purpose == *purpose && contact.peer == peer;
        let at = self.0.iter().position(is_it).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(Contact::new(purpose.clone(), peer));
        }
        &mut self.0[at]
    }
}
