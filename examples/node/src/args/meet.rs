//! Where do peers find each other?

use libp2p::Multiaddr;

use super::{AdminArgs, NetArgs};
use crate::address::listen_address;

pub(super) const HELP: &str = "\
A node that others name as their --bootstrap, and with --relay-server as their --relay. It has to be
reachable for all of them, under addresses that last. It learns who talks to whom, and nothing of
what is said.

Example:
  p2p-http meet --identity meet.key --listen /ip4/0.0.0.0/tcp/4001 --relay-server";

#[derive(Debug, clap::Args)]
pub(crate) struct MeetArgs {
    /// Address to listen on for peers, repeatable; port 0 lets the system choose
    ///
    /// Default: TCP and QUIC on every interface, each on a port that the system chooses at every start. Peers have to name
    /// it, so choose one that lasts.
    ///
    /// Example: --listen /ip4/0.0.0.0/tcp/4001 --listen /ip4/0.0.0.0/udp/4001/quic-v1
    #[arg(long = "listen", value_name = "MULTIADDR", value_parser = listen_address)]
    pub(crate) listen: Vec<Multiaddr>,

    #[command(flatten)]
    pub(crate) admin: AdminArgs,

    #[command(flatten)]
    pub(crate) net: NetArgs,
}
