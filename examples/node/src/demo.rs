//! `p2p-http demo`: what does it look like? Two nodes in one process, and an application to see.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use libp2p::{PeerId, identity::Keypair};
use libp2p_http_proxy::{Forward, ForwardConfig, ServiceName, Target, route::Domain};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    address::PeerAddress,
    args::{Common, DemoArgs},
    demo::app::App,
    gateway,
    output::{self, Fact},
    running::admin,
    shutdown::{self, Tasks},
    status,
    swarm::{Node, Settings},
};

mod app;
mod check;
mod guestbook;
mod pattern;
mod template;

/// Name of the service that the origin offers.
const SERVICE: &str = "demo";

/// Where people look first.
const USUAL_PORT: u16 = 8080;

/// Each feature of the application with its place on its host.
const FEATURES: [(&str, &str); 7] = [
    ("page", ""),
    ("guestbook", "guestbook"),
    ("clock", "clock"),
    ("echo", "echo"),
    ("download", "download?bytes=10000000"),
    ("upload", "upload"),
    ("inspect", "inspect/any/path?and=query"),
];

/// Where the application is to be found, and between whom a request to it travels.
#[derive(Clone, Debug)]
struct Site {
    /// The port of the gateway.
    gateway: SocketAddr,
    /// The host of the application there.
    host: String,
    /// The port that belongs to the application alone.
    forward: SocketAddr,
    /// The peer that offers the application.
    origin: PeerId,
    /// The peer that asks for it.
    caller: PeerId,
}

impl Site {
    /// The path of a page under the gateway; `rest` has no slash in front.
    fn path(&self, rest: impl fmt::Display) -> String {
        format!("/http/{}/{SERVICE}/{rest}", self.origin)
    }

    /// The URL of a feature, for a browser.
    fn url(&self, feature: &str, rest: &str) -> String {
        let scheme = if feature == "echo" { "ws" } else { "http" };
        format!("{scheme}://{}:{}/{rest}", self.host, self.gateway.port())
    }
}

/// Runs the demo until the process is asked to stop, or only its check.
///
/// # Errors
///
/// Fails if the nodes cannot start; a check that fails is exit status 1.
pub(crate) async fn run(args: &DemoArgs, common: &Common) -> Result<ExitCode> {
    let shutdown = shutdown::on_signal()?;
    let mut tasks = Tasks::new();
    let (mut origin, address) = start_origin(&mut tasks, &shutdown, common).await?;
    let (mut caller, site) = start_gateway(&mut tasks, &shutdown, address, args, common).await?;
    for (feature, rest) in FEATURES {
        output::print(&Fact::Url(feature, site.url(feature, rest)));
    }
    output::print(&Fact::Ready);

    // Each node has a task of its own, as it would have a process of its own.
    let stop_origin = CancellationToken::new();
    let asked = stop_origin.clone();
    let network = tokio::spawn(async move {
        origin.run_until(asked.cancelled()).await?;
        origin.close().await;
        Ok::<_, anyhow::Error>(())
    });
    let work = work(args.check, &site, tasks, &shutdown, common);
    let code = caller.run_until(work).await??;
    caller.close().await;
    stop_origin.cancel();
    network
        .await
        .context("the origin broke down; please report this")??;
    Ok(code)
}

/// What the demo waits for: the end, or before it the check.
async fn work(
    check: bool,
    site: &Site,
    tasks: Tasks,
    shutdown: &CancellationToken,
    common: &Common,
) -> Result<ExitCode> {
    if !check {
        shutdown::finish(tasks, shutdown, common.drain()).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let passed = tokio::select! {
        passed = check::run(site) => Some(passed),
        () = shutdown.cancelled() => None,
    };
    shutdown.cancel();
    shutdown::finish(tasks, shutdown, common.drain()).await?;
    match passed {
        Some(true) => Ok(ExitCode::SUCCESS),
        Some(false) => Ok(ExitCode::FAILURE),
        None => bail!("stopped before every check was made"),
    }
}

/// Starts the application and the node that offers it; returns where peers reach that node.
async fn start_origin(
    tasks: &mut Tasks,
    shutdown: &CancellationToken,
    common: &Common,
) -> Result<(Node, PeerAddress)> {
    let mut node = Node::new(Keypair::generate_ed25519(), &Settings::default())?;
    node.introduce();
    node.listen(
        &"/ip4/127.0.0.1/tcp/0"
            .parse()
            .context("the address of the demo is wrong")?,
    )?;
    let address = node
        .listening()
        .await?
        .pop()
        .context("the origin has no address")?;
    let peer = node.peer();

    let listener = gateway::listen((Ipv4Addr::LOCALHOST, 0).into())
        .context("cannot listen on 127.0.0.1 for the application")?;
    let app = App::new(
        peer,
        listener
            .local_addr()
            .context("the application has no address")?,
    );
    let target: Target = format!("http://{}", app.address())
        .parse()
        .context("the application has a wrong address")?;
    let name = service_name()?;
    let requests = node
        .http()
        .accept(name.clone())
        .context("cannot offer the application")?;
    let forward = Forward::new(
        target.clone(),
        peer,
        ForwardConfig::default().with_drain_timeout(common.drain()),
    );

    tasks.spawn(app.serve(listener, shutdown.clone()));
    let asked = shutdown.clone().cancelled_owned();
    tasks.spawn(async move {
        forward.serve(requests, asked).await;
        Ok(())
    });
    output::print_service(&peer, &name, &target);
    Ok((node, PeerAddress { peer, address }))
}

/// Starts the node that browsers talk to.
async fn start_gateway(
    tasks: &mut Tasks,
    shutdown: &CancellationToken,
    origin: PeerAddress,
    args: &DemoArgs,
    common: &Common,
) -> Result<(Node, Site)> {
    let mut node = Node::new(Keypair::generate_ed25519(), &Settings::default())?;
    node.introduce();
    let peer = origin.peer;
    gateway::know_peers(&mut node, vec![origin]);
    let name = service_name()?;

    let (listener, address) = bind(args)?;
    output::print(&Fact::Gateway(address));
    let all = gateway::of_node(&mut node, common.drain());
    gateway::spawn(tasks, all, listener, shutdown);

    let (listener, forward) = gateway::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    output::print(&Fact::Forward(forward, peer, &name));
    let one = gateway::of_node(&mut node, common.drain());
    let one = one.for_service(peer, name.clone());
    gateway::spawn(tasks, one, listener, shutdown);

    let port = |address, only| status::Port {
        address: format!("http://{address}"),
        only,
        allowed: None,
        attach: false,
    };
    let only = (peer.to_string(), name.to_string());
    let status = node.status();
    status.set_ports(vec![port(address, None), port(forward, Some(only))]);
    admin::open(args.admin.setup().as_ref(), (tasks, status, shutdown))?;

    let host = Domain::localhost()
        .host_of(&peer, &name)
        .context("the service of the demo has no host")?;
    let site = Site {
        gateway: address,
        host,
        forward,
        origin: peer,
        caller: node.peer(),
    };
    Ok((node, site))
}

/// The port that was asked for; else the usual one, and if it is taken, a free one.
fn bind(args: &DemoArgs) -> Result<(TcpListener, SocketAddr)> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    if let Some(address) = args.listen {
        return gateway::bind(address);
    }
    if args.check {
        return gateway::bind(free);
    }
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT));
    match gateway::bind(usual) {
        Err(error) if is_taken(&error) => {
            tracing::warn!(
                "another program has {usual}, so the gateway is on a free port; `--listen` names one"
            );
            gateway::bind(free)
        }
        bound => bound,
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

fn service_name() -> Result<ServiceName> {
    SERVICE
        .parse()
        .context("the service name of the demo is wrong")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_the_peer_and_the_service() {
        let site = Site {
            gateway: "127.0.0.1:8080".parse().unwrap(),
            host: "demo.k51.p2p.localhost".to_owned(),
            forward: "127.0.0.1:9000".parse().unwrap(),
            origin: PeerId::random(),
            caller: PeerId::random(),
        };
        let base = "demo.k51.p2p.localhost:8080";
        assert_eq!(site.url("page", ""), format!("http://{base}/"));
        assert_eq!(site.url("echo", "echo"), format!("ws://{base}/echo"));
        assert_eq!(
            site.path("echo"),
            format!("/http/{}/demo/echo", site.origin)
        );
    }

    #[tokio::test]
    async fn a_taken_port_is_told_from_other_errors() {
        let (_listener, address) = gateway::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        assert!(is_taken(&gateway::bind(address).unwrap_err()));
        // TEST-NET-1 is nobody's address.
        assert!(!is_taken(
            &gateway::bind("192.0.2.1:0".parse().unwrap()).unwrap_err()
        ));
    }
}
