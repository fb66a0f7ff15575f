//! What is a node to do? The one description that the command line and the configuration file are read into.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use libp2p::{Multiaddr, PeerId};
use libp2p_http_proxy::{ForwardRules, GatewayRules, ServiceName, Target};

use crate::{address::PeerAddress, swarm::Settings};

/// A node: what it is, offers and opens, and who may do what.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Setup {
    /// File with the private key; without it the peer id is a new one.
    pub(crate) identity: Option<PathBuf>,
    /// Limits, and how peers are found and reached.
    pub(crate) network: Settings,
    /// File with the key of a private network, where `network` has none yet.
    pub(crate) swarm_key: Option<PathBuf>,
    pub(crate) listen: Listen,
    /// Where other peers are.
    pub(crate) peers: Vec<PeerAddress>,
    pub(crate) services: Vec<Service>,
    pub(crate) ports: Vec<Port>,
    pub(crate) admin: Option<Admin>,
    pub(crate) process: Process,
}

impl Setup {
    /// Whether the node is of any use to its peers, or to anybody here.
    pub(crate) fn is_useful(&self) -> bool {
        let helps = self.network.relay_server.is_some() || self.network.kad.is_some();
        let has = !self.services.is_empty() || !self.ports.is_empty() || self.admin.is_some();
        helps || has
    }
}

/// What a file says of the whole process. The command line has the last word on each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    /// How long running exchanges have at the end.
    pub(crate) drain: Option<Duration>,
    /// The filter of the log.
    pub(crate) log: Option<String>,
    pub(crate) threads: Option<u16>,
}

/// Where peers reach the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Wherever this machine can, at ports that the system chooses.
    Everywhere,
    At(Vec<Multiaddr>),
}

impl Listen {
    /// At these addresses, if there are any.
    pub(crate) fn at(addresses: Vec<Multiaddr>) -> Option<Self> {
        (!addresses.is_empty()).then_some(Self::At(addresses))
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self::At(Vec::new())
    }
}

/// What peers are offered, and who answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    pub(crate) target: Target,
    pub(crate) rules: ForwardRules,
}

/// A port for HTTP clients of this machine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Port {
    pub(crate) listen: SocketAddr,
    /// The only service to be reached there; else it is a gateway to all.
    pub(crate) only: Option<(PeerId, ServiceName)>,
    pub(crate) rules: GatewayRules,
    /// Whether local programs may become services of the node there.
    pub(crate) attach: Option<Attach>,
}

/// Which local programs may become services of the node, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attach {
    /// File with the secret that they have to know; without it they are on this machine.
    pub(crate) token: Option<PathBuf>,
    /// The peers that may use these services; without a list, all.
    pub(crate) allowed: Option<Vec<PeerId>>,
}

/// Where the node is shown to whoever runs it, and to nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admin {
    pub(crate) listen: SocketAddr,
    /// File with the secret that they have to know; without it they are on this machine.
    pub(crate) token: Option<PathBuf>,
}

impl Admin {
    /// Whether nobody else gets to see it.
    ///
    /// # Errors
    ///
    /// Says why others would.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.token.is_some() || self.listen.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err("other machines could read who uses this node, and for what")
    }
}
