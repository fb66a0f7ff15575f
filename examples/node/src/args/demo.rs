//! What is to be seen of the demo?

use std::net::SocketAddr;

use super::{AdminArgs, http_address};

pub(super) const HELP: &str = "\
The origin node serves a small application, the gateway node is what a browser talks to; between
them is an encrypted libp2p connection over loopback TCP. Nothing is reachable from other machines.
Prints the lines of `serve` for the origin, then those of `gateway` and `forward` for the gateway,
then a line `url FEATURE URL` for each feature, then `ready`.

Examples:
  p2p-http demo                open the printed `url page` in a browser
  p2p-http demo --check        test this build: prints a table, exits 0 only if all held
  p2p-http demo --admin 127.0.0.1:8081         the gateway node is shown there";

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Try every feature through the gateway, print a table and exit: 0 only if all held
    ///
    /// Takes a few seconds. Every port is chosen by the system.
    #[arg(long, conflicts_with = "listen")]
    pub(crate) check: bool,

    /// IP:PORT of the gateway; port 0 lets the system choose [default: 127.0.0.1:8080, else a free port]
    ///
    /// Example: --listen 127.0.0.1:8888
    #[arg(long, value_name = "IP:PORT", value_parser = http_address)]
    pub(crate) listen: Option<SocketAddr>,

    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}
