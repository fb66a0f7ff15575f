//! `p2p-http serve`: which local servers answer peers?

use anyhow::{Context, Result};
use libp2p_http_proxy::{Forward, ForwardConfig};

use crate::{
    args::{Common, ServeArgs},
    identity,
    output::{self, Fact},
    shutdown::{self, Tasks},
    swarm::{Node, Role},
};

/// Offers the services until the process is asked to stop.
///
/// # Errors
///
/// Fails if the identity cannot be used, or the node cannot listen.
pub(crate) async fn run(args: ServeArgs, common: &Common) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let settings = args.net.settings(Role::Server)?;
    let mut node = Node::new(identity::obtain(common.identity.as_deref())?, &settings)?;
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
        let mut config = ForwardConfig::default().with_drain_timeout(common.drain);
        if !args.allowed.is_empty() {
            config = config.with_allowed_peers(args.allowed.iter().copied());
        }
        let forward = Forward::new(target.clone(), node.peer(), config);
        let asked = shutdown.clone().cancelled_owned();
        tasks.spawn(async move {
            forward.serve(requests, asked).await;
            Ok(())
        });
    }
    node.listen_where(&args.listen).await?;
    for (name, target) in args.services() {
        output::print_service(&node.peer(), name, target);
    }
    if let Some(limits) = &settings.relay_server {
        output::print(&Fact::Relay(limits));
    }
    node.join(&shutdown).await?;
    output::print(&Fact::Ready);
    node.run_until(shutdown::finish(tasks, &shutdown, common.drain))
        .await??;
    node.close().await;
    Ok(())
}
