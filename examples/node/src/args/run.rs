//! Which file describes the node to run?

use std::path::PathBuf;

use super::Common;

pub(super) const HELP: &str = "\
The file is TOML: an identity, addresses, services, gateways and forwarded ports, each with its
rules, a network and limits. A whole one with comments is examples/node/node.toml. The smallest:
      [service.app]
      to = \"http://127.0.0.1:3000\"
      allow = [\"12D3KooWA…\"]

Who may do what:
      [service.NAME]  allow = [PEER, …]           others get 403, and an empty list is nobody
                      methods = [\"GET\", …]        others get 405
                      paths = [\"/api\", …]         others get 403; whole segments, no .. in any form
                      host = \"preserve\", \"target\", or { fixed = \"HOST\" }: what the server sees
                      forwarded = false           no X-Forwarded-For of peers to the server
      [gateway]       allow = [{ peer = PEER, service = NAME }, …]       others get 403
                      domains = [DOMAIN, …]       other hosts get 421
                      allow_origins = [ORIGIN, …] pages of others get 403
                      request_addresses = \"none\", \"public\" or \"any\"; see `gateway --help`
                      tunnels = true, false (403), or the longest time: \"10 min\"
                      exchanges_per_client = N    one more at a time gets 503
                      public = true               for strangers: `allow` is needed, tunnels are off
                                                  or have an end, 32 exchanges for each client
                      attach = { token = FILE, allow = [PEER, …] }       programs as services
      [[forward]]     listen, peer, service       one service on a port of its own
                      and domains, allow_origins, tunnels, exchanges_per_client as above
      [admin]         listen, token = FILE        a page that shows the node; see `serve --help`

The options --drain, --log and --threads can be keys of it, too: drain = \"5 s\", log = \"debug\",
threads = 4. What the command line (or P2P_HTTP_LOG) says holds.

SIGHUP reads the file again, and the tokens that it names. Exchanges that run go on under the old
rules, all others go by the new ones, and what is new is printed, then `reloaded`. Services and
ports that are gone let their exchanges end. A file that is wrong is refused as a whole, with line
and column in the log, and the old one goes on. A changed `identity`, `log`, `threads`, [network]
or [limits] is refused, too: it takes a restart.

Examples:
  p2p-http run --config node.toml
  p2p-http run --config node.toml --check       before a reload: is the file right?
  kill -HUP \"$(pidof p2p-http)\"";

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// File that describes the node
    ///
    /// Example: --config /etc/p2p-http/node.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,

    /// Only say whether the file is right: exit status 0 if it is, else 1 with its line and column
    ///
    /// The keys and tokens that it names are looked at, too. One that is missing is no more than a warning.
    #[arg(long)]
    pub(crate) check: bool,
}

impl RunArgs {
    pub(super) fn check(&self, common: &Common) -> Result<(), String> {
        match &common.identity {
            None => Ok(()),
            Some(_) => Err(
                "--identity is of no use to `run`, whose file names one: identity = \"FILE\""
                    .to_owned(),
            ),
        }
    }
}
