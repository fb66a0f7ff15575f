//! `p2p-http run`: a node as a file describes it. Also what every other command that runs a node does with its description.

use std::{io, path::Path};

use anyhow::{Error, Result, bail};

use crate::{
    args::{Common, RunArgs, swarm_key},
    config, identity, manager,
    output::{self, Fact},
    running::Running,
    setup::Setup,
    shutdown::{self, Hangups},
    swarm::Node,
    token::Token,
};

/// Runs the node of a file until the process is asked to stop, or only looks whether the file is right.
///
/// # Errors
///
/// Fails if the file is wrong, or the node cannot do what it says.
pub(crate) async fn run(args: &RunArgs, common: &Common) -> Result<()> {
    let file = args.config.as_path();
    if args.check {
        check_files(&config::load(file)?)?;
        output::line(&format_args!("{} is right", file.display()));
        return Ok(());
    }
    // Before the file is read: a signal that comes meanwhile must not end the process.
    let hangups = shutdown::on_hangup()?;
    let setup = config::load(file)?;
    let (node, running) = start(setup, common).await?;
    until_stopped(node, running, Some((file, hangups))).await
}

/// Looks at the files that a description names. Those that are missing may still come before the node starts.
///
/// # Errors
///
/// Says what is wrong with those that are there.
fn check_files(setup: &Setup) -> Result<()> {
    const SAID: &str = "a node will not start with this file as it is";
    let is_missing = |error: &Error| {
        let cause = error.downcast_ref::<io::Error>();
        cause.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let (missing, wrong): (Vec<_>, Vec<_>) = unusable_files(setup).partition(is_missing);
    for error in missing {
        tracing::warn!("{SAID}: {error:#}");
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong: Vec<_> = wrong.iter().map(|error| format!("{error:#}")).collect();
    bail!("{SAID}: {}", wrong.join("; "))
}

/// What is wrong with the files that a description names. One that the first start creates may be missing.
fn unusable_files(setup: &Setup) -> impl Iterator<Item = Error> {
    let identity = setup
        .identity
        .iter()
        .map(|path| identity::read(path).map(drop));
    let network = setup.swarm_key.iter().map(|path| swarm_key(path).map(drop));
    let attach = setup.ports.iter().filter_map(|port| port.attach.as_ref());
    let tokens = attach.map(|attach| &attach.token);
    let admin = setup.admin.iter().map(|admin| &admin.token);
    let tokens = tokens.chain(admin).flatten();
    let secrets = tokens.map(|path| Token::load(path).map(drop));
    identity
        .chain(network)
        .chain(secrets)
        .filter_map(Result::err)
}

/// Runs a node until the process is asked to stop.
///
/// # Errors
///
/// Fails if the node cannot do what is described.
pub(crate) async fn operate(setup: Setup, common: &Common) -> Result<()> {
    let (node, running) = start(setup, common).await?;
    until_stopped(node, running, None).await
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
    // Who stops it meanwhile is not told that it works.
    if !shutdown.is_cancelled() {
        output::print(&Fact::Ready);
        manager::tell(manager::State::Ready);
    }
    Ok((node, running))
}

async fn until_stopped(
    mut node: Node,
    mut running: Running,
    mut source: Option<(&Path, Hangups)>,
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
    let (tasks, drain) = running.into_tasks();
    node.run_until(shutdown::finish(tasks, &shutdown, drain))
        .await??;
    node.close().await;
    Ok(())
}

async fn reload(node: &mut Node, running: &mut Running, file: &Path) -> Result<()> {
    let setup = config::load(file)?;
    running.change(node, setup).await
}
