//! `p2p-http run`: a node as a file describes it. Also what every other command that runs a node does with its description.

use std::path::Path;

use anyhow::Result;

use crate::{
    args::{Common, RunArgs, swarm_key},
    config, identity, manager,
    output::{self, Fact},
    running::Running,
    setup::Setup,
    shutdown::{self, Hangups},
    swarm::Node,
};

/// Runs the node of a file until the process is asked to stop, or only looks whether the file is right.
///
/// # Errors
///
/// Fails if the file is wrong, or the node cannot do what it says.
pub(crate) async fn run(args: &RunArgs, common: &Common) -> Result<()> {
    let file = args.config.as_path();
    if args.check {
        config::load(file)?;
        output::line(&format_args!("{} is right", file.display()));
        return Ok(());
    }
    // Before the file is read: a signal that comes meanwhile must not end the process.
    let hangups = shutdown::on_hangup()?;
    let setup = config::load(file)?;
    let (node, running) = start(setup, common).await?;
    until_stopped(node, running, Some((file, hangups)), common).await
}

/// Runs a node until the process is asked to stop.
///
/// # Errors
///
/// Fails if the node cannot do what is described.
pub(crate) async fn operate(setup: Setup, common: &Common) -> Result<()> {
    let (node, running) = start(setup, common).await?;
    until_stopped(node, running, None, common).await
}

async fn start(setup: Setup, common: &Common) -> Result<(Node, Running)> {
    let shutdown = shutdown::on_signal()?;
    let mut settings = setup.network.clone();
    if let Some(path) = &setup.swarm_key {
        settings.swarm_key = Some(swarm_key(path)?);
    }
    let keypair = identity::obtain(setup.identity.as_deref())?;
    let mut node = Node::new(keypair, &settings)?;
    node.introduce();
    let running = Running::start(&mut node, setup, shutdown.clone(), common.drain).await?;
    if let Some(limits) = &settings.relay_server {
        output::print(&Fact::Relay(limits));
    }
    node.join(&shutdown).await?;
    output::print(&Fact::Ready);
    manager::tell(manager::State::Ready);
    Ok((node, running))
}

async fn until_stopped(
    mut node: Node,
    mut running: Running,
    mut source: Option<(&Path, Hangups)>,
    common: &Common,
) -> Result<()> {
    let shutdown = running.shutdown();
    loop {
        let happened = async {
            let hangup = async {
                match &mut source {
                    Some((file, hangups)) => {
                        hangups.next().await;
                        *file
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => Ok(None),
                file = hangup => Ok(Some(file)),
                error = running.failed() => Err(error),
            }
        };
        let Some(file) = node.run_until(happened).await?? else {
            break;
        };
        match reload(&mut node, &mut running, file).await {
            Ok(()) => output::print(&Fact::Reloaded),
            Err(error) => tracing::error!("not reloaded, and all stays as it was: {error:#}"),
        }
    }
    manager::tell(manager::State::Stopping);
    let tasks = running.into_tasks();
    node.run_until(shutdown::finish(tasks, &shutdown, common.drain))
        .await??;
    node.close().await;
    Ok(())
}

async fn reload(node: &mut Node, running: &mut Running, file: &Path) -> Result<()> {
    let setup = config::load(file)?;
    running.change(node, setup).await
}
