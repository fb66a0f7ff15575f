//! Which service of which peer gets a port of its own?

use std::net::SocketAddr;

use libp2p::PeerId;
use libp2p_http_proxy::ServiceName;

use super::{AdminArgs, NetArgs, PortArgs, WebArgs, http_address};
use crate::address::PeerPlace;

pub(super) const HELP: &str = "\
For clients that take a host and a port but no path, and cannot resolve NAME.PEER.p2p.localhost. The
application sees the same requests as through a gateway. Browsers share cookies between all ports of
a host: open applications that must not see each other's at their own hosts, as
http://NAME.PEER.p2p.localhost:9000/, which works here as well.

Example:
  p2p-http forward --peer /ip4/192.0.2.7/tcp/4001/p2p/12D3… --name app --listen 127.0.0.1:9000
  curl http://127.0.0.1:9000/";

#[derive(Debug, clap::Args)]
pub(crate) struct ForwardArgs {
    /// Where the peer is, with /p2p/PEER at its end; repeatable for more addresses of the same peer
    ///
    /// The peer id alone will do where the peer can be found, by --bootstrap or --mdns.
    ///
    /// Example: --peer /ip4/192.0.2.7/tcp/4001/p2p/12D3…
    #[arg(long = "peer", value_name = "MULTIADDR", required = true)]
    pub(crate) peers: Vec<PeerPlace>,

    /// Name of the peer's service
    ///
    /// Example: --name app
    #[arg(long, value_name = "NAME")]
    pub(crate) name: ServiceName,

    /// IP:PORT where HTTP clients connect; port 0 lets the system choose
    ///
    /// Whoever can connect there sends requests in the name of this node's peer id, so it is this machine only unless you
    /// say otherwise.
    ///
    /// Example: --listen 127.0.0.1:9001
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:9000",
        value_parser = http_address
    )]
    pub(crate) listen: SocketAddr,

    #[command(flatten)]
    pub(crate) web: WebArgs,

    #[command(flatten)]
    pub(crate) port: PortArgs,

    #[command(flatten)]
    pub(crate) admin: AdminArgs,

    #[command(flatten)]
    pub(crate) net: NetArgs,
}

impl ForwardArgs {
    /// The one peer that all `--peer` addresses name.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        let peer = self.peers.first()?.peer();
        self.peers
            .iter()
            .all(|other| other.peer() == peer)
            .then_some(peer)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let known = |place: &PeerPlace| matches!(place, PeerPlace::At(_));
        if !self.net.finds_peers() && !self.peers.iter().any(known) {
            return Err(
                "--peer does not say where the peer is: give an address, or --bootstrap or --mdns to find it"
                    .to_owned(),
            );
        }
        match self.peer() {
            Some(_) => Ok(()),
            None => Err(
                "the --peer addresses name different peers; run one `p2p-http forward` for each"
                    .to_owned(),
            ),
        }
    }
}
