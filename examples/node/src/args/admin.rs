//! Where is this node shown to whoever runs it?

use std::{net::SocketAddr, path::PathBuf};

use super::http_address;
use crate::setup::Admin;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct AdminArgs {
    /// IP:PORT of a page that shows this node: addresses, services, peers, and each request as it happens
    ///
    /// For programs and browsers of this machine, whoever uses them; nothing can be changed there. Other addresses than
    /// loopback need --admin-token. Queries of requests are not shown, as secrets are in them; paths are. For scripts,
    /// /api/state has all of it as JSON, /api/events what changes, and /metrics the figures for Prometheus.
    ///
    /// Example: --admin 127.0.0.1:8081
    #[arg(id = "admin", long, value_name = "IP:PORT", value_parser = http_address)]
    listen: Option<SocketAddr>,

    /// File with a secret of 16 or more of A-Z a-z 0-9 - . _ ~ that whoever looks has to know; they may be anywhere then
    ///
    /// Programs send it as `Authorization: Bearer SECRET`; a browser asks for it as a password, with any name. Whoever
    /// listens on the way learns it: the page has no TLS. A file that other users can read is refused.
    ///
    /// Example: --admin-token /etc/p2p-http/admin.token
    #[arg(id = "admin-token", long, value_name = "FILE", requires = "admin")]
    token: Option<PathBuf>,
}

impl AdminArgs {
    pub(crate) fn setup(&self) -> Option<Admin> {
        self.listen.map(|listen| Admin {
            listen,
            token: self.token.clone(),
        })
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let checked = self.setup().map_or(Ok(()), |admin| admin.check());
        checked.map_err(|why| {
            format!(
                "--admin: {why}: name an address of this machine alone, such as 127.0.0.1:8081, or a --admin-token"
            )
        })
    }
}
