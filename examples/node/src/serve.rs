//! `p2p-http serve`: which local servers answer peers?

use anyhow::{Context, Result, bail};
use libp2p::Multiaddr;
use libp2p_http_proxy::{Forward, ForwardConfig};

use crate::{
    args::{Common, ServeArgs},
    identity,
    output::{self, Fact},
    shutdown::{self, Tasks},
    swarm::Node,
};

/// Where to listen when nothing is said: every interface, both transports, ports chosen by the system. IPv4 comes first:
/// a machine without IPv6 is normal, one without IPv4 is not.
const EVERYWHERE: [&str; 4] = [
    "/ip4/0.0.0.0/tcp/0",
    "/ip4/0.0.0.0/udp/0/quic-v1",
    "/ip6/::/tcp/0",
    "/ip6/::/udp/0/quic-v1",
];

/// Offers the services until the process is asked to stop.
///
/// # Errors
///
/// Fails if the identity cannot be used, or the node cannot listen.
pub(crate) async fn run(args: ServeArgs, common: &Common) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let mut node = Node::new(identity::obtain(common.identity.as_deref())?)?;
    if args.allowed.is_empty() {
        tracing::warn!(
            "any peer that reaches this node may use its services; `--allow PEER` names those who may"
        );
    }
    let mut tasks = Tasks::new();
    for (name, target) in args.services() {
        let requests = node
            .http()
            .accept(name.clone())
            .with_context(|| format!("cannot offer the service {name}"))?;
        let config = ForwardConfig::default()
            .with_allowed_peers(args.allowed.iter().copied())
            .with_drain_timeout(common.drain);
        let forward = Forward::new(target.clone(), node.peer(), config);
        let asked = shutdown.clone().cancelled_owned();
        tasks.spawn(async move {
            forward.serve(requests, asked).await;
            Ok(())
        });
    }
    listen(&mut node, &args.listen).await?;
    for (name, target) in args.services() {
        output::print_service(&node.peer(), name, target);
    }
    output::print(&Fact::Ready);
    node.run_until(shutdown::finish(tasks, &shutdown, common.drain))
        .await??;
    node.close().await;
    Ok(())
}

/// Listens where asked, all of it; else everywhere, as far as this machine can.
async fn listen(node: &mut Node, asked: &[Multiaddr]) -> Result<()> {
    for address in asked {
        node.listen(address)?;
    }
    if asked.is_empty() {
        listen_everywhere(node)?;
    }
    node.listening().await?;
    Ok(())
}

fn listen_everywhere(node: &mut Node) -> Result<()> {
    let mut failures = Vec::new();
    for address in EVERYWHERE {
        let address = address.parse().context("a default address is wrong")?;
        if let Err(error) = node.listen(&address) {
            tracing::debug!("{error:#}");
            failures.push(format!("{error:#}"));
        }
    }
    if failures.len() == EVERYWHERE.len() {
        bail!("no address to listen on: {}", failures.join("; "));
    }
    Ok(())
}
