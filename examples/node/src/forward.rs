//! `p2p-http forward`: how does one service of one peer get a port of its own?

use anyhow::{Context, Result};

use crate::{
    address::PeerPlace,
    args::{Common, ForwardArgs},
    gateway, identity,
    output::{self, Fact},
    shutdown::{self, Tasks},
    swarm::{Node, Role},
};

/// Forwards the port until the process is asked to stop.
///
/// # Errors
///
/// Fails if the identity or the HTTP address cannot be used.
pub(crate) async fn run(args: ForwardArgs, common: &Common) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let peer = args
        .peer()
        .context("the --peer addresses name no common peer")?;
    let settings = args.net.settings(Role::Client)?;
    let mut node = Node::new(identity::obtain(common.identity.as_deref())?, &settings)?;
    let addresses = args.peers.into_iter().filter_map(PeerPlace::address);
    gateway::know_peers(&mut node, addresses.collect());
    let (listener, address) = gateway::bind(args.listen)?;
    let all = gateway::of_node(&mut node, common.drain, &args.web);
    let service = all.for_service(peer, args.name.clone());
    let mut tasks = Tasks::new();
    gateway::spawn(&mut tasks, service, listener, &shutdown);
    gateway::meet_peers(&mut node, &args.port.p2p_listen, &shutdown).await?;
    output::print(&Fact::Forward(address, peer, &args.name));
    output::print(&Fact::Ready);
    node.run_until(shutdown::finish(tasks, &shutdown, common.drain))
        .await??;
    node.close().await;
    Ok(())
}
