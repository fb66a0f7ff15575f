//! `p2p-http meet`: where do peers find each other?

use anyhow::Result;

use crate::{
    args::{Common, MeetArgs},
    identity,
    output::{self, Fact},
    shutdown,
    swarm::Node,
};

/// Is a meeting point until the process is asked to stop.
///
/// # Errors
///
/// Fails if the identity cannot be used, or the node cannot listen.
pub(crate) async fn run(args: MeetArgs, common: &Common) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let settings = args.net.meeting_point()?;
    let mut node = Node::new(identity::obtain(common.identity.as_deref())?, &settings)?;
    node.listen_where(&args.listen).await?;
    if let Some(limits) = &settings.relay_server {
        output::print(&Fact::Relay(limits));
    }
    node.join(&shutdown).await?;
    output::print(&Fact::Ready);
    node.run_until(shutdown.cancelled()).await?;
    node.close().await;
    Ok(())
}
