//! Which local servers are offered to whom?

use std::collections::HashSet;

use libp2p::{Multiaddr, PeerId};
use libp2p_http_proxy::{ServiceName, Target, route::parse_peer_id};

use super::{AdminArgs, NetArgs};
use crate::address::listen_address;

pub(super) const HELP: &str = "\
Examples:
  A development server, to whoever can reach this machine:
      p2p-http serve --name app --to http://127.0.0.1:3000

  A stable address: the same key and the same port at each start:
      p2p-http serve --name app --to http://127.0.0.1:3000 --identity node.key \\
          --listen /ip4/0.0.0.0/tcp/4001 --listen /ip4/0.0.0.0/udp/4001/quic-v1

  Two applications, one of them behind a Unix socket, for two peers only:
      p2p-http serve --name app --to http://127.0.0.1:3000 \\
          --name wiki --to unix:/run/wiki.sock \\
          --allow 12D3KooWA… --allow 12D3KooWB…";

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Name of a service; goes with the --to in the same place, both repeatable
    ///
    /// Letters, digits and . _ ~ - (the characters that a URL never escapes). Peers negotiate it as /x/http/NAME.
    ///
    /// Example: --name app --to http://127.0.0.1:3000 --name wiki --to unix:/run/wiki.sock
    #[arg(long = "name", value_name = "NAME", required = true)]
    names: Vec<ServiceName>,

    /// Who answers the service: http://HOST:PORT, or unix:PATH for a Unix socket
    ///
    /// The server speaks HTTP/1.1 without TLS. It need not run yet: until it does, requests are answered with 502.
    ///
    /// Example: --to http://127.0.0.1:3000
    ///
    /// Example: --to unix:/run/app.sock
    #[arg(long = "to", value_name = "TARGET", required = true)]
    targets: Vec<Target>,

    /// Peer that may use the services, repeatable; without it, any peer that reaches this node may
    ///
    /// Holds for all services of this command. Others are answered with 403.
    ///
    /// Example: --allow 12D3KooWQYzCrRbNjHcXtjnxqmQyNRWHVXqqBVA8KaLdGmjJDPAW
    #[arg(long = "allow", value_name = "PEER", value_parser = parse_peer_id)]
    pub(crate) allowed: Vec<PeerId>,

    /// Address to listen on for peers, repeatable; port 0 lets the system choose
    ///
    /// Default: TCP and QUIC on every interface, IPv4 and (where the machine has it) IPv6, each on a port that the system
    /// chooses at every start. For addresses that last, name ports; for this machine only, name 127.0.0.1.
    ///
    /// Example: --listen /ip4/0.0.0.0/tcp/4001 --listen /ip4/0.0.0.0/udp/4001/quic-v1
    ///
    /// Example: --listen /ip4/127.0.0.1/tcp/0
    #[arg(long = "listen", value_name = "MULTIADDR", value_parser = listen_address)]
    pub(crate) listen: Vec<Multiaddr>,

    #[command(flatten)]
    pub(crate) admin: AdminArgs,

    #[command(flatten)]
    pub(crate) net: NetArgs,
}

impl ServeArgs {
    /// Each name with its target, in the order given.
    pub(crate) fn services(&self) -> impl Iterator<Item = (&ServiceName, &Target)> {
        self.names.iter().zip(&self.targets)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let (names, targets) = (self.names.len(), self.targets.len());
        if names != targets {
            return Err(format!(
                "each --name needs one --to, but there are {names} and {targets}"
            ));
        }
        let mut seen = HashSet::new();
        match self.names.iter().find(|name| !seen.insert(*name)) {
            Some(name) => Err(format!(
                "two services are called {name}; give them different names"
            )),
            None => Ok(()),
        }
    }
}
