//! What is a doctor to look at?

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use libp2p::Multiaddr;
use libp2p_http_proxy::{ServiceName, Target};

use super::{Common, NetArgs, http_address};
use crate::address::{PeerPlace, listen_address};

pub(super) const HELP: &str = "\
Output, one line for each thing that was looked at:
      ok       WHAT: what was found
      warning  WHAT: what works, and may not be meant; the remedy
      problem  WHAT: what does not work; the remedy
Everything is looked at, whatever is wrong with the rest, and nothing waits longer than --timeout.

What is looked at:
      --config     the file, and the files that it names; then all below that it describes
      --identity   the key: its kind, its peer id, and whether others can use it
      --listen     whether the port is free, and if not, who has it; whether this machine has the
                   address
      --to         whether a server takes connections there, and speaks HTTP
      --peer       each of its addresses: who is there, how far away, directly or by a relay;
                   without an address, whether it is found by --bootstrap or --mdns
      --name       whether that peer offers the service, and lets this node use it
      --bootstrap, --relay     whether they are there, and are what they are meant to be
      always       how many files and connections this process may have open

Nothing is written, and nothing goes on after it. Ports are opened for a moment, servers get a
HEAD /, and peers a connection and, with --name, a GET /. For these requests the doctor is the
node of the identity: one that runs under the same identity may miss requests of that peer for as
long. Everything else is done under a peer id of its own, so that it can be done beside the node.

Exit status: 0 no problem, but maybe warnings; 1 a problem; 2 used wrongly.

Examples:
  p2p-http doctor --config /etc/p2p-http/node.toml
  p2p-http doctor --to http://127.0.0.1:3000 --listen /ip4/0.0.0.0/tcp/4001
  p2p-http doctor --identity node.key --name app --peer /ip4/192.0.2.7/tcp/4001/p2p/12D3…
  p2p-http doctor --peer 12D3… --bootstrap /ip4/192.0.2.9/tcp/4001/p2p/12D3…";

#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// File that describes a node, as `run` takes it
    ///
    /// Who the node is and how it finds peers is in the file, then, and in no option.
    ///
    /// Example: --config /etc/p2p-http/node.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where to listen: a multiaddr for peers, or IP:PORT for HTTP clients; repeatable
    ///
    /// Example: --listen /ip4/0.0.0.0/tcp/4001 --listen 127.0.0.1:8080
    #[arg(long = "listen", value_name = "ADDRESS")]
    pub(crate) listen: Vec<Listener>,

    /// Server that is to answer a service: http://HOST:PORT, or unix:PATH; repeatable
    ///
    /// Example: --to http://127.0.0.1:3000
    #[arg(long = "to", value_name = "TARGET")]
    pub(crate) targets: Vec<Target>,

    /// Peer that is to be reached: where it is, with /p2p/PEER at its end, or its id alone; repeatable
    ///
    /// Example: --peer /ip4/192.0.2.7/tcp/4001/p2p/12D3…
    #[arg(long = "peer", value_name = "MULTIADDR", value_parser = PeerPlace::anywhere)]
    pub(crate) peers: Vec<PeerPlace>,

    /// Service that each --peer is asked for, under the peer id of the identity; repeatable
    ///
    /// Example: --name app
    #[arg(long = "name", value_name = "NAME", requires = "peers")]
    pub(crate) names: Vec<ServiceName>,

    /// Seconds to wait for each answer, 1 to 60; peers do not get more than 10 to be connected to
    ///
    /// Example: --timeout 3
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u8).range(1..=60)
    )]
    timeout: u8,

    /// Print each line as a JSON object with the members state, what and found
    ///
    /// Example: --json
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) net: NetArgs,
}

/// Where a node or a gateway listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    Peers(Multiaddr),
    Http(SocketAddr),
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.starts_with('/') {
            true => listen_address(text).map(Self::Peers),
            false => http_address(text).map(Self::Http),
        }
    }
}

impl DoctorArgs {
    /// The longest wait for one answer.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }

    pub(super) fn check(&self, common: &Common) -> Result<(), String> {
        if self.config.is_none() {
            return Ok(());
        }
        if common.identity.is_some() {
            return Err("--identity is of no use with --config, whose file names one".to_owned());
        }
        match self.net.is_untouched() {
            true => Ok(()),
            false => Err(
                "options for finding and reaching peers are of no use with --config, whose file has [network]"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_an_address_tells_who_connects_there() {
        let http = "127.0.0.1:8080".parse().unwrap();
        assert_eq!("127.0.0.1:8080".parse(), Ok(Listener::Http(http)));
        let address = "/ip4/127.0.0.1/tcp/0";
        let peers = Listener::Peers(address.parse().unwrap());
        assert_eq!(address.parse(), Ok(peers));
        for (text, said) in [("localhost", "[::1]:8080"), ("/here", "/ip4/0.0.0.0")] {
            let error = text.parse::<Listener>().unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
