//! `p2p-http forward`: how does one service of one peer get a port of its own?

use anyhow::{Context, Result};

use crate::{
    address::PeerPlace,
    args::{Common, ForwardArgs},
    run::operate,
    setup::{Listen, Port, Setup},
    swarm::Role,
};

/// Forwards the port until the process is asked to stop.
///
/// # Errors
///
/// Fails if the identity or the HTTP address cannot be used.
pub(crate) async fn run(args: ForwardArgs, common: &Common) -> Result<()> {
    let peer = args
        .peer()
        .context("the --peer addresses name no common peer")?;
    let addresses = args.peers.into_iter().filter_map(PeerPlace::address);
    let setup = Setup {
        identity: common.identity.clone(),
        admin: args.admin.setup(),
        network: args.net.settings(Role::Client)?,
        listen: Listen::at(args.port.p2p_listen).unwrap_or_default(),
        peers: addresses.collect(),
        ports: vec![Port {
            listen: args.listen,
            only: Some((peer, args.name)),
            rules: args.web.rules(),
            attach: None,
        }],
        ..Setup::default()
    };
    operate(setup, common).await
}
