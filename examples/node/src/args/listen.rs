//! Which programs may become services of this node by a WebSocket, and who may use these?

use std::path::PathBuf;

use libp2p::PeerId;
use libp2p_http_proxy::route::parse_peer_id;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct ListenArgs {
    /// Let local programs become services of this node by a WebSocket to /http/listen/NAME
    ///
    /// `p2p-http attach` is such a program; its help has the protocol for others. Without --listen-token only clients of
    /// this machine may do so, which ask for localhost or an IP address. Behind a proxy or a tunnel that others reach, name a
    /// --listen-token: what comes through one that adds no field of its own can look like this machine. The node then has
    /// services, and listens for peers: everywhere, as `serve` does, unless --p2p-listen says where.
    ///
    /// Example: --allow-listen
    #[arg(long)]
    pub(crate) allow_listen: bool,

    /// File with a secret of 16 or more of A-Z a-z 0-9 - . _ ~ that listeners have to send; they may be anywhere then
    ///
    /// They send it as `Authorization: Bearer SECRET`, or, from a browser, as the subprotocol `bearer.SECRET`. A file that
    /// other users can read is refused.
    ///
    /// Example: --listen-token /etc/p2p-http/token
    #[arg(long, value_name = "FILE", requires = "allow_listen")]
    pub(crate) listen_token: Option<PathBuf>,

    /// Peer that may use these services, repeatable; without it, any peer that reaches this node may
    ///
    /// Example: --allow 12D3KooWQYzCrRbNjHcXtjnxqmQyNRWHVXqqBVA8KaLdGmjJDPAW
    #[arg(
        long = "allow",
        value_name = "PEER",
        value_parser = parse_peer_id,
        requires = "allow_listen"
    )]
    pub(crate) allowed: Vec<PeerId>,
}
